"""Max pooling (MatConvNet's vl_nnpool; manual, section 4.3).

    y[n, c, p, q] = max over r, s of  x[n, c, p * stride + r - top, q * stride + s - left]

The padding counts as -inf, NaN propagates, and the gradient goes to the first maximum in row-major order (of a window
with NaN: to its first NaN). Memory is ordered (N, H, W, C); an image is walked in bands of output rows that fit a
cache, each band in one strided pass per tap of the window; with Numba, in one pass for all.
"""

import functools

import numpy as np

from impl.numpy_cpu import compiled, threads
from impl.numpy_cpu.arrays import Array, Pullback, check_images, check_same, empty, nhwc
from impl.numpy_cpu.masks import keep
from impl.numpy_cpu.windows import Axis, Padding, Pair, pairs, pool_axes

Tap = tuple[tuple[slice, slice], tuple[slice, slice]]
BAND = 1 << 17  # input elements


def max_pool2d(
    x: Array, *, window: Pair, stride: Pair, padding: Padding, ceil_mode: bool = False
) -> tuple[Array, Pullback]:
    """The maxima of the windows of x (N, C, H, W): y (N, C, P, Q). The pullback takes dy like y and returns (dx,).

    Raises ValueError where the window does not fit, or the padding reaches the window's size.
    """
    check_images(x)
    vertical, horizontal = pool_axes(x.shape, window, stride, padding, ceil_mode)
    y = empty((*x.shape[:2], vertical.out, horizontal.out), x.dtype)
    if compiled.available:
        return y, _compiled(x, y, vertical, horizontal)
    images, out = nhwc(x), nhwc(y)
    rows = max(1, BAND // max(1, x.shape[1] * x.shape[3] * vertical.stride))
    bands = [_band(vertical, p, min(p + rows, vertical.out)) for p in range(0, vertical.out, rows)]

    def forward(i: int) -> None:
        for inputs, outputs, axis in bands:
            _pool(images[i, inputs], out[i, outputs], _taps(axis, horizontal))

    threads.run(forward, len(x))

    def pullback(dy: Array) -> tuple[Array]:
        check_same(dy, y.shape, x.dtype, "dy")
        dx = empty(x.shape, x.dtype)
        errors, gradient = nhwc(dy), nhwc(dx)

        def backward(i: int) -> None:
            done = 0
            for inputs, outputs, axis in bands:
                gradient[i, done : inputs.stop] = 0
                done = inputs.stop
                taps = _taps(axis, horizontal)
                _unpool(images[i, inputs], out[i, outputs], errors[i, outputs], gradient[i, inputs], taps)
            gradient[i, done:] = 0

        threads.run(backward, len(x))
        return (dx,)

    return y, pullback


def _compiled(x: Array, y: Array, vertical: Axis, horizontal: Axis) -> Pullback:
    """Writes the maxima to y by the compiled loops, and returns the pullback."""
    images, out = compiled.contiguous(x), nhwc(y)
    window = pairs((vertical, horizontal), "taps", "stride", "before")
    threads.run(lambda n: compiled.maxima(images, out, n, *window), len(x))

    def pullback(dy: Array) -> tuple[Array]:
        check_same(dy, y.shape, x.dtype, "dy")
        dx = empty(x.shape, x.dtype)
        errors, gradient = compiled.contiguous(dy), nhwc(dx)
        threads.run(lambda n: compiled.to_maxima(images, out, errors, gradient, n, *window), len(x))
        return (dx,)

    return pullback


def _band(axis: Axis, first: int, last: int) -> tuple[slice, slice, Axis]:
    """The input rows of output rows first .. last-1, these output rows, and the axis between the two."""
    start, stop = axis.reach(first, last)
    inputs = slice(max(start, 0), min(stop, axis.size))
    band = Axis(inputs.stop - inputs.start, axis.taps, axis.stride, 1, inputs.start - start, last - first)
    return inputs, slice(first, last), band


@functools.lru_cache
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
    """Adds the gradients dy of the maxima to dx, at the first pixel of each window that equals its maximum."""
    left = threads.scratch("left", maxima.shape, np.bool_)  # outputs whose maximum is yet to be met
    left[...] = True
    has_nan = bool(np.isnan(maxima.max()))
    for outputs, pixels in taps:
        shape = maxima[outputs].shape
        met = np.equal(image[pixels], maxima[outputs], out=threads.scratch("met", shape, np.bool_))
        if has_nan:
            np.logical_or(met, np.isnan(image[pixels]), out=met)
        np.logical_and(met, left[outputs], out=met)
        np.not_equal(left[outputs], met, out=left[outputs])
        part = threads.scratch("part", shape, dx.dtype)
        keep(dy[outputs], met, part)
        np.add(dx[pixels], part, out=dx[pixels])
