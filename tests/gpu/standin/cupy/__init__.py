"""A stand-in for CuPy on NumPy, for machines without a GPU: just what impl.cupy_cuda uses, and stricter than CuPy.

Arrays live in memory of their own: NumPy cannot take them by accident, fresh ones are poisoned with NaN, and writes
outside them are noticed after the kernel. Kernels are compiled for the host and their arguments are checked by type.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from cupy import cuda
from cupy._array import ndarray
from cupy._module import RawModule

__all__ = ["RawModule", "cuda", "ndarray"]
__version__ = "stand-in on the host"


_pool = SimpleNamespace(free_all_blocks=lambda: None, total_bytes=lambda: 0)


def get_default_memory_pool() -> Any:
    return _pool


def asarray(a: Any) -> ndarray:
    return a if isinstance(a, ndarray) else ndarray.holding(np.asarray(a))


def asnumpy(a: ndarray) -> Any:
    return a.values.copy()


def empty(shape: Any, dtype: Any = float) -> ndarray:
    return ndarray.fresh(shape, dtype)


def zeros(shape: Any, dtype: Any = float) -> ndarray:
    a = empty(shape, dtype)
    a.fill(0)
    return a


def full(shape: Any, value: Any, dtype: Any) -> ndarray:
    a = empty(shape, dtype)
    a.fill(value)
    return a


def ascontiguousarray(a: ndarray) -> ndarray:
    return a if a.flags.c_contiguous else a.copy()


def concatenate(arrays: Any, axis: int) -> ndarray:
    return ndarray.holding(np.concatenate([a.values for a in arrays], axis))


def matmul(a: ndarray, b: ndarray) -> ndarray:
    return ndarray.holding(_product(a.values, b.values))


def dot(a: ndarray, b: ndarray, out: ndarray) -> ndarray:
    assert a.ndim == b.ndim == 2
    assert out.flags.c_contiguous
    assert out.dtype == a.dtype == b.dtype
    out.values[...] = _product(a.values, b.values)
    return out


def _product(a: Any, b: Any) -> Any:
    """cuBLAS sums 16-bit numbers in float32."""
    return (a.astype(np.float32) @ b.astype(np.float32)).astype(a.dtype) if a.itemsize == 2 else a @ b
