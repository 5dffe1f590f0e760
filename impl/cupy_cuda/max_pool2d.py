"""Max pooling (MatConvNet's vl_nnpool; manual, section 4.3).

    y[n, c, p, q] = max over r, s of  x[n, c, p * stride + r - top, q * stride + s - left]

The padding counts as -inf, NaN propagates, and the gradient goes to the first maximum in row-major order (of a
window with NaN: to its first NaN). The gradient gathers, so it is the same every time.
"""

from __future__ import annotations

from impl.cupy_cuda.arrays import ALSO_16_BIT, Array, Pullback, check_images, check_same, contiguous
from impl.cupy_cuda.device import cupy
from impl.cupy_cuda.launch import over_maps
from impl.numpy_cpu.windows import Padding, Pair, pool_axes


def max_pool2d(
    x: Array, *, window: Pair, stride: Pair, padding: Padding, ceil_mode: bool = False
) -> tuple[Array, Pullback]:
    """The maxima of the windows of x (N, C, H, W): y (N, C, P, Q). The pullback takes dy like y and returns (dx,).

    Raises ValueError where the window does not fit, or the padding reaches the window's size.
    """
    check_images(x, ALSO_16_BIT)
    v, h = pool_axes(x.shape, window, stride, padding, ceil_mode)
    shape, dtype, planes = x.shape, x.dtype, x.shape[0] * x.shape[1]
    sizes = planes, v.size, h.size, v.taps, h.taps, v.out, h.out, v.stride, h.stride, v.before, h.before
    y = cupy.empty((*shape[:2], v.out, h.out), dtype)
    best = cupy.empty(y.shape, "int32")
    y_shape = y.shape
    over_maps("max_pool2d", "forward", dtype, planes, v.out * h.out, contiguous(x), y, best, *sizes)

    def pullback(dy: Array) -> tuple[Array]:
        check_same(dy, y_shape, dtype, "dy")
        dx = cupy.empty(shape, dtype)
        over_maps("max_pool2d", "backward", dtype, planes, v.size * h.size, contiguous(dy), best, dx, *sizes)
        return (dx,)

    return y, pullback
