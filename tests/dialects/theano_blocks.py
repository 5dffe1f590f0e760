"""A backend in Theano's dialect: convolution in the sense of mathematics, all maxima get the gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.signal import convolve2d
from windows_by_loops import Array, Pullback, maximum, ranges


def conv2d(
    x: Array, w: Array, b: Any = None, *, stride: Any, padding: Any, dilation: Any, groups: int
) -> tuple[Array, None]:
    stretched = np.zeros(
        (*w.shape[:2], *(d * (n - 1) + 1 for d, n in zip(dilation, w.shape[2:], strict=True))), w.dtype
    )
    stretched[:, :, :: dilation[0], :: dilation[1]] = w
    padded = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    each, per_group = x.shape[1] // groups, w.shape[0] // groups
    y = np.array(
        [
            [
                sum(convolve2d(image[k // per_group * each + c], stretched[k, c], "valid") for c in range(each))
                for k in range(w.shape[0])
            ]
            for image in padded
        ]
    )[:, :, :: stride[0], :: stride[1]]
    return (y if b is None else y + b[:, None, None]).astype(x.dtype), None


def max_pool2d(x: Array, *, window: Any, stride: Any, padding: Any) -> tuple[Array, Pullback]:
    places = [(x.shape[2 + i] + 2 * padding[i] - window[i]) // stride[i] + 1 for i in (0, 1)]
    rows, columns = (ranges(x.shape[2 + i], window[i], stride[i], padding[i], places[i]) for i in (0, 1))
    return maximum(x, rows, columns, tie="all")
