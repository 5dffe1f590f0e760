"""The p-distance over channels (MatConvNet's vl_nnpdist; manual, section 4.7): y = (sum over c of |x_c - t_c|^p)^(1/p).

dx_c = dy y^(1-p) sign(d) |d|^(p-1), d = x - t; without root y is the sum itself and dx_c = dy p sign(d) |d|^(p-1)
"""

from __future__ import annotations

import numpy as np

from impl.cupy_cuda.arrays import Array, Pullback, check_images, check_same, contiguous
from impl.cupy_cuda.device import cupy
from impl.cupy_cuda.launch import over_places


def p_distance(x: Array, target: Array, *, p: float, root: bool = True) -> tuple[Array, Pullback]:
    """y (N, 1, H, W) of x and target (N, C, H, W). The pullback takes dy like y and returns (dx, dtarget = -dx).

    Raises ValueError for a target unlike x, or p not above 0.
    """
    check_images(x)
    check_same(target, x.shape, x.dtype, "target")
    if p <= 0:
        raise ValueError(f"p must be above 0, got {p}")
    x, target = contiguous(x), contiguous(target)
    n, c, h, w = x.shape
    y = cupy.empty((n, 1, h, w), x.dtype)
    sums = cupy.empty(y.shape, x.dtype)
    sizes = np.int64(n * h * w), c, h * w, float(p), bool(root)
    over_places("p_distance", "forward", x.dtype, n * h * w, h * w, x, target, y, sums, *sizes)
    y_shape = y.shape

    def pullback(dy: Array) -> tuple[Array, Array]:
        check_same(dy, y_shape, x.dtype, "dy")
        dx, dtarget = cupy.empty(x.shape, x.dtype), cupy.empty(x.shape, x.dtype)
        over_places(
            "p_distance", "backward", x.dtype, n * h * w, h * w, x, target, contiguous(dy), sums, dx, dtarget, *sizes
        )
        return dx, dtarget

    return y, pullback
