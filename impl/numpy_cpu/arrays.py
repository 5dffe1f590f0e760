"""What every block shares about arrays: the memory order (channels last underneath) and the checks of what was given.

Arrays are logically (N, C, H, W). A block accepts any strides and returns memory ordered N, H, W, C: the channels of a
pixel lie together, which is what matrix products over channels, normalisation over channels and row copies want.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

DTYPES = ("float32", "float64")
Array = NDArray[Any]
Pullback = Callable[..., tuple[Array | None, ...]]


def nhwc(x: Array) -> Array:
    """The same array seen as (N, H, W, C), without a copy."""
    return x.transpose(0, 2, 3, 1)


def empty(shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """A fresh (N, C, H, W) array whose memory is ordered N, H, W, C."""
    n, c, h, w = shape
    return np.empty((n, h, w, c), dtype).transpose(0, 3, 1, 2)


def group_of(x: Array, g: int, groups: int) -> Array:
    """Group g of the channels of x (N, H, W, C)."""
    size = x.shape[-1] // groups
    return x[..., g * size : (g + 1) * size]


def check_images(x: Array, name: str = "x") -> None:
    """Raises ValueError unless x is a float32 or float64 array of 4 axes."""
    if not isinstance(x, np.ndarray) or x.ndim != 4:
        raise ValueError(f"{name} must be an array with the 4 axes (N, C, H, W), got {_described(x)}")
    if x.dtype.name not in DTYPES:
        raise ValueError(f"{name} must be {' or '.join(DTYPES)}, got {x.dtype}")


def check_same(a: Array, shape: tuple[int, ...], dtype: DTypeLike, name: str) -> None:
    """Raises ValueError unless the array has just this shape and dtype."""
    if not isinstance(a, np.ndarray) or a.shape != shape or a.dtype != dtype:
        raise ValueError(f"{name} must have shape {shape} and dtype {np.dtype(dtype)}, got {_described(a)}")


def _described(a: object) -> str:
    return f"shape {a.shape} and dtype {a.dtype}" if isinstance(a, np.ndarray) else type(a).__name__
