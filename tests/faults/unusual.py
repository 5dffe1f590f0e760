"""Backends that are right in an unusual way; each is an implementation, to be made a `Backend` of."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from impl import numpy_cpu
from impl.numpy_winograd import f2x2
from mcnbench import blocks
from mcnbench.arrays import Array, pair, sides

Change = Callable[[Array], Array]


def around(given: Change, returned: Change) -> SimpleNamespace:
    """NumPy's blocks, with something done to each array of numbers that goes in and to each that comes out."""

    def changed(block: Callable[..., Any]) -> Callable[..., Any]:
        def function(*inputs: Array | None, **options: Any) -> Any:
            dtype = next(a.dtype for a in inputs if a is not None)
            if options.get("moments") is not None:
                options["moments"] = tuple(given(a) for a in options["moments"])
            y, pullback = block(*(a if a is None or a.dtype.kind != "f" else given(a) for a in inputs), **options)

            def gradients(dy: Array) -> tuple[Array | None, ...]:
                return tuple(None if g is None else returned(g.astype(dtype)) for g in pullback(given(dy)))

            return returned(y.astype(dtype)), gradients

        return function

    return SimpleNamespace(**{name: changed(getattr(numpy_cpu, name)) for name in blocks.names()})


def in_float64() -> SimpleNamespace:
    """Computes in float64 whatever it is given, and rounds once."""
    return around(lambda a: a.astype(np.float64), lambda a: a)


def channels_last() -> SimpleNamespace:
    """All maps lie in memory as (N, H, W, C)."""

    def last(a: Array) -> Array:
        return np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) if a.ndim == 4 else a

    return around(last, last)


def read_only() -> SimpleNamespace:
    """Returns arrays that cannot be written to."""

    def locked(a: Array) -> Array:
        a = np.array(a)
        a.flags.writeable = False
        return a

    return around(lambda a: a, locked)


def out_of_memory_at_times() -> SimpleNamespace:
    """ReLU and its pullback raise MemoryError in every fifteenth call."""
    calls = [0]

    def scarce(block: Callable[..., Any]) -> Callable[..., Any]:
        def function(*arguments: Any, **options: Any) -> Any:
            calls[0] += 1
            if calls[0] % 15 == 0:
                raise MemoryError("no more than this")
            return block(*arguments, **options)

        return function

    def relu(x: Array, *, slope: float) -> Any:
        y, pullback = numpy_cpu.relu(x, slope=slope)
        return y, scarce(pullback)

    return SimpleNamespace(relu=scarce(relu))


def convolving(core: Callable[..., Any], **declared: Any) -> SimpleNamespace:
    """conv2d by `core(x, w, (sv, sh), (dv, dh), P, Q)` on padded maps and the filters of one group, which returns
    y, and from dy dx and dw."""

    def conv2d(x: Array, w: Array, b: Any = None, *, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
        numpy_cpu.conv2d(x[:1], w, b, stride=stride, padding=padding, dilation=dilation, groups=groups)  # or ValueError
        strides, holes, (top, bottom, left, right) = pair(stride), pair(dilation), sides(padding)
        padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
        p, q = (
            (n - d * (r - 1) - 1) // s + 1
            for n, r, s, d in zip(padded.shape[2:], w.shape[2:], strides, holes, strict=True)
        )
        parts = [
            core(part, filters, strides, holes, p, q)
            for part, filters in zip(np.split(padded, groups, 1), np.split(w, groups), strict=True)
        ]
        y = np.concatenate([y for y, _ in parts], 1)
        if b is not None:
            y = y + b[:, None, None]

        def pullback(dy: Array) -> Any:
            found = [back(part) for (_, back), part in zip(parts, np.split(dy, groups, 1), strict=True)]
            dx = np.concatenate([dx for dx, _ in found], 1)[:, :, top : top + x.shape[2], left : left + x.shape[3]]
            return dx.copy(), np.concatenate([dw for _, dw in found]), None if b is None else dy.sum((0, 2, 3))

        return y.astype(x.dtype), pullback

    return SimpleNamespace(conv2d=conv2d, **declared)


def seven_loops() -> SimpleNamespace:
    """Each product by itself, in Python's own numbers."""

    def core(x: Array, w: Array, strides: Any, holes: Any, p: int, q: int) -> Any:
        (sv, sh), (dv, dh) = strides, holes
        y = np.zeros((len(x), len(w), p, q))
        maps, filters = x.tolist(), w.tolist()
        for n in range(len(x)):
            for k in range(len(w)):
                for i in range(p):
                    for j in range(q):
                        total = 0.0
                        for c in range(x.shape[1]):
                            for r in range(w.shape[2]):
                                row, taps = maps[n][c][i * sv + r * dv], filters[k][c][r]
                                for s in range(w.shape[3]):
                                    total += row[j * sh + s * dh] * taps[s]
                        y[n, k, i, j] = total

        def back(dy: Array) -> tuple[Array, Array]:
            dx, dw = np.zeros_like(x), np.zeros_like(w)
            for i in range(p):
                for j in range(q):
                    rows, columns = slice(i * sv, None, dv), slice(j * sh, None, dh)
                    seen = x[:, :, rows, columns][:, :, : w.shape[2], : w.shape[3]]
                    dw += np.einsum("nk,ncrs->kcrs", dy[:, :, i, j], seen)
                    at = dx[:, :, rows, columns][:, :, : w.shape[2], : w.shape[3]]
                    at += np.einsum("nk,kcrs->ncrs", dy[:, :, i, j], w)
            return dx, dw

        return y.astype(x.dtype), back

    return convolving(core)


def fft(**declared: Any) -> SimpleNamespace:
    """By products of Fourier transforms of whole maps. An FFT of n points errs by about log2(n) roundings of the root
    mean square (Higham, Accuracy and Stability of Numerical Algorithms, section 24.1); three of them are on the way."""

    def core(x: Array, w: Array, strides: Any, holes: Any, p: int, q: int) -> Any:
        (sv, sh), (dv, dh), size = strides, holes, x.shape[2:]
        spread = np.zeros((*w.shape[:2], *size), w.dtype)
        spread[:, :, : dv * (w.shape[2] - 1) + 1 : dv, : dh * (w.shape[3] - 1) + 1 : dh] = w
        maps, filters = _transformed(x), _transformed(spread)
        y = _back(np.einsum("ncuv,kcuv->nkuv", maps, filters.conj()), size, x.dtype)

        def back(dy: Array) -> tuple[Array, Array]:
            error = np.zeros((*dy.shape[:2], *size), dy.dtype)
            error[:, :, : sv * (p - 1) + 1 : sv, : sh * (q - 1) + 1 : sh] = dy
            errors = _transformed(error)
            dx = _back(np.einsum("nkuv,kcuv->ncuv", errors, filters), size, x.dtype)
            dw = _back(np.einsum("nkuv,ncuv->kcuv", errors.conj(), maps), size, x.dtype)
            return dx, dw[:, :, ::dv, ::dh][:, :, : w.shape[2], : w.shape[3]]

        return y[:, :, ::sv, ::sh][:, :, :p, :q], back

    return convolving(core, **declared)


def _transformed(a: Array) -> Array:
    return np.fft.rfft2(a) if a.size else np.zeros((*a.shape[:3], a.shape[3] // 2 + 1), np.complex64)


def _back(a: Array, size: tuple[int, int], dtype: Any) -> Array:
    return np.fft.irfft2(a, size).astype(dtype) if a.size else np.zeros((*a.shape[:2], *size), dtype)


def winograd(**declared: Any) -> SimpleNamespace:
    """F(2 x 2, 3 x 3), whose transforms are exact on small integers, so that only real numbers show what it is."""
    return SimpleNamespace(conv2d=f2x2.conv2d, **declared)


FFT_FACTOR = 3 * math.log2(64 * 64)
