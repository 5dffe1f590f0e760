"""Average pooling (MatConvNet's vl_nnpool; manual, section 4.3).

    y[n, c, p, q] = sum over r, s of  x[n, c, p * stride + r - top, q * stride + s - left] / count(p, q)

count is the number of the window's pixels inside the image, or with count_include_pad inside the padded image.
"""

from __future__ import annotations

from impl.cupy_cuda.arrays import ALSO_16_BIT, Array, Pullback, check_images, check_same, contiguous
from impl.cupy_cuda.device import cupy
from impl.cupy_cuda.launch import over_maps
from impl.numpy_cpu.windows import Padding, Pair, padding4, pool_axes


def avg_pool2d(
    x: Array,
    *,
    window: Pair,
    stride: Pair,
    padding: Padding,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> tuple[Array, Pullback]:
    """The means of the windows of x (N, C, H, W): y (N, C, P, Q). The pullback takes dy like y and returns (dx,).

    Raises ValueError where the window does not fit, or the padding reaches the window's size.
    """
    check_images(x, ALSO_16_BIT)
    v, h = pool_axes(x.shape, window, stride, padding, ceil_mode)
    _, bottom, _, right = padding4(padding)
    shape, dtype, planes = x.shape, x.dtype, x.shape[0] * x.shape[1]
    sizes = planes, v.size, h.size, v.taps, h.taps, v.out, h.out, v.stride, h.stride, v.before, h.before, bottom, right
    y = cupy.empty((*shape[:2], v.out, h.out), dtype)
    y_shape = y.shape
    over_maps("avg_pool2d", "forward", dtype, planes, v.out * h.out, contiguous(x), y, *sizes, bool(count_include_pad))

    def pullback(dy: Array) -> tuple[Array]:
        check_same(dy, y_shape, dtype, "dy")
        dx = cupy.empty(shape, dtype)
        over_maps(
            "avg_pool2d",
            "backward",
            dtype,
            planes,
            v.size * h.size,
            contiguous(dy),
            dx,
            *sizes,
            bool(count_include_pad),
        )
        return (dx,)

    return y, pullback
