"""A backend in TensorFlow's dialect: padding is "same" or "valid", and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.signal import correlate2d
from windows_by_loops import Array, Pullback, average, inside, maximum, ranges


def _before(size: int, window: int, stride: int, padding: str) -> tuple[int, int, int]:
    """Padding before, after, and the number of places, after TensorFlow's documentation of tf.nn.convolution."""
    if padding == "valid":
        return 0, 0, -(-(size - window + 1) // stride)
    assert padding == "same"
    total = max(window - (size % stride or stride), 0)
    return total // 2, total - total // 2, -(-size // stride)


def _geometry(x: Array, window: Any, stride: Any, padding: str) -> tuple[list[Any], list[Any]]:
    sides = [_before(x.shape[2 + i], window[i], stride[i], padding) for i in (0, 1)]
    rows, columns = (ranges(x.shape[2 + i], window[i], stride[i], sides[i][0], sides[i][2]) for i in (0, 1))
    return rows, columns


def max_pool2d(x: Array, *, window: Any, stride: Any, padding: str) -> tuple[Array, Pullback]:
    return maximum(x, *_geometry(x, window, stride, padding), tie="rows")


def avg_pool2d(x: Array, *, window: Any, stride: Any, padding: str) -> tuple[Array, Pullback]:
    rows, columns = _geometry(x, window, stride, padding)
    return average(x, rows, columns, inside(rows, columns))


def conv2d(
    x: Array, w: Array, b: Any = None, *, stride: Any, padding: str, dilation: Any, groups: int
) -> tuple[Array, None]:
    spans = [d * (size - 1) + 1 for d, size in zip(dilation, w.shape[2:], strict=True)]
    stretched = np.zeros((*w.shape[:2], *spans), w.dtype)
    stretched[:, :, :: dilation[0], :: dilation[1]] = w
    sides = [_before(x.shape[2 + i], spans[i], stride[i], padding) for i in (0, 1)]
    padded = np.pad(x, ((0, 0), (0, 0), *(side[:2] for side in sides)))
    each, per_group = x.shape[1] // groups, w.shape[0] // groups
    y = np.array(
        [
            [
                sum(correlate2d(image[k // per_group * each + c], stretched[k, c], "valid") for c in range(each))
                for k in range(w.shape[0])
            ]
            for image in padded
        ]
    )[:, :, :: stride[0], :: stride[1]]
    return (y if b is None else y + b[:, None, None]).astype(x.dtype), None
