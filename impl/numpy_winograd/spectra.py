"""From tiles of images, errors and filters to their frequencies and back, for the transforms of transforms.py.

Blocks are ordered (rows, columns, images, channels) in memory, so that images and channels together make long rows of
length L. A transform in two dimensions is then two batched matrix products, along the rows of the tiles and along their
columns, on strided views that overlap as the tiles do: no gather. Frequencies come out as (i, j, down, across, L), for
each of them a matrix of tiles by channels. All results but those of ``filter_spectra`` and ``taps`` lie in the calling
thread's scratch memory.
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from impl.numpy_cpu import threads
from impl.numpy_cpu.arrays import Array
from impl.numpy_cpu.masks import keep, positive
from impl.numpy_winograd.transforms import Transforms


def placed(x: Array, where: Array | None, shape: tuple[int, ...], start: tuple[int, int], name: str) -> Array:
    """x (n, H, W, C) as (rows, columns, n, C) from pixel ``start``; 0 outside, and where ``where`` is not positive."""
    out = threads.scratch(name, shape, x.dtype)
    spans = []
    for i in (0, 1):
        first = min(max(-start[i], 0), shape[i])
        spans.append((first, max(first, min(x.shape[1 + i] - start[i], shape[i]))))
    (top, bottom), (left, right) = spans
    out[:top] = 0
    out[bottom:] = 0
    out[top:bottom, :left] = 0
    out[top:bottom, right:] = 0
    window = (slice(None), slice(top + start[0], bottom + start[0]), slice(left + start[1], right + start[1]))
    inner = out[top:bottom, left:right].transpose(2, 0, 1, 3)
    if where is None:
        np.copyto(inner, x[window])
    else:
        keep(x[window], positive(where[window]), inner)
    return out


def input_spectra(t: Transforms, source: Array) -> Array:
    """B^T d B of the overlapping tiles d of source (rows, columns, n, C): (i, j, down, across, n * C)."""
    rows, columns, size, channels = source.shape
    m, n, length = t.outputs, t.inputs, size * channels
    down, across = (rows - t.taps + 1) // m, (columns - t.taps + 1) // m
    row, column, _, one = source.strides
    half = threads.scratch("half", (down, n, columns, length), source.dtype)
    tiles = as_strided(source, (down, columns, n, length), (m * row, column, row, one))
    np.matmul(t.b, tiles, out=half.transpose(0, 2, 1, 3))
    spectra = threads.scratch("spectra", (n, n, down, across, length), source.dtype)
    block, row, column, one = half.strides
    tiles = as_strided(half, (down, n, across, n, length), (block, row, m * column, column, one))
    np.matmul(t.b, tiles, out=spectra.transpose(2, 0, 3, 1, 4))
    return spectra


def error_spectra(t: Transforms, errors: Array) -> Array:
    """A e A^T of the tiles e of errors (rows, columns, n, K): (i, j, down, across, n * K)."""
    rows, columns, size, kernels = errors.shape
    m, n, length = t.outputs, t.inputs, size * kernels
    down, across = rows // m, columns // m
    half = threads.scratch("half", (down, n, columns, length), errors.dtype)
    tiles = errors.reshape(down, m, columns, length).transpose(0, 2, 1, 3)
    np.matmul(t.a.T, tiles, out=half.transpose(0, 2, 1, 3))
    spectra = threads.scratch("error spectra", (n, n, down, across, length), errors.dtype)
    tiles = half.reshape(down, n, across, m, length)
    np.matmul(t.a.T, tiles, out=spectra.transpose(2, 0, 3, 1, 4))
    return spectra


def outputs(t: Transforms, products: Array) -> Array:
    """A^T p A of products (i, j, down, across, L): (down, m, across, m, L), which are rows and columns of the map."""
    n, _, down, across, length = products.shape
    half = threads.scratch("half", (down, t.outputs, across, n, length), products.dtype)
    np.matmul(t.a, products.transpose(2, 3, 1, 0, 4), out=half.transpose(0, 2, 3, 1, 4))
    maps = threads.scratch("maps", (down, t.outputs, across, t.outputs, length), products.dtype)
    np.matmul(t.a, half, out=maps)
    return maps


def filter_spectra(t: Transforms, w: Array, groups: int) -> Array:
    """G w G^T of w (K, R, R, C/groups): (groups, frequencies, K/groups, C/groups)."""
    kernels, channels = len(w) // groups, w.shape[3]
    out = np.empty((groups, t.inputs, t.inputs, kernels, channels), w.dtype)
    parts = [(g, k) for g in range(groups) for k in threads.split(kernels, 2 * threads.threads())]

    def task(i: int) -> None:
        g, part = parts[i]
        some = np.ascontiguousarray(w[g * kernels : (g + 1) * kernels][part])  # (k, R, R, C)
        half = threads.scratch("half", (len(some), t.inputs, t.taps, channels), w.dtype)
        np.matmul(t.g, some.reshape(len(some), t.taps, -1), out=half.reshape(len(some), t.inputs, -1))
        np.matmul(t.g, half, out=out[g][:, :, part].transpose(2, 0, 1, 3))

    threads.run(task, len(parts))
    return out.reshape(groups, -1, kernels, channels)


def taps(t: Transforms, sums: Array) -> Array:
    """G^T s G of sums (frequencies, K, C): the gradient (K, R, R, C)."""
    _, kernels, channels = sums.shape
    half = np.empty((kernels, t.taps, t.inputs, channels), sums.dtype)
    np.matmul(
        t.g.T, sums.reshape(t.inputs, t.inputs, kernels, channels).transpose(2, 1, 0, 3), out=half.transpose(0, 2, 1, 3)
    )
    dw: Array = np.matmul(t.g.T, half)
    return dw
