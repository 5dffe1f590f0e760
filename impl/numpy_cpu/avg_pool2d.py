"""Average pooling (MatConvNet's vl_nnpool; manual, section 4.3).

    y[n, c, p, q] = 1 / d[p, q] * sum over r, s of  x[n, c, p * stride + r - top, q * stride + s - left]

The divisor d counts the pixels of the window inside the image, or with ``count_include_pad`` inside the image and its
padding. One strided pass over the image per tap of the window, in memory ordered (N, H, W, C).
"""

import itertools

import numpy as np

from impl.numpy_cpu import threads
from impl.numpy_cpu.arrays import Array, Pullback, check_images, check_same, empty, nhwc
from impl.numpy_cpu.windows import Axis, Padding, Pair, padding4, pool_axes

Axes = tuple[Axis, Axis]


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
    check_images(x)
    axes = pool_axes(x.shape, window, stride, padding, ceil_mode)
    sides = padding4(padding) if count_include_pad else (0, 0, 0, 0)
    divisors = counts(axes, sides).astype(x.dtype)
    y = empty((*x.shape[:2], axes[0].out, axes[1].out), x.dtype)
    y_shape, images, out = y.shape, nhwc(x), nhwc(y)

    def forward(i: int) -> None:
        sums(images[i], out[i], axes)
        out[i] /= divisors

    threads.run(forward, len(x))

    def pullback(dy: Array) -> tuple[Array]:
        check_same(dy, y_shape, x.dtype, "dy")
        dx = empty(x.shape, x.dtype)
        errors, gradient = nhwc(dy), nhwc(dx)
        threads.run(lambda i: spread(errors[i] / divisors, gradient[i], axes), len(x))
        return (dx,)

    return y, pullback


def counts(axes: Axes, sides: tuple[int, int, int, int] = (0, 0, 0, 0)) -> Array:
    """How many pixels of each window lie inside the image, or inside the image and these margins: (P, Q, 1)."""
    lengths = []
    for axis, before, after in zip(axes, sides[::2], sides[1::2], strict=True):
        start = np.arange(axis.out) * axis.stride - axis.before
        lengths.append(np.minimum(start + axis.taps, axis.size + after) - np.maximum(start, -before))
    pixels: Array = lengths[0][:, None, None] * lengths[1][:, None]
    return pixels


def sums(image: Array, out: Array, axes: Axes) -> None:
    """Writes the sum over each window of an image (H, W, C) to out (P, Q, C)."""
    out[...] = 0
    for outputs, pixels in _taps(axes):
        out[outputs] += image[pixels]


def spread(dy: Array, out: Array, axes: Axes) -> None:
    """The adjoint of ``sums``: writes each pixel's sum of dy (P, Q, C) over its windows to out (H, W, C)."""
    out[...] = 0
    for outputs, pixels in _taps(axes):
        out[pixels] += dy[outputs]


def _taps(axes: Axes) -> list[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """For each tap of the window: the outputs whose tap lies in the image, and the pixels there."""
    taps = []
    for r, s in itertools.product(range(axes[0].taps), range(axes[1].taps)):
        (p, i), (q, j) = axes[0].meets(r), axes[1].meets(s)
        taps.append(((p, q), (i, j)))
    return taps
