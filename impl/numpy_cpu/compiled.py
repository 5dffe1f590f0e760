"""Loops over the channels of a pixel, compiled by Numba where it is installed (the extra ``numba``).

NumPy makes one pass over an array for each operation, and takes and gives up the interpreter lock for each. Windows of
pooling, sums of normalisation and overlaps of a scattered product need dozens of short ones; these loops make one pass
in all, without the lock. Without Numba (``available`` is false) the blocks do the same in NumPy.

Arrays are (N, H, W, C) and contiguous; a function works on image ``n``. Nothing is reassociated, so sums are in the
order written here.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from impl.numpy_cpu.arrays import Array, nhwc

try:
    import numba
except ImportError:
    available = False
else:
    available = True

Pair = tuple[int, int]
Loop = TypeVar("Loop", bound=Callable[..., None])


def version() -> str:
    """Numba's version, as a part of a receipt."""
    return f", Numba {numba.__version__}" if available else ""


def contiguous(x: Array) -> Array:
    """x (N, C, H, W) as the loops take it: (N, H, W, C), contiguous and aligned; a view where it is so already."""
    return np.require(nhwc(x), None, ["C", "A"])


def _compiled(kinds: str) -> Callable[[Loop], Loop]:
    """For float32 and float64. Kinds of arguments: array read (r) or written (w), with one axis (1, 2), real (f),
    int (i), pair (p)."""
    if not available:
        return lambda loop: loop

    types: Any = numba.types

    def signature(dtype: Any) -> Any:
        by_kind = {
            "r": types.Array(dtype, 4, "C", readonly=True),
            "w": types.Array(dtype, 4, "C"),
            "1": types.Array(dtype, 1, "C", readonly=True),
            "2": types.Array(dtype, 1, "C"),
            "f": dtype,
            "i": types.intp,
            "p": types.UniTuple(types.intp, 2),
        }
        return types.void(*(by_kind[kind] for kind in kinds))

    signatures = [signature(types.float32), signature(types.float64)]
    options = {"nogil": True, "error_model": "numpy"}

    def compiled(loop: Loop) -> Loop:
        jit: Any = numba.njit
        try:
            kept: Loop = jit(signatures, cache=True, **options)(loop)
        except RuntimeError:  # there is no folder that it could be kept in
            kept = jit(signatures, **options)(loop)
        return kept

    return compiled


@_compiled("rwippp")
def maxima(x: Array, y: Array, n: int, taps: Pair, stride: Pair, before: Pair) -> None:
    """Writes the maximum of each window of x to y; NaN if there is one in it."""
    for p in range(y.shape[1]):
        top = p * stride[0] - before[0]
        for q in range(y.shape[2]):
            left = q * stride[1] - before[1]
            out = y[n, p, q]
            started = False
            for i in range(max(top, 0), min(top + taps[0], x.shape[1])):
                for j in range(max(left, 0), min(left + taps[1], x.shape[2])):
                    pixel = x[n, i, j]
                    if started:
                        for c in range(out.size):
                            highest, v = out[c], pixel[c]
                            out[c] = highest if (highest >= v) | (highest != highest) else v
                    else:
                        out[:] = pixel
                        started = True


@_compiled("rrrwippp")
def to_maxima(x: Array, y: Array, dy: Array, dx: Array, n: int, taps: Pair, stride: Pair, before: Pair) -> None:
    """Writes to dx the sum of dy over the windows whose first maximum, or first NaN, a pixel is."""
    dx[n] = 0
    left_over = np.empty(x.shape[3], x.dtype)
    for p in range(y.shape[1]):
        top = p * stride[0] - before[0]
        for q in range(y.shape[2]):
            left = q * stride[1] - before[1]
            highest = y[n, p, q]
            left_over[:] = dy[n, p, q]
            for i in range(max(top, 0), min(top + taps[0], x.shape[1])):
                for j in range(max(left, 0), min(left + taps[1], x.shape[2])):
                    pixel, out = x[n, i, j], dx[n, i, j]
                    for c in range(highest.size):
                        met = (pixel[c] == highest[c]) | (pixel[c] != pixel[c])
                        error = left_over[c]
                        out[c] += error if met else 0
                        left_over[c] = 0 if met else error


@_compiled("12")
def _window_sums(padded: Array, sums: Array) -> None:
    """Writes the sum of each window of as many values as ``padded`` is longer, and one, to ``sums``."""
    sums[:] = padded[: sums.size]
    for k in range(1, padded.size - sums.size + 1):
        for c in range(sums.size):
            sums[c] += padded[k + c]


@_compiled("rwiiifff")
def normalized(x: Array, y: Array, n: int, below: int, above: int, kappa: Any, alpha: Any, beta: Any) -> None:
    """Writes x / (kappa + alpha * sum over channels c-below .. c+above of x^2)^beta to y."""
    channels = x.shape[3]
    squares = np.zeros(channels + below + above, x.dtype)
    for i in range(x.shape[1]):
        for j in range(x.shape[2]):
            pixel, out = x[n, i, j], y[n, i, j]
            for c in range(channels):
                squares[below + c] = pixel[c] * pixel[c]
            _window_sums(squares, out)
            if beta == 0.75:
                for c in range(channels):
                    root = np.sqrt(kappa + alpha * out[c])
                    out[c] = pixel[c] / (root * np.sqrt(root))
            else:
                for c in range(channels):
                    out[c] = pixel[c] * (kappa + alpha * out[c]) ** -beta


@_compiled("rrwiiifff")
def to_normalized(
    x: Array, dy: Array, dx: Array, n: int, below: int, above: int, kappa: Any, alpha: Any, beta: Any
) -> None:
    """Writes the gradient of `normalized` to dx."""
    channels = x.shape[3]
    squares = np.zeros(channels + below + above, x.dtype)
    terms = np.zeros(channels + below + above, x.dtype)
    sums = np.empty(channels, x.dtype)
    factor = 2 * alpha * beta
    for i in range(x.shape[1]):
        for j in range(x.shape[2]):
            pixel, error, out = x[n, i, j], dy[n, i, j], dx[n, i, j]
            for c in range(channels):
                squares[below + c] = pixel[c] * pixel[c]
            _window_sums(squares, sums)
            for c in range(channels):
                sums[c] = kappa + alpha * sums[c]
            if beta == 0.75:
                for c in range(channels):
                    root = np.sqrt(sums[c])
                    out[c] = error[c] / (root * np.sqrt(root))
            else:
                for c in range(channels):
                    out[c] = error[c] * sums[c] ** -beta
            for c in range(channels):
                terms[above + c] = out[c] * pixel[c] / sums[c]
            _window_sums(terms, sums)
            for c in range(channels):
                out[c] -= factor * pixel[c] * sums[c]


@_compiled("rrw")
def where_positive(values: Array, where: Array, out: Array) -> None:
    """Writes the values where ``where`` is positive, and 0 elsewhere, to out."""
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                value, positive, kept = values[n, i, j], where[n, i, j], out[n, i, j]
                for c in range(kept.size):
                    kept[c] = value[c] if positive[c] > 0 else 0


@_compiled("rwiiipppp")
def scattered(
    product: Array, out: Array, n: int, row: int, channel: int, taps: Pair, stride: Pair, dilation: Pair, before: Pair
) -> None:
    """Adds product (p, Q, R*S, C'), of output rows from ``row`` on, to the pixels of image n that each tap meets.

    C' channels from ``channel`` on are added to.
    """
    for p in range(product.shape[0]):
        for q in range(product.shape[1]):
            for r in range(taps[0]):
                i = (row + p) * stride[0] + r * dilation[0] - before[0]
                if i < 0 or i >= out.shape[1]:
                    continue
                for s in range(taps[1]):
                    j = q * stride[1] + s * dilation[1] - before[1]
                    if j < 0 or j >= out.shape[2]:
                        continue
                    summand = product[p, q, r * taps[1] + s]
                    pixel = out[n, i, j, channel : channel + summand.size]
                    for c in range(summand.size):
                        pixel[c] += summand[c]


@_compiled("221fff")
def updated(w: Array, v: Array, dw: Array, lr: Any, momentum: Any, weight_decay: Any) -> None:
    """One step of stochastic gradient descent, see sgd.py."""
    for i in range(w.size):
        change = momentum * v[i] + dw[i]
        if weight_decay:
            change += weight_decay * w[i]
        v[i] = change
        w[i] -= lr * change
