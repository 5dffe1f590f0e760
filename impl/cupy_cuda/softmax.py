"""Softmax over channels (MatConvNet's vl_nnsoftmax; manual, section 4.8): y_c = exp(x_c / T) / sum of exp(x / T).

dx_c = y_c (dy_c - sum of y dy) / T;   the maximum is taken off before the exponential
"""

from __future__ import annotations

import numpy as np

from impl.cupy_cuda.arrays import Array, Pullback, check_images, check_same, contiguous
from impl.cupy_cuda.device import cupy
from impl.cupy_cuda.launch import over_places


def softmax(x: Array, *, temperature: float = 1.0) -> tuple[Array, Pullback]:
    """y of the shape of x (N, C, H, W). The pullback takes dy like y and returns (dx,)."""
    check_images(x)
    if temperature == 0:
        raise ValueError("temperature must not be 0")
    n, c, h, w = x.shape
    sizes = np.int64(n * h * w), c, h * w, float(temperature)
    y = cupy.empty(x.shape, x.dtype)
    over_places("softmax", "forward", x.dtype, n * h * w, h * w, contiguous(x), y, *sizes)

    def pullback(dy: Array) -> tuple[Array]:
        check_same(dy, y.shape, y.dtype, "dy")
        dx = cupy.empty(y.shape, y.dtype)
        over_places("softmax", "backward", y.dtype, n * h * w, h * w, y, contiguous(dy), dx, *sizes)
        return (dx,)

    return y, pullback
