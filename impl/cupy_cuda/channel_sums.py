"""Sums over images and pixels per channel (kernels/channel_sums.cu): a tree per block, then the blocks in order."""

from __future__ import annotations

from typing import Any

from impl.cupy_cuda.arrays import Array
from impl.cupy_cuda.device import cupy
from impl.cupy_cuda.launch import THREADS, over_channels, over_elements

MOST_SHARES = 64  # blocks that share a channel
LEAST_SHARE = 8 * THREADS  # elements worth a block


def channel_sum(x: Array) -> Array:
    """The sum of x (N, C, H, W) over images and pixels: (C,)."""
    return _sums("sum_values", x, (x,), 1.0)


def channel_mean(x: Array) -> Array:
    """The mean of x over images and pixels: (C,)."""
    return _sums("sum_values", x, (x,), _count(x))


def channel_variance(x: Array, mean: Array) -> Array:
    """The mean of (x - mean)^2, in a second pass over x: (C,)."""
    return _sums("sum_squares", x, (x, mean), _count(x))


def channel_products(x: Array, dy: Array, mean: Array, inverse: Array) -> Array:
    """The sum of dy (x - mean) inverse: (C,)."""
    return _sums("sum_products", x, (x, dy, mean, inverse), 1.0)


def total(a: Array) -> Array:
    """The sum of all elements, a 0-d array."""
    return channel_sum(a.reshape(1, 1, 1, a.size)).reshape(())


def _sums(kernel: str, x: Array, arrays: tuple[Any, ...], divisor: float) -> Array:
    images, channels, height, width = x.shape
    sums = cupy.empty(channels, x.dtype)
    if not x.size:
        sums.fill(0)
        return sums
    shares = max(1, min(MOST_SHARES, images * height * width // LEAST_SHARE))
    parts = cupy.empty((channels, shares), "float64" if x.dtype.name == "float64" else "float32")
    over_channels(kernel, x.dtype, shares, channels, *arrays, parts, images, channels, height * width)
    over_elements("channel_sums", "fold", x.dtype, channels, parts, sums, channels, shares, divisor)
    return sums


def _count(x: Array) -> float:
    return float(max(1, len(x) * x.shape[2] * x.shape[3]))
