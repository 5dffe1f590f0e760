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


COPIED_BYTES = 1 << 27
"""Beyond the caches."""


def memory_rate(threads: int, seconds: float) -> float:
    """The best rate found within about `seconds` at which large arrays are copied, in bytes read and written per
    second: the limit of blocks that compute little."""
    import torch

    torch.set_num_threads(threads)
    source = torch.ones(COPIED_BYTES // 4)
    target = torch.empty_like(source)
    target.copy_(source)  # its pages are given out only now
    rates: list[float] = []
    end = time.perf_counter() + seconds
    while len(rates) < 5 or time.perf_counter() < end:
        began = time.perf_counter()
        target.copy_(source)
        rates.append(2 * COPIED_BYTES / (time.perf_counter() - began))
    return max(rates)


DEVICE_SIZES = (4096, 8192)


def device_product_rate(seconds: float) -> dict[str, Any]:
    """The best rate of a GPU's float32 products without TF32, by PyTorch's cuBLAS, timed by events.

    Raises RuntimeError with the reason where PyTorch has no GPU.
    """
    import torch

    from mcnbench.backends.torch_cuda import contiguous

    contiguous.version()
    best, how = 0.0, ""
    end = time.perf_counter() + seconds
    for n in DEVICE_SIZES:
        a, b = (torch.rand(n, n, device="cuda") for _ in range(2))
        c = torch.empty_like(a)
        product = partial(torch.mm, a, b, out=c)
        product()
        tried = False
        while not tried or time.perf_counter() < end - (seconds / 2 if n == DEVICE_SIZES[0] else 0):
            tried = True
            rate = 2 * n**3 / contiguous.elapsed_ns(product) * 1e9
            if rate > best:
                best, how = rate, f"PyTorch on CUDA, {n} x {n}, TF32 off"
    return {"flops_per_second": best, "how": how}
