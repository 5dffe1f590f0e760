"""Batch normalisation, channel by channel (MatConvNet's vl_nnbnorm; manual, sections 4.5.2 and 6.5.2).

    y = gain * d * r + bias,   d = x - mean,   r = 1 / sqrt(variance + epsilon)
    dbias = sum of dy,   dgain = r * sum of dy d                                  over the M = N H W pixels of a channel
    dx = gain * r * (dy - dbias / M - d * r * dgain / M),   or gain * r * dy where the moments are given

In training the variance is the mean of d^2 (biased, two passes: E[x^2] - mean^2 would lose all digits of a mean far
above the deviation). Sums are taken in float64, and the mean in two parts, of which the first subtracts without error.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from impl.numpy_cpu import threads
from impl.numpy_cpu.arrays import Array, Pullback, check_images, check_same, nhwc
from impl.numpy_cpu.elementwise import TILE, apply
from impl.numpy_cpu.tiles import tiles


class _Moments(NamedTuple):
    """Per channel: the mean as a sum of two parts, and the variance, in float64."""

    mean: Array
    rest: Array
    variance: Array


def batch_norm(
    x: Array, gain: Array, bias: Array, *, epsilon: float, moments: tuple[Array, Array] | None = None
) -> tuple[Array, Pullback]:
    """y of the shape of x (N, C, H, W), with gain and bias (C,); moments = (mean, variance), (C,) each, or None.

    The pullback takes dy like y and returns (dx, dgain, dbias). Raises ValueError where sizes or dtypes do not fit.
    """
    check_images(x)
    channels = (x.shape[1],)
    check_same(gain, channels, x.dtype, "gain")
    check_same(bias, channels, x.dtype, "bias")
    if epsilon < 0:
        raise ValueError(f"epsilon must be at least 0, got {epsilon}")
    if moments is None:
        mean, rest, variance = _measure(x)
    else:
        for name, value in zip(("mean", "variance"), moments, strict=True):
            check_same(value, channels, x.dtype, name)
        mean, rest, variance = _Moments(moments[0], np.zeros(channels, x.dtype), moments[1].astype(np.float64))
    r = 1 / np.sqrt(variance + epsilon)
    scale = (gain * r).astype(x.dtype)

    def forward(x: Array, y: Array) -> None:
        np.subtract(x, mean, out=y)
        y -= rest
        y *= scale
        y += bias

    def pullback(dy: Array) -> tuple[Array, Array, Array]:
        check_same(dy, x.shape, x.dtype, "dy")
        dbias = _sums(lambda dy, _: dy, dy, x)
        dgain = r * _sums(lambda dy, x: dy * (x - mean - rest), dy, x)
        pixels = max(x[:, 0].size, 1)
        shift, slope = (dbias / pixels).astype(x.dtype), (-r * dgain / pixels).astype(x.dtype)

        def backward(x: Array, dy: Array, dx: Array) -> None:
            if moments is None:
                np.subtract(x, mean, out=dx)
                dx -= rest
                dx *= slope
                dx += dy
                dx -= shift
                dx *= scale
            else:
                np.multiply(dy, scale, out=dx)

        return apply(backward, x, dy), dgain.astype(x.dtype), dbias.astype(x.dtype)

    return apply(forward, x), pullback


def _measure(x: Array) -> _Moments:
    pixels = max(x[:, 0].size, 1)
    exact = _sums(lambda x: x, x) / pixels
    mean = exact.astype(x.dtype)
    rest = (exact - mean).astype(x.dtype)
    return _Moments(mean, rest, _sums(lambda x: (x - mean - rest) ** 2, x) / pixels)


def _sums(term: Callable[..., Array], *arrays: Array) -> Array:
    """The sum of term(*arrays) over all pixels of each channel, in float64: (C,)."""
    n, c, h, w = arrays[0].shape
    pieces = tiles(n, h, w * c, TILE)
    seen = [nhwc(a) for a in arrays]
    sums = np.zeros((len(pieces), c))

    def task(i: int) -> None:
        parts = term(*(a[pieces[i].place] for a in seen))
        # Row by row first: sums of sums lose less than one long sum, also in float64.
        sums[i] = parts.sum(2, dtype=np.float64).sum((0, 1))

    threads.run(task, len(pieces))
    total: Array = sums.sum(0)
    return total
