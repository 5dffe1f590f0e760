"""Max pooling (MatConvNet's vl_nnpool; manual, section 4.3).

    y[n, c, p, q] = max over r, s of  x[n, c, p * stride + r - top, q * stride + s - left]

The padding counts as -inf, NaN propagates, and the gradient goes to the first maximum in row-major order (of a window
with NaN: to its first NaN). One strided pass over the image per tap of the window, in memory ordered (N, H, W, C).
"""

import numpy as np

from impl.numpy_cpu import threads
from impl.numpy_cpu.arrays import Array, Pullback, check_images, check_same, empty, nhwc
from impl.numpy_cpu.windows import Axis, Padding, Pair, pool_axes

Tap = tuple[tuple[slice, slice], tuple[slice, slice]]


def max_pool2d(
    x: Array, *, window: Pair, stride: Pair, padding: Padding, ceil_mode: bool = False
) -> tuple[Array, Pullback]:
    """The maxima of the windows of x (N, C, H, W): y (N, C, P, Q). The pullback takes dy like y and returns (dx,).

    Raises ValueError where the window does not fit, or the padding reaches the window's size.
    """
    check_images(x)
    axes = pool_axes(x.shape, window, stride, padding, ceil_mode)
    taps = _taps(*axes)
    y = empty((*x.shape[:2], axes[0].out, axes[1].out), x.dtype)
    images, out = nhwc(x), nhwc(y)
    threads.run(lambda i: _pool(images[i], out[i], taps), len(x))

    def pullback(dy: Array) -> tuple[Array]:
        check_same(dy, y.shape, x.dtype, "dy")
        dx = empty(x.shape, x.dtype)
        errors, gradient = nhwc(dy), nhwc(dx)
        threads.run(lambda i: _unpool(images[i], out[i], errors[i], gradient[i], taps), len(x))
        return (dx,)

    return y, pullback


def _taps(vertical: Axis, horizontal: Axis) -> list[Tap]:
    """For each tap in row-major order: the outputs whose tap lies in the image, and the pixels there."""
    taps = []
    for r in range(vertical.taps):
        for s in range(horizontal.taps):
            (p, i), (q, j) = vertical.meets(r), horizontal.meets(s)
            taps.append(((p, q), (i, j)))
    return taps


def _pool(image: Array, out: Array, taps: list[Tap]) -> None:
    out[...] = -np.inf
    for outputs, pixels in taps:
        np.maximum(out[outputs], image[pixels], out=out[outputs])


def _unpool(image: Array, maxima: Array, dy: Array, dx: Array, taps: list[Tap]) -> None:
    dx[...] = 0
    left = threads.scratch("left", maxima.shape, np.bool_)  # outputs whose maximum is yet to be met
    left[...] = True
    has_nan = bool(np.isnan(maxima).any())
    for outputs, pixels in taps:
        met = image[pixels] == maxima[outputs]
        if has_nan:
            met |= np.isnan(image[pixels])
        met &= left[outputs]
        left[outputs] ^= met
        dx[pixels] += np.where(met, dy[outputs], 0)
