"""The three products of a convolution layer, exact: cache-sized tiles of im2row and one matrix product each.

With x (N, H, W, C), y (N, P, Q, K) and, for one group, a weight matrix of R*S*C rows and K columns:

    y[n, p, q, :]  = sum over r, s of  x[n, p * stride + r * dilation - before, ..., :] @ w[r, s]        (correlate)
    dw[r, s]       = sum over n, p, q of  x[n, p * stride + r * dilation - before, ..., :]^T @ dy[n, p, q]
    dx             = the adjoint of the first: x[n, p * stride + r * dilation - before, ...] gets  dy[n, p, q] w[r, s]^T

Row (n, p, q) of the patch matrix holds the R*S*C inputs of one output pixel; a tile of such rows stays in cache.
All arrays are channels last. The weight matrix of a group is (R, S, C) by K, in any memory order that BLAS takes.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import as_strided

from impl.numpy_cpu import compiled, threads
from impl.numpy_cpu.arrays import Array, group_of
from impl.numpy_cpu.masks import keep, positive
from impl.numpy_cpu.tiles import Tile, tiles
from impl.numpy_cpu.windows import Axis, pairs

Axes = tuple[Axis, Axis]
PRODUCT = 1 << 18  # elements


def correlate(
    x: Array,
    matrices: Array,
    axes: Axes,
    out: Array,
    *,
    bias: Array | None = None,
    rectify: bool = False,
    where: Array | None = None,
) -> None:
    """Writes the correlation of x (N, H, W, C) to out (N, P, Q, K), which may be strided.

    matrices: (groups, R*S*C/groups, K/groups). bias: (K,) or None. rectify: max(., 0) of the result.
    where: an array like x; x counts only where it is positive.
    """
    groups, patch, filters = matrices.shape
    pieces = _tiles(axes, len(out), patch)
    row = (axes[1].out, filters)  # a bias repeated along the row adds several times faster than a short one
    biases = None if bias is None else [np.broadcast_to(part, row).copy() for part in np.split(bias, groups)]
    zeros = np.zeros(row, x.dtype)

    def task(i: int) -> None:
        piece, target = pieces[i], out[pieces[i].place]
        product = threads.scratch("product", (*target.shape[:3], filters), x.dtype)
        for g in range(groups):
            mask = None if where is None else group_of(where, g, groups)
            patches = _patches(_source(group_of(x, g, groups), mask, piece, axes), piece, axes)
            np.matmul(patches, matrices[g], out=product.reshape(-1, filters))
            if biases is not None:
                np.add(product, biases[g], out=product)
            if rectify:
                np.maximum(product, zeros, out=group_of(target, g, groups))
            else:
                np.copyto(group_of(target, g, groups), product)

    threads.run(task, len(pieces))


def forward(
    x: Array, w: Array, axes: Axes, groups: int, out: Array, bias: Array | None = None, rectify: bool = False
) -> None:
    """Writes the convolution of x (N, H, W, C) with w (K, C/groups, R, S), bias and ReLU added, to out (N, P, Q, K)."""
    correlate(x, forward_matrices(w, groups), axes, out, bias=bias, rectify=rectify)


def gradient_to_input(dy: Array, w: Array, axes: Axes, groups: int, out: Array, where: Array | None = None) -> None:
    """Writes the gradient dx (N, H, W, C) to out. dy: (N, P, Q, K), counted ``where`` positive; w: (K, C/groups, R, S).

    For small dense filters the correlation of dy with the filters turned by 180 degrees; for others, whose patches of
    dy would be large or mostly zero, tap by tap.
    """
    if all(axis.stride == 1 and axis.taps <= 3 for axis in axes):
        turned = transposed_matrices(w[:, :, ::-1, ::-1], groups)
        correlate(dy, turned, (_turned(axes[0]), _turned(axes[1])), out, where=where)
    else:
        _scatter(dy, w, axes, groups, out, where)


def _turned(axis: Axis) -> Axis:
    """The axis of the correlation of dy with the turned filters."""
    return Axis(axis.out, axis.taps, 1, axis.dilation, (axis.taps - 1) * axis.dilation - axis.before, axis.size)


def _scatter(dy: Array, w: Array, axes: Axes, groups: int, out: Array, where: Array | None) -> None:
    """Adds dy @ w[r, s] to the pixels that each tap (r, s) meets, in bands of output rows that fit the cache."""
    if compiled.available:
        _scatter_all_taps(dy, w, axes, groups, out, where)
        return
    vertical, horizontal = axes
    kernels, channels, rows, columns = w.shape
    taps = w.reshape(groups, kernels // groups, channels, rows, columns).transpose(0, 3, 4, 1, 2).copy()
    bands = threads.split(vertical.out, -(-vertical.out * horizontal.out // 1024))

    def task(n: int) -> None:
        out[n] = 0
        for band in bands:
            errors = _errors(dy[n : n + 1, band], None if where is None else where[n : n + 1, band])
            product = threads.scratch("product", (band.stop - band.start, horizontal.out, channels), dy.dtype)
            for g, r, s in np.ndindex(taps.shape[:3]):
                (p, i), (q, j) = vertical.meets(r, band), horizontal.meets(s)
                np.matmul(group_of(errors, g, groups), taps[g, r, s], out=product.reshape(-1, channels))
                part = group_of(out[n, i, j], g, groups)
                np.add(part, product[p.start - band.start : p.stop - band.start, q], out=part)

    threads.run(task, len(dy))


def _scatter_all_taps(dy: Array, w: Array, axes: Axes, groups: int, out: Array, where: Array | None) -> None:
    """As `_scatter`, with one product for all taps and one compiled loop to add them up. out is contiguous."""
    vertical, horizontal = axes
    filters, channels = len(w) // groups, w.shape[1]
    rows = np.ascontiguousarray(w.transpose(0, 2, 3, 1)).reshape(groups, filters, -1)
    bands = threads.split(vertical.out, -(-vertical.out * horizontal.out * rows.shape[2] // PRODUCT))
    window = pairs(axes, "taps", "stride", "dilation", "before")

    def task(n: int) -> None:
        out[n] = 0
        for band in bands:
            errors = _errors(dy[n : n + 1, band], None if where is None else where[n : n + 1, band])
            shape = (band.stop - band.start, horizontal.out, vertical.taps * horizontal.taps, channels)
            product = threads.scratch("product", shape, dy.dtype)
            for g in range(groups):
                np.matmul(group_of(errors, g, groups), rows[g], out=product.reshape(len(errors), -1))
                compiled.scattered(product, out, n, band.start, g * channels, *window)

    threads.run(task, len(dy))


def gradient_to_weights(
    x: Array, dy: Array, axes: Axes, groups: int, where: Array | None = None
) -> tuple[Array, Array]:
    """The gradients dw (K, R, S, C/groups) and db (K,). x: (N, H, W, C); dy: (N, P, Q, K), counted ``where`` positive.

    Each thread sums a share of the tiles that does not depend on timing, so that the result is reproducible.
    """
    taps, channels, filters = (axes[0].taps, axes[1].taps), x.shape[3] // groups, dy.shape[3] // groups
    patch = math.prod(taps) * channels
    pieces = _tiles(axes, len(x), patch)
    shares = threads.split(len(pieces), threads.threads())
    sums = np.zeros((len(shares), groups, filters, patch), x.dtype)
    bias_sums = np.zeros((len(shares), groups * filters), x.dtype)

    def task(i: int) -> None:
        product = threads.scratch("product", (filters, patch), x.dtype)
        for piece in pieces[shares[i]]:
            errors = _errors(dy[piece.place], None if where is None else where[piece.place])
            bias_sums[i] += np.ones(len(errors), x.dtype) @ errors
            for g in range(groups):
                patches = _patches(_source(group_of(x, g, groups), None, piece, axes), piece, axes)
                np.matmul(group_of(errors, g, groups).T, patches, out=product)
                np.add(sums[i, g], product, out=sums[i, g])

    threads.run(task, len(shares))
    for other in sums[1:]:
        sums[0] += other
    return sums[0].reshape(groups * filters, *taps, channels), bias_sums.sum(0)


def forward_matrices(w: Array, groups: int) -> Array:
    """(groups, R*S*C/groups, K/groups) of w (K, C/groups, R, S); a view where the memory of w is ordered K, R, S, C."""
    filters = np.ascontiguousarray(w.transpose(0, 2, 3, 1))
    return filters.reshape(groups, len(w) // groups, -1).swapaxes(1, 2)


def transposed_matrices(w: Array, groups: int) -> Array:
    """(groups, R*S*K/groups, C/groups) of w (K, C/groups, R, S)."""
    filters, channels, rows, columns = w.shape
    by_group = w.reshape(groups, filters // groups, channels, rows, columns)
    return by_group.transpose(0, 3, 4, 1, 2).reshape(groups, -1, channels)


def _tiles(axes: Axes, images: int, patch: int) -> list[Tile]:
    """Tiles of output pixels: enough for a matrix product at full speed, few enough to stay in cache."""
    size = 1024 if patch < 1500 else 512 if patch < 2000 else 784  # fastest on the layers of the six networks
    return tiles(images, axes[0].out, axes[1].out, size)


def _errors(dy: Array, where: Array | None) -> Array:
    """dy (n, p, q, K) as a matrix of n*p*q rows, 0 where ``where`` is not positive."""
    if where is None:
        return dy.reshape(-1, dy.shape[3])
    errors = threads.scratch("errors", dy.shape, dy.dtype)
    if compiled.available and dy.flags.c_contiguous and where.flags.c_contiguous:
        compiled.where_positive(dy, where, errors)
    else:
        keep(dy, positive(where), errors)
    return errors.reshape(-1, dy.shape[3])


def _source(x: Array, where: Array | None, tile: Tile, axes: Axes) -> Array:
    """The padded part (n, h, w, C) of x that a tile of outputs reads; 0 where ``where`` is not positive."""
    vertical, horizontal = axes
    rows, columns = vertical.reach(tile.rows.start, tile.rows.stop), horizontal.reach(0, horizontal.out)
    return _padded(x[tile.images], rows, columns, None if where is None else where[tile.images])


def _patches(source: Array, tile: Tile, axes: Axes) -> Array:
    """The patch matrix of a tile, n*p*Q rows of R*S*C, in the calling thread's scratch memory."""
    vertical, horizontal = axes
    image, row, column, channel = source.strides
    windows = as_strided(
        source,
        (
            len(source),
            tile.rows.stop - tile.rows.start,
            horizontal.out,
            vertical.taps,
            horizontal.taps,
            source.shape[3],
        ),
        (
            image,
            row * vertical.stride,
            column * horizontal.stride,
            row * vertical.dilation,
            column * horizontal.dilation,
            channel,
        ),
    )
    patches = threads.scratch("patches", windows.shape, source.dtype)
    np.copyto(patches, windows)
    return patches.reshape(math.prod(windows.shape[:3]), -1)


def _padded(x: Array, rows: tuple[int, int], columns: tuple[int, int], where: Array | None) -> Array:
    """x[:, rows, columns] of x (N, H, W, C), 0 outside the image; a view where nothing lies outside."""
    n, height, width, channels = x.shape
    (top, bottom), (left, right) = rows, columns
    if where is None and top >= 0 and left >= 0 and bottom <= height and right <= width:
        return x[:, top:bottom, left:right]
    out = threads.scratch("padded", (n, bottom - top, right - left, channels), x.dtype)
    first, last = _inside(rows, height)
    start, stop = _inside(columns, width)
    out[:, : first - top] = 0
    out[:, last - top :] = 0
    out[:, first - top : last - top, : start - left] = 0
    out[:, first - top : last - top, stop - left :] = 0
    inner, part = out[:, first - top : last - top, start - left : stop - left], x[:, first:last, start:stop]
    if where is None:
        np.copyto(inner, part)
    else:
        keep(part, positive(where[:, first:last, start:stop]), inner)
    return out


def _inside(wanted: tuple[int, int], size: int) -> tuple[int, int]:
    """The part of the half-open range ``wanted`` that lies in 0 .. size; if there is none, an empty range in it."""
    first = min(max(wanted[0], 0), wanted[1])
    return first, max(first, min(wanted[1], size))
