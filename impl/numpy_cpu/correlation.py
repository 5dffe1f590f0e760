"""The three products of a convolution layer, exact: cache-sized tiles of im2row and one matrix product each.

With x (N, H, W, C), y (N, P, Q, K) and, for one group, a weight matrix of R*S*C rows and K columns:

    y[n, p, q, :]  = sum over r, s of  x[n, p * stride + r * dilation - before, ..., :] @ w[r, s]        (correlate)
    dw[r, s]       = sum over n, p, q of  x[n, p * stride + r * dilation - before, ..., :]^T @ dy[n, p, q]
    dx             = for each phase of the stride, the correlation of dy with the filter's taps that meet the phase

Row (n, p, q) of the patch matrix holds the R*S*C inputs of one output pixel; a tile of such rows stays in cache.
All arrays are channels last. The weight matrix of a group is (R, S, C) by K, in any memory order that BLAS takes.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import as_strided

from impl.numpy_cpu import threads
from impl.numpy_cpu.arrays import Array
from impl.numpy_cpu.tiles import Tile, tiles
from impl.numpy_cpu.windows import Axis

Axes = tuple[Axis, Axis]
TILE = 1 << 18  # elements of a tile of the patch matrix


def correlate(x: Array, matrices: Array, axes: Axes, out: Array, bias: Array | None = None) -> None:
    """Writes the correlation of x (N, H, W, C) to out (N, P, Q, K), which may be strided.

    matrices: (groups, R*S*C/groups, K/groups). bias: (K,) or None.
    """
    groups, patch, filters = matrices.shape
    if patch == 0:
        out[...] = 0 if bias is None else bias
        return
    pieces = tiles(len(out), axes[0].out, axes[1].out * patch, TILE)

    def task(i: int) -> None:
        target = out[pieces[i].place]
        rows = math.prod(target.shape[:3])
        product = threads.scratch("product", (rows, filters), x.dtype)
        for g in range(groups):
            patches = _gather(_group(x, g, groups), pieces[i], axes)
            np.matmul(patches.reshape(rows, patch), matrices[g], out=product)
            result = product.reshape(*target.shape[:3], filters)
            if bias is None:
                np.copyto(_group(target, g, groups), result)
            else:
                np.add(result, bias[g * filters : (g + 1) * filters], out=_group(target, g, groups))

    threads.run(task, len(pieces))


def gradient_to_input(dy: Array, w: Array, axes: Axes, groups: int, out: Array) -> None:
    """Writes the gradient dx (N, H, W, C) to out. dy: (N, P, Q, K); w: (K, C/groups, R, S).

    Pixels i = phase + t * stride meet only the taps r with (phase + before - r * dilation) divisible by the stride, at
    outputs t + (phase + before - r * dilation) / stride: a dense correlation of dy with these taps in reverse order.
    """
    vertical, horizontal = ([_phase(axis, i) for i in range(axis.stride)] for axis in axes)
    for i, (v_taps, v_axis) in enumerate(vertical):
        for j, (h_taps, h_axis) in enumerate(horizontal):
            part = w[:, :, v_taps, :][:, :, :, h_taps]
            target = out[:, i :: axes[0].stride, j :: axes[1].stride]
            correlate(dy, transposed_matrices(part, groups), (v_axis, h_axis), target)


def gradient_to_weights(x: Array, dy: Array, axes: Axes, groups: int) -> Array:
    """The gradient (K, R, S, C/groups). x: (N, H, W, C); dy: (N, P, Q, K)."""
    taps, channels, filters = (axes[0].taps, axes[1].taps), x.shape[3] // groups, dy.shape[3] // groups
    patch = math.prod(taps) * channels
    pieces = tiles(len(x), axes[0].out, axes[1].out * patch, 4 * TILE)
    shares = threads.split(len(pieces), threads.threads())
    sums = threads.scratch("sums", (len(shares), groups, filters, patch), x.dtype)
    sums[...] = 0

    def task(i: int) -> None:
        product = threads.scratch("product", (filters, patch), x.dtype)
        for piece in pieces[shares[i]]:
            for g in range(groups):
                patches = _gather(_group(x, g, groups), piece, axes).reshape(-1, patch)
                errors = _group(dy[piece.place], g, groups).reshape(len(patches), filters)
                np.matmul(errors.T, patches, out=product)
                sums[i, g] += product

    threads.run(task, len(shares))
    dw: Array = sums.sum(0).reshape(groups * filters, *taps, channels)
    return dw


def forward_matrices(w: Array, groups: int) -> Array:
    """(groups, R*S*C/groups, K/groups) of w (K, C/groups, R, S); a view where the memory of w is ordered K, R, S, C."""
    filters = np.ascontiguousarray(w.transpose(0, 2, 3, 1))
    return filters.reshape(groups, len(w) // groups, -1).swapaxes(1, 2)


def transposed_matrices(w: Array, groups: int) -> Array:
    """(groups, R*S*K/groups, C/groups) of w (K, C/groups, R, S)."""
    filters, channels, rows, columns = w.shape
    by_group = w.reshape(groups, filters // groups, channels, rows, columns)
    return by_group.transpose(0, 3, 4, 1, 2).reshape(groups, -1, channels)


def _phase(axis: Axis, phase: int) -> tuple[list[int], Axis]:
    """The taps that meet pixels phase, phase + stride ..., last first, and the axis of their correlation with dy."""
    taps = [r for r in reversed(range(axis.taps)) if (phase + axis.before - r * axis.dilation) % axis.stride == 0]
    pixels = len(range(phase, axis.size, axis.stride))
    start = (phase + axis.before - taps[0] * axis.dilation) // axis.stride if taps else 0
    dilation = axis.dilation // math.gcd(axis.stride, axis.dilation)
    return taps, Axis(axis.out, len(taps), 1, dilation, -start, pixels)


def _group(x: Array, g: int, groups: int) -> Array:
    size = x.shape[-1] // groups
    return x[..., g * size : (g + 1) * size]


def _gather(x: Array, tile: Tile, axes: Axes) -> Array:
    """The patches (images, rows, Q, R, S, C) of a tile of output rows, in the calling thread's scratch memory."""
    vertical, horizontal = axes
    source = padded(
        x[tile.images], vertical.reach(tile.rows.start, tile.rows.stop), horizontal.reach(0, horizontal.out)
    )
    image, row, column, channel = source.strides
    windows = as_strided(
        source,
        (len(source), tile.rows.stop - tile.rows.start, horizontal.out, vertical.taps, horizontal.taps, x.shape[3]),
        (
            image,
            row * vertical.stride,
            column * horizontal.stride,
            row * vertical.dilation,
            column * horizontal.dilation,
            channel,
        ),
    )
    patches = threads.scratch("patches", windows.shape, x.dtype)
    np.copyto(patches, windows)
    return patches


def padded(x: Array, rows: tuple[int, int], columns: tuple[int, int], fill: float = 0.0) -> Array:
    """x[:, rows, columns] of x (N, H, W, C), ``fill`` outside the image; a view where nothing lies outside."""
    n, height, width, channels = x.shape
    (top, bottom), (left, right) = rows, columns
    if top >= 0 and left >= 0 and bottom <= height and right <= width:
        return x[:, top:bottom, left:right]
    out = threads.scratch("padded", (n, bottom - top, right - left, channels), x.dtype)
    first, last = min(max(top, 0), bottom), max(min(bottom, height), top)
    start, stop = min(max(left, 0), right), max(min(right, width), left)
    inner = out[:, first - top : max(first, last) - top, start - left : max(start, stop) - left]
    if inner.shape != out.shape:
        out[:, : first - top] = fill
        out[:, max(first, last) - top :] = fill
        out[:, :, : start - left] = fill
        out[:, :, max(start, stop) - left :] = fill
    np.copyto(inner, x[:, first : max(first, last), start : max(start, stop)])
    return out
