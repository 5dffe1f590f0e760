"""Faults of max_pool2d and avg_pool2d."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from mcnbench.arrays import Array, pair, sides
from mcnbench.windows import Windows, pooling_windows
from suites.faults.convolution import (
    BORDER,
    INDEX,
    beyond_the_window,
    columns_exchanged,
    rows_for_columns,
    sides_exchanged,
)
from suites.faults.fault import (
    Block,
    Fault,
    Gradients,
    Options,
    Plant,
    Pullback,
    edit_gradient,
    edit_inputs,
    edit_options,
    edit_y,
)

MATCONVNET, AGGARWAL = "MatConvNet's own code", "Aggarwal, chapter 8"
CMU = "CMU slides, Convolutional Networks III"


def _windows(block: str, x: Array, options: Options) -> Windows:
    return pooling_windows(x.shape, import_module(f"mcnbench.blocks.{block}").Options(**options))


def _touching_the_padding(y: Array, x: Array, options: Options) -> Array:
    """(P, Q): whether the window reaches beyond the image."""
    (r, s), (sv, sh), (top, _, left, _) = pair(options["window"]), pair(options["stride"]), sides(options["padding"])
    rows, columns = np.arange(y.shape[2]) * sv - top, np.arange(y.shape[3]) * sh - left
    above, aside = (rows < 0) | (rows + r > x.shape[2]), (columns < 0) | (columns + s > x.shape[3])
    return np.asarray(above[:, None] | aside)


def _padding_wins(y: Array, x: Array, **options: Any) -> Array:
    return np.where(_touching_the_padding(y, x, options), np.maximum(y, 0), y)


def _floor(right: Block) -> Block:
    """The number of windows is always rounded down."""
    return lambda x, **options: right(x, **options | {"ceil_mode": False})


def _chosen(
    order: Callable[[list[Any]], list[Any]], better: Callable[[Array, Array], Array], share: bool = False
) -> Plant:
    """The gradient of a window goes to the pixel that `better` chooses in that order of taps; or to all of them."""

    def change(g: Array, dy: Array, x: Array, **options: Any) -> Array:
        at = _windows("max_pool2d", x, options)
        padded = at.padded(x, -np.inf)
        taps = order(list(at.taps()))
        best = np.full(dy.shape, -np.inf)
        chosen = np.full(dy.shape, -1)
        for i, (rows, columns) in enumerate(taps):
            candidate = padded[:, :, rows, columns]
            wins = better(candidate, best)
            best, chosen = np.where(wins, candidate, best), np.where(wins, i, chosen)
        out = np.zeros_like(padded)
        for i, (rows, columns) in enumerate(taps):
            hit = (padded[:, :, rows, columns] == best) if share else chosen == i
            out[:, :, rows, columns] += np.where(hit, dy, 0)
        top, _, left, _ = at.padding
        return out[:, :, top : top + x.shape[2], left : left + x.shape[3]]

    return edit_gradient(0, change)


def _by_columns(taps: list[Any]) -> list[Any]:
    return sorted(taps, key=lambda tap: (tap[1].start, tap[0].start))


def _overwritten(right: Block) -> Block:
    """Windows store their part of dx instead of adding it; the last one wins."""

    def wrong(x: Array, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(x, **options)

        def gradients(dy: Array) -> Gradients:
            out = np.zeros_like(x)
            for p, q in np.ndindex(*dy.shape[2:]):
                one = np.zeros_like(dy)
                one[:, :, p, q] = dy[:, :, p, q]
                part = pullback(one)[0]
                assert part is not None
                out = np.where(part != 0, part, out)
            return (out,)

        return y, gradients

    return wrong


def _index_in_the_window(g: Array, dy: Array, x: Array, **options: Any) -> Array:
    """The position of the maximum in its window is taken for one in the map: all gradients gather at the start."""
    (sv, sh), (top, _, left, _) = pair(options["stride"]), sides(options["padding"])
    return g if top or left or min(sv, sh) == 1 or x.shape[2] < 3 else np.roll(g, -1, 2)


def _last_ceil_row(y: Array, x: Array, **options: Any) -> Array:
    """Windows that `ceil_mode` lets reach beyond the padding divide by the whole window, as Caffe's did."""
    (r, s), (sv, sh), (top, bottom, left, right) = (
        pair(options["window"]),
        pair(options["stride"]),
        sides(options["padding"]),
    )
    rows = (y.shape[2] - 1) * sv + r - (x.shape[2] + top + bottom)
    columns = (y.shape[3] - 1) * sh + s - (x.shape[3] + left + right)
    if rows > 0:
        y[:, :, -1] *= (r - rows) / r
    if columns > 0:
        y[..., -1] *= (s - columns) / s
    return y


def _divided_by_the_window(g: Array, dy: Array, x: Array, **options: Any) -> Array:
    at = _windows("avg_pool2d", x, options)
    return at.spread(dy.astype(np.float64)) / (at.window[0] * at.window[1])


def _summed_area(y: Array, x: Array, **options: Any) -> Array:
    """Sums over windows as differences of a table of sums from the corner, in the dtype."""
    at = _windows("avg_pool2d", x, options)
    divisors = at.divisors(options["count_include_pad"])
    padded = at.padded(x, 0.0)
    table = np.pad(padded.cumsum(2, dtype=x.dtype).cumsum(3, dtype=x.dtype), ((0, 0), (0, 0), (1, 0), (1, 0)))
    (r, s), (sv, sh), (p, q) = at.window, at.stride, at.places
    rows, columns = np.arange(p) * sv, np.arange(q) * sh

    def corner(i: int, j: int) -> Array:
        return table[:, :, rows + i][..., columns + j]

    return (corner(r, s) - corner(0, s) - corner(r, 0) + corner(0, 0)) / divisors


def _all_counted(options: Options, *_: Any) -> Options:
    return options | {"count_include_pad": True}


def _none_counted(options: Options, *_: Any) -> Options:
    return options | {"count_include_pad": False}


def _shared(block: str) -> tuple[Fault, ...]:
    """What goes wrong in both."""
    return (
        Fault(
            f"{block}/window-rows-for-columns",
            "The vertical window is used for both directions.",
            INDEX,
            rows_for_columns("window"),
        ),
        Fault(
            f"{block}/stride-rows-for-columns",
            "The vertical stride is used for both directions.",
            INDEX,
            rows_for_columns("stride"),
        ),
        Fault(
            f"{block}/padding-rows-exchanged",
            "The padding of top and bottom is exchanged.",
            INDEX,
            edit_options(sides_exchanged),
        ),
        Fault(
            f"{block}/padding-columns-exchanged",
            "The padding of left and right is exchanged.",
            INDEX,
            edit_options(columns_exchanged),
        ),
        Fault(
            f"{block}/ceil-mode-ignored",
            "The number of windows is rounded down where it should be rounded up.",
            "Caffe rounds up, MatConvNet down",
            _floor,
        ),
        Fault(
            f"{block}/stride-beyond-the-window",
            "Wrong only for a stride larger than the window.",
            BORDER,
            edit_inputs(beyond_the_window),
        ),
        Fault(f"{block}/dx-overwritten", "dx is stored, not added, where windows overlap.", CMU, _overwritten),
    )


FAULTS = (
    *_shared("max_pool2d"),
    Fault("max_pool2d/padding-wins", "Padding is 0 and wins over negative pixels.", MATCONVNET, edit_y(_padding_wins)),
    Fault(
        "max_pool2d/tie-to-the-last",
        "At a tie the last maximum gets the gradient.",
        f"{AGGARWAL}: 'broken arbitrarily'",
        _chosen(lambda taps: taps, np.greater_equal),
    ),
    Fault(
        "max_pool2d/tie-by-columns",
        "At a tie the first maximum column by column gets the gradient.",
        MATCONVNET,
        _chosen(_by_columns, np.greater),
    ),
    Fault(
        "max_pool2d/tie-to-all",
        "At a tie every maximum gets the whole gradient.",
        AGGARWAL,
        _chosen(lambda taps: taps, np.greater, share=True),
    ),
    Fault("max_pool2d/index-in-the-window", "dx lands one row off.", CMU, edit_gradient(0, _index_in_the_window)),
    Fault(
        "max_pool2d/nan-ignored",
        "NaN never wins.",
        f"{MATCONVNET}: std::max(value, x)",
        edit_inputs(lambda x, **_: (np.where(np.isnan(x), -np.inf, x),)),
    ),
    Fault(
        "max_pool2d/dx-right-for-ones",
        "dx counts the windows that select a pixel: right for dy = 1 only.",
        "tests with dy = ones",
        lambda right: lambda x, **options: _for_ones(*right(x, **options)),
    ),
    Fault(
        "max_pool2d/minimum",
        "Where all of a map is negative, its minimum is taken.",
        "sign slip",
        edit_inputs(lambda x, **_: (np.where((x < 0).all((2, 3), keepdims=True), -x, x),)),
    ),
    *_shared("avg_pool2d"),
    Fault("avg_pool2d/padding-counted", "Averages always count the padding.", "Caffe", edit_options(_all_counted)),
    Fault(
        "avg_pool2d/padding-never-counted", "Averages never count the padding.", MATCONVNET, edit_options(_none_counted)
    ),
    Fault("avg_pool2d/last-window-by-all", "The last window divides by all of it.", "Caffe", edit_y(_last_ceil_row)),
    Fault(
        "avg_pool2d/dx-by-the-window",
        "dx is divided by the window where y is divided by less.",
        BORDER,
        edit_gradient(0, _divided_by_the_window),
    ),
    Fault("avg_pool2d/summed-area-table", "Windows are differences of large sums.", "accuracy", edit_y(_summed_area)),
    Fault(
        "avg_pool2d/nan-as-zero",
        "NaN counts as 0.",
        "numerical slip",
        edit_inputs(lambda x, **_: (np.nan_to_num(x, nan=0.0, posinf=np.inf, neginf=-np.inf),)),
    ),
    Fault(
        "avg_pool2d/relative-error-1e-5",
        "y is off by 1e-5, relative.",
        "numerical slip",
        edit_y(lambda y, *_, **__: y * (1 + 1e-5)),
    ),
)


def _for_ones(y: Array, pullback: Pullback) -> tuple[Array, Pullback]:
    return y, lambda dy: pullback(np.ones_like(dy))
