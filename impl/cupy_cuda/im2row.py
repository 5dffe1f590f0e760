"""The matrix of a convolution on the device (kernels/im2row.cu), and how many images at a time fit the workspace."""

from __future__ import annotations

from collections.abc import Iterator

from impl.cupy_cuda.arrays import Array
from impl.cupy_cuda.device import cupy
from impl.cupy_cuda.launch import over_maps
from impl.numpy_cpu.windows import Axis

WORKSPACE = 256 << 20
"""Bytes for the matrix: the images are taken in sub-batches whose matrices fit (one image at the least)."""

FEW_GROUPS = 8  # up to here one product per group, which needs no copy of a transposed operand


def sub_batches(images: int, channels: int, axes: tuple[Axis, Axis], itemsize: int) -> Iterator[slice]:
    """Images in turns whose matrices fit the workspace."""
    vertical, horizontal = axes
    row = channels * vertical.taps * horizontal.taps * vertical.out * horizontal.out * itemsize
    count = max(1, WORKSPACE // max(1, row))
    for first in range(0, images, count):
        yield slice(first, min(first + count, images))


def im2row(x: Array, axes: tuple[Axis, Axis]) -> Array:
    """x (N, C, H, W) as rows (C R S, N P Q)."""
    n, c = x.shape[:2]
    vertical, horizontal = axes
    rows = cupy.empty((c * vertical.taps * horizontal.taps, n * vertical.out * horizontal.out), x.dtype)
    pixels = vertical.out * horizontal.out
    over_maps("im2row", "im2row", x.dtype, n * c, pixels, x, rows, n, c, *_sizes(axes))
    return rows


def row2im(rows: Array, x: Array, axes: tuple[Axis, Axis]) -> None:
    """The adjoint of im2row: x (N, C, H, W) becomes, pixel by pixel, the sum of its places in rows (C R S, N P Q)."""
    n, c, h, w = x.shape
    over_maps("im2row", "row2im", x.dtype, n * c, h * w, rows, x, n, c, *_sizes(axes))


def swapped(a: Array, i: int, j: int) -> Array:
    """a, read as (i, j, pixels), as (j, i, pixels) and of shape (j, i pixels)."""
    pixels = a.size // max(1, i * j)
    to = cupy.empty((j, i * pixels), a.dtype)
    over_maps("im2row", "swap", a.dtype, i * j, pixels, a, to, i, j, pixels)
    return to


def finish(product: Array, y: Array, bias: Array | None, slope: float) -> None:
    """product (K, N P Q) into y (N, K, P, Q), plus the bias, through relu where the slope is not 1."""
    n, k, p, q = y.shape
    over_maps(
        *("im2row", "finish", y.dtype, n * k, p * q, product, y),
        *(product if bias is None else bias, bias is not None, float(slope), k, n, p * q),
    )


def products(a: Array, b: Array) -> Array:
    """a[g] b[g] for each group g: (G, I, L) times (G, L, J), perhaps transposed, is a fresh (G, I, J)."""
    if a.dtype.name == "bfloat16":  # cuBLAS takes it, CuPy's products do not everywhere
        return products(a.astype("float32"), b.astype("float32")).astype(a.dtype)
    if len(a) > FEW_GROUPS:
        return cupy.matmul(a, b)
    c = cupy.empty((len(a), a.shape[1], b.shape[2]), a.dtype)
    for g in range(len(a)):
        cupy.dot(a[g], b[g], out=c[g])
    return c


def _sizes(axes: tuple[Axis, Axis]) -> tuple[int, ...]:
    v, h = axes
    return (
        *(v.size, h.size, v.taps, h.taps, v.out, h.out, v.stride, h.stride),
        *(v.before, h.before, v.dilation, h.dilation),
    )
