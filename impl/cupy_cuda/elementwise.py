"""Kernels that treat each element alone (kernels/elementwise.cu), on contiguous arrays, into a fresh one."""

from __future__ import annotations

import numpy as np

from impl.cupy_cuda.arrays import Array, contiguous
from impl.cupy_cuda.device import cupy
from impl.cupy_cuda.launch import over_elements


def apply(kernel: str, *arrays: Array, parameters: tuple[float, ...] = ()) -> Array:
    """A fresh array of the first one's shape and dtype: kernel(arrays..., fresh, size, parameters...)."""
    y = cupy.empty(arrays[0].shape, arrays[0].dtype)
    inputs = [contiguous(a) for a in arrays]
    over_elements("elementwise", kernel, y.dtype, y.size, *inputs, y, np.int64(y.size), *map(float, parameters))
    return y


def add_to(total: Array, a: Array) -> None:
    """total += a, both contiguous and of one dtype."""
    over_elements("elementwise", "add", total.dtype, total.size, total, a, total, np.int64(total.size))


def add_bias(y: Array, bias: Array) -> None:
    """y (N, C, H, W) += bias (C,), per channel."""
    channels, pixels = y.shape[1], y.shape[2] * y.shape[3]
    over_elements("elementwise", "add_bias", y.dtype, y.size, y, bias, np.int64(y.size), channels, pixels)
