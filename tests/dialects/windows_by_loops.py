"""Pooling window by window, as a textbook has it: where windows lie and what they mean is the caller's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Range = tuple[int, int]
Pullback = Callable[[Array], tuple[Array, ...]]


def ranges(size: int, window: int, stride: int, before: int, places: int) -> list[Range]:
    """The rows (or columns) of the image in each window."""
    starts = [place * stride - before for place in range(places)]
    return [(max(start, 0), min(start + window, size)) for start in starts]


def maximum(x: Array, rows: Sequence[Range], columns: Sequence[Range], tie: str) -> tuple[Array, Pullback]:
    """The maximum of each window. The gradient goes to the first row by row, the first column by column, or to all."""
    y = np.empty((*x.shape[:2], len(rows), len(columns)), x.dtype)
    for p, (top, bottom) in enumerate(rows):
        for q, (left, right) in enumerate(columns):
            y[:, :, p, q] = x[:, :, top:bottom, left:right].max((2, 3))

    def pullback(dy: Array) -> tuple[Array, ...]:
        dx = np.zeros_like(x)
        for n, c, p, q in np.ndindex(y.shape):
            (top, bottom), (left, right) = rows[p], columns[q]
            places = np.argwhere(x[n, c, top:bottom, left:right] == y[n, c, p, q])  # row by row
            if tie == "columns":
                places = places[np.lexsort((places[:, 0], places[:, 1]))]
            for r, s in places if tie == "all" else places[:1]:
                dx[n, c, top + r, left + s] += dy[n, c, p, q]
        return (dx,)

    return y, pullback


def average(x: Array, rows: Sequence[Range], columns: Sequence[Range], counts: Array) -> tuple[Array, Pullback]:
    """The sum of each window divided by its count, (P, Q)."""
    y = np.empty((*x.shape[:2], len(rows), len(columns)), x.dtype)
    for p, (top, bottom) in enumerate(rows):
        for q, (left, right) in enumerate(columns):
            y[:, :, p, q] = x[:, :, top:bottom, left:right].sum((2, 3)) / x.dtype.type(counts[p, q])

    def pullback(dy: Array) -> tuple[Array, ...]:
        dx = np.zeros_like(x)
        for p, (top, bottom) in enumerate(rows):
            for q, (left, right) in enumerate(columns):
                share = dy[:, :, p, q] / x.dtype.type(counts[p, q])
                dx[:, :, top:bottom, left:right] += share[:, :, None, None]
        return (dx,)

    return y, pullback


def inside(rows: Sequence[Range], columns: Sequence[Range]) -> Array:
    """The pixels of the image in each window, (P, Q)."""
    return np.array([[(bottom - top) * (right - left) for left, right in columns] for top, bottom in rows])
