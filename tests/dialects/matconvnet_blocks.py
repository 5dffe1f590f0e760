"""A backend in MatConvNet's dialect: it scans columns first, and pads each side by its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from windows_by_loops import Array, Pullback, average, inside, maximum, ranges


def _geometry(x: Array, window: Any, stride: Any, padding: Any) -> tuple[list[Any], list[Any]]:
    top, bottom, left, right = padding
    assert max(top, bottom) < window[0]
    assert max(left, right) < window[1]
    p = (x.shape[2] + top + bottom - window[0]) // stride[0] + 1
    q = (x.shape[3] + left + right - window[1]) // stride[1] + 1
    return ranges(x.shape[2], window[0], stride[0], top, p), ranges(x.shape[3], window[1], stride[1], left, q)


def max_pool2d(x: Array, *, window: Any, stride: Any, padding: Any) -> tuple[Array, Pullback]:
    return maximum(x, *_geometry(x, window, stride, padding), tie="columns")


def avg_pool2d(x: Array, *, window: Any, stride: Any, padding: Any) -> tuple[Array, Pullback]:
    rows, columns = _geometry(x, window, stride, padding)
    return average(x, rows, columns, inside(rows, columns))


def batch_norm(x: Array, gain: Array, bias: Array, *, epsilon: float, moments: Any = None) -> tuple[Array, None]:
    """vl_nnbnorm: moments are the mean and sqrt(variance + epsilon)."""
    wide = x.astype(np.float64)
    mean, deviation = moments or (wide.mean((0, 2, 3)), np.sqrt(wide.var((0, 2, 3)) + epsilon))
    centred = (wide - mean[:, None, None]) / deviation[:, None, None]
    return (gain[:, None, None] * centred + bias[:, None, None]).astype(x.dtype), None
