"""Spatial normalisation (MatConvNet's vl_nnspnorm; manual, section 4.6.3), per channel.

    y = x * D^-beta,   D = 1 + alpha * mean of x^2 over the window's pixels inside the image

The window starts (size - 1) // 2 above and to the left: an even one leans to the lower right.
"""

from __future__ import annotations

from impl.cupy_cuda.arrays import Array, Pullback, check_images, check_same, contiguous
from impl.cupy_cuda.device import cupy
from impl.cupy_cuda.launch import over_maps
from impl.numpy_cpu.windows import Pair, pair


def spatial_norm(x: Array, *, window: Pair, alpha: float, beta: float) -> tuple[Array, Pullback]:
    """y of the shape of x (N, C, H, W). The pullback takes dy like y and returns (dx,).

    Raises ValueError for a window below 1.
    """
    check_images(x)
    v, h = pair(window, "window")
    x = contiguous(x)
    planes, pixels = x.shape[0] * x.shape[1], x.shape[2] * x.shape[3]
    sizes = planes, x.shape[2], x.shape[3], v, h, (v - 1) // 2, (h - 1) // 2
    y = cupy.empty(x.shape, x.dtype)
    over_maps("spatial_norm", "forward", x.dtype, planes, pixels, x, y, *sizes, float(alpha), float(beta))

    def pullback(dy: Array) -> tuple[Array]:
        check_same(dy, x.shape, x.dtype, "dy")
        dx, terms = cupy.empty(x.shape, x.dtype), cupy.empty(x.shape, x.dtype)
        over_maps(
            *("spatial_norm", "backward_terms", x.dtype, planes, pixels),
            *(x, contiguous(dy), dx, terms, *sizes, float(alpha), float(beta)),
        )
        over_maps(
            *("spatial_norm", "backward_sum", x.dtype, planes, pixels),
            *(x, terms, dx, *sizes, 2.0 * alpha * beta),
        )
        return (dx,)

    return y, pullback
