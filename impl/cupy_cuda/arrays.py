"""What every block shares about arrays: which it takes. Kernels want memory in the order N, C, H, W; else a copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from impl.cupy_cuda.device import cupy

Array = Any
"""A cupy.ndarray; CuPy brings no types."""
Pullback = Callable[..., tuple[Array | None, ...]]

REAL = ("float32", "float64")
ALSO_16_BIT = (*REAL, "float16", "bfloat16")
"""Of conv2d, pooling and relu, which compute in float32 and round at the end."""


def check_images(x: Array, dtypes: tuple[str, ...] = REAL, name: str = "x") -> None:
    """Raises ValueError unless x is a CuPy array of 4 axes and one of the dtypes."""
    if not isinstance(x, cupy.ndarray) or x.ndim != 4:
        raise ValueError(f"{name} must be a CuPy array with the 4 axes (N, C, H, W), got {described(x)}")
    check_dtype(x, dtypes, name)
    if (
        x.size >= 2**31
        and max(x.shape[0] * x.shape[1], x.shape[2] * x.shape[3], x.shape[0] * x.shape[2] * x.shape[3]) >= 2**31
    ):
        raise ValueError(f"{name} of shape {x.shape} has more than 2^31 planes, or pixels in a plane or a channel")


def check_dtype(x: Array, dtypes: tuple[str, ...], name: str) -> None:
    """Raises ValueError unless x is a CuPy array of one of the dtypes."""
    if not isinstance(x, cupy.ndarray) or x.dtype.name not in dtypes:
        raise ValueError(f"{name} must be a CuPy array of {', '.join(dtypes)}, got {described(x)}")


def check_same(a: Array, shape: tuple[int, ...], dtype: Any, name: str) -> None:
    """Raises ValueError unless a is a CuPy array of just this shape and dtype."""
    if not isinstance(a, cupy.ndarray) or a.shape != shape or a.dtype != dtype:
        raise ValueError(f"{name} must be a CuPy array of shape {shape} and dtype {dtype}, got {described(a)}")


def described(a: object) -> str:
    return f"shape {a.shape} and dtype {a.dtype}" if isinstance(a, cupy.ndarray) else f"a {type(a).__name__}"


def contiguous(a: Array) -> Array:
    """The array itself where its memory is C-contiguous, a copy elsewhere."""
    return cupy.ascontiguousarray(a)


def labels_of(x: Array, labels: Array) -> Array:
    """The labels (N, H, W) as contiguous int32. Raises ValueError unless they fit x's places and channels."""
    n, c, h, w = x.shape
    if not isinstance(labels, cupy.ndarray) or labels.shape != (n, h, w) or labels.dtype.kind not in "iu":
        raise ValueError(f"labels must be integers of shape {(n, h, w)} on the device, got {described(labels)}")
    # One small copy to the host; a kernel reading outside x could not say what is wrong.
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if labels.size and not 0 <= low <= high < c:
        raise ValueError(f"labels must lie in 0 .. {c - 1}, got {low} .. {high}")
    return contiguous(labels.astype("int32"))
