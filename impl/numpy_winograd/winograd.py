"""The three products of a convolution of stride 1 by Winograd's minimal filtering F(m x m, r x r).

The map is cut into tiles of m x m outputs, which read n x n inputs, n = m + r - 1. With the transforms of
transforms.py, for each of the n^2 frequencies f and over all tiles t:

    forward   Y_t = A^T [ sum over c of  (G w G^T)_f * (B^T x_t B)_f ] A       a product (tiles x C) (C x K) for each f
    dx        the same of dy with the filters turned by 180 degrees
    dw        G^T [ sum over t of  (A dy_t A^T)_f * (B^T x_t B)_f ] G          a product (K x tiles) (tiles x C) each

F(4 x 4, 3 x 3) multiplies 4 times less than im2row, F(2 x 2, 5 x 5) 2.8 times, F(2 x 2, 3 x 3) 2.25 times. The threads
share blocks of tiles, whose size is a compromise between fast matrix products and the cache.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from impl.numpy_cpu import correlation, threads
from impl.numpy_cpu.arrays import Array, group_of
from impl.numpy_cpu.correlation import Axes
from impl.numpy_cpu.windows import Axis
from impl.numpy_winograd.mosaic import mosaic
from impl.numpy_winograd.spectra import error_spectra, filter_spectra, input_spectra, outputs, placed, taps
from impl.numpy_winograd.transforms import FILTERS, Transforms, transforms

LONG = 256  # elements of a row that a transform needs to be fast
CHANNELS = 4  # per group, at least: below, the transforms cost more than they spare


class Block(NamedTuple):
    """Some images, and some rows of tiles of each."""

    images: slice
    rows: slice


@dataclasses.dataclass(frozen=True)
class Winograd:
    """By tiles of 6 x 6 or 4 x 4 inputs where that is worth it, else im2row; an ``impl.numpy_cpu.conv2d.Products``."""

    inputs: int

    def applies(self, axes: Axes, channels: int) -> bool:
        """Whether there are square filters of a good size, stride 1, dilation 1 and enough channels in each group."""
        size = axes[0].taps
        return (
            channels >= CHANNELS
            and size in FILTERS[self.inputs]
            and all((a.taps, a.stride, a.dilation) == (size, 1, 1) for a in axes)
        )

    def forward(
        self,
        x: Array,
        w: Array,
        axes: Axes,
        groups: int,
        out: Array,
        bias: Array | None = None,
        rectify: bool = False,
    ) -> None:
        """Writes the convolution of x (N, H, W, C) with w (K, C/groups, R, R) to out (N, P, Q, K)."""
        if not self.applies(axes, w.shape[1]):
            correlation.forward(x, w, axes, groups, out, bias, rectify)
            return
        t = transforms(self.inputs, axes[0].taps, x.dtype)
        filters = filter_spectra(t, w.transpose(0, 2, 3, 1), groups).swapaxes(2, 3)
        _correlate(t, x, filters, axes, out, bias, rectify)

    def gradient_to_input(
        self, dy: Array, w: Array, axes: Axes, groups: int, out: Array, where: Array | None = None
    ) -> None:
        """Writes the gradient dx (N, H, W, C) to out. dy: (N, P, Q, K), counted ``where`` positive."""
        if not self.applies(axes, w.shape[1]):
            correlation.gradient_to_input(dy, w, axes, groups, out, where)
            return
        t = transforms(self.inputs, axes[0].taps, dy.dtype)
        turned = w[:, :, ::-1, ::-1].transpose(0, 2, 3, 1)
        back = [Axis(a.out, t.taps, 1, 1, t.taps - 1 - a.before, a.size) for a in axes]
        _correlate(t, dy, filter_spectra(t, turned, groups), (back[0], back[1]), out, where=where)

    def gradient_to_weights(
        self, x: Array, dy: Array, axes: Axes, groups: int, where: Array | None = None
    ) -> tuple[Array, Array]:
        """The gradients dw (K, R, R, C/groups) and db (K,). dy: (N, P, Q, K), counted ``where`` positive."""
        if not self.applies(axes, x.shape[3] // groups):
            return correlation.gradient_to_weights(x, dy, axes, groups, where)
        return _gradient_to_weights(transforms(self.inputs, axes[0].taps, x.dtype), x, dy, axes, groups, where)


def _correlate(
    t: Transforms,
    x: Array,
    filters: Array,
    axes: Axes,
    out: Array,
    bias: Array | None = None,
    rectify: bool = False,
    where: Array | None = None,
) -> None:
    """filters: (groups, frequencies, C/groups, K/groups)."""
    if joined := mosaic(axes, len(x), t.outputs):
        sizes = joined.axes[0].size, joined.axes[1].size
        maps = np.empty((joined.count, joined.axes[0].out, joined.axes[1].out, out.shape[3]), x.dtype)
        _correlate_blocks(t, joined.arrange(x, sizes, where), filters, joined.axes, maps, bias, rectify)
        joined.collect(maps, out)
    else:
        _correlate_blocks(t, x, filters, axes, out, bias, rectify, where)


def _correlate_blocks(
    t: Transforms,
    x: Array,
    filters: Array,
    axes: Axes,
    out: Array,
    bias: Array | None,
    rectify: bool,
    where: Array | None = None,
) -> None:
    groups, frequencies, channels, kernels = filters.shape
    blocks = _blocks(t, axes, len(x), min(channels, kernels), 392 if max(channels, kernels) > 256 else 200)

    def task(i: int) -> None:
        images, rows = blocks[i]
        size, down, across = _block_shape(t, axes, blocks[i])
        product = threads.scratch("product", (frequencies, down * across * size, kernels), x.dtype)
        for g in range(groups):
            mask = None if where is None else group_of(where, g, groups)
            source = _gather(t, group_of(x, g, groups), mask, axes, blocks[i])
            spectra = input_spectra(t, source)
            np.matmul(spectra.reshape(frequencies, -1, channels), filters[g], out=product)
            tiles = outputs(t, product.reshape(t.inputs, t.inputs, down, across, size * kernels))
            maps = tiles.reshape(down * t.outputs, across * t.outputs, size, kernels)
            if bias is not None:
                np.add(maps, bias[g * kernels : (g + 1) * kernels], out=maps)
            part = group_of(out, g, groups)[images, rows.start * t.outputs : rows.stop * t.outputs].transpose(
                1, 2, 0, 3
            )
            maps = maps[: part.shape[0], : part.shape[1]]
            if rectify:
                np.maximum(maps, np.zeros(kernels, x.dtype), out=part)
            else:
                np.copyto(part, maps)

    threads.run(task, len(blocks))


def _gradient_to_weights(
    t: Transforms, x: Array, dy: Array, axes: Axes, groups: int, where: Array | None
) -> tuple[Array, Array]:
    if joined := mosaic(axes, len(x), t.outputs):
        x = joined.arrange(x, (joined.axes[0].size, joined.axes[1].size))
        dy = joined.arrange(dy, (joined.axes[0].out, joined.axes[1].out), where)
        axes, where = joined.axes, None
    channels, kernels, frequencies = x.shape[3] // groups, dy.shape[3] // groups, t.inputs**2
    blocks = _blocks(t, axes, len(x), min(channels, kernels), 784 if max(channels, kernels) > 128 else 224)
    shares = threads.split(len(blocks), threads.threads())
    sums = np.zeros((len(shares), groups, frequencies, kernels, channels), x.dtype)
    bias_sums = np.zeros((len(shares), groups, kernels), x.dtype)

    def task(i: int) -> None:
        product = threads.scratch("product", (kernels, channels), x.dtype)
        for block in blocks[shares[i]]:
            for g in range(groups):
                source = _gather(t, group_of(x, g, groups), None, axes, block)
                inputs = input_spectra(t, source).reshape(frequencies, -1, channels)
                mask = None if where is None else group_of(where, g, groups)
                errors = _error_tiles(t, group_of(dy, g, groups), mask, axes, block)
                bias_sums[i, g] += np.ones(errors.size // kernels, x.dtype) @ errors.reshape(-1, kernels)
                spectra = error_spectra(t, errors).reshape(frequencies, -1, kernels)
                for f in range(frequencies):
                    np.matmul(spectra[f].T, inputs[f], out=product)
                    np.add(sums[i, g, f], product, out=sums[i, g, f])

    threads.run(task, len(shares))
    for other in sums[1:]:
        sums[0] += other
    return np.concatenate([taps(t, part) for part in sums[0]]), bias_sums.sum(0).reshape(-1)


def _blocks(t: Transforms, axes: Axes, images: int, channels: int, target: int) -> list[Block]:
    """Blocks of about ``target`` tiles, of several images where channels are few; enough of them for all threads."""
    down, across = (-(-axis.out // t.outputs) for axis in axes)
    if images < 1:
        return []
    target = min(target, -(-images * down * across // threads.threads()))
    group = min(images, max(1, -(-LONG // channels), target // (down * across)))
    rows = max(1, min(down, target // (group * across)))
    return [
        Block(i, r) for i in threads.split(images, -(-images // group)) for r in threads.split(down, -(-down // rows))
    ]


def _block_shape(t: Transforms, axes: Axes, block: Block) -> tuple[int, int, int]:
    """Images, rows of tiles, tiles in a row."""
    return (
        block.images.stop - block.images.start,
        block.rows.stop - block.rows.start,
        -(-axes[1].out // t.outputs),
    )


def _gather(t: Transforms, x: Array, where: Array | None, axes: Axes, block: Block) -> Array:
    """What a block's tiles read, (rows, columns, images, C) with zeros outside the image, in scratch memory."""
    size, down, across = _block_shape(t, axes, block)
    shape = (down * t.outputs + t.taps - 1, across * t.outputs + t.taps - 1, size, x.shape[3])
    start = (block.rows.start * t.outputs - axes[0].before, -axes[1].before)
    return placed(x[block.images], None if where is None else where[block.images], shape, start, "source")


def _error_tiles(t: Transforms, dy: Array, where: Array | None, axes: Axes, block: Block) -> Array:
    """The errors of a block's tiles, (rows, columns, images, K) with zeros beyond the map, in scratch memory."""
    size, down, across = _block_shape(t, axes, block)
    shape = (down * t.outputs, across * t.outputs, size, dy.shape[3])
    start = (block.rows.start * t.outputs, 0)
    return placed(dy[block.images], None if where is None else where[block.images], shape, start, "errors")
