"""The machine's own matrix-product rate: the limit that training speeds are held against.

The best rate of float32 products C = A B of square matrices, of NumPy's BLAS and of PyTorch's, with as many threads as
the backends have: 2 n^3 operations over the time of a product. What no general matrix product reaches, no network will
by products of the same arithmetic; an algorithm that saves multiplications (Winograd's) can exceed it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

SIZES = (1024, 2048, 3072)


def matrix_product_rate(threads: int, seconds: float) -> dict[str, Any]:
    """The best rate found within about `seconds`, in operations per second, and how it was reached."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(threads)
    products: list[tuple[str, int, Callable[[], Any]]] = []
    rng = np.random.default_rng(0)
    for n in SIZES:
        a, b = (rng.random((n, n), np.float32) for _ in range(2))
        c = np.empty_like(a)
        ta, tb, tc = (torch.from_numpy(x) for x in (a, b, c))
        products.append(("NumPy", n, partial(np.matmul, a, b, out=c)))
        products.append(("PyTorch", n, partial(torch.mm, ta, tb, out=tc)))
    best, how = 0.0, ""
    end = time.perf_counter() + seconds
    with threadpool_limits(threads):
        while not how or time.perf_counter() < end:
            for library, n, product in products:
                began = time.perf_counter()
                product()
                rate = 2 * n**3 / (time.perf_counter() - began)
                if rate > best:
                    best, how = rate, f"{library}, {n} x {n}"
    return {"flops_per_second": best, "how": how}
