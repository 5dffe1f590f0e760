"""Heat maps of who agrees with whom: numbers in every square, so that no colour has to be read.

The squares are paths, as a page that loads nothing shows no picture inside a figure; their colours, and those of the
numbers in them, are the same on light and on dark.
"""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from reports.figures.style import STYLE, name

MOST = 40
"""Rows or columns that a picture can hold."""
DARK, LIGHT = "#111111", "#ffffff"
"""Of numbers in squares: neither is a colour that follows the page's."""
Squares = npt.NDArray[np.float64]


def agreement(pairs: pd.DataFrame) -> Figure:
    """One square per pair of `parts.agreement.pairs`, of one direction: the fewest bits in which they agree
    and, below, the largest difference over the bound; the darker, the more bits."""
    names = list(dict.fromkeys([*pairs["backend"], *pairs["other"]]))
    names = sorted(names, key=lambda n: n != "float64")[:MOST]
    bits, ratios = (np.full((len(names), len(names)), np.nan) for _ in range(2))
    for row in pairs.to_dict("records"):
        if row["backend"] in names and row["other"] in names:
            i, j = names.index(row["backend"]), names.index(row["other"])
            bits[i, j] = bits[j, i] = row["bits"]
            ratios[i, j] = ratios[j, i] = row["worst_ratio"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.4 + 0.72 * len(names), 1.0 + 0.62 * len(names)), layout="constrained")
        axes = figure.add_subplot()
        top = max(24.0, float(np.nanmax(bits, initial=0.0)))
        squares = _squares(axes, bits, "Blues", Normalize(0, 1.6 * top))
        _label(axes, names, names)
        for i, j in zip(*np.nonzero(np.isfinite(bits)), strict=True):
            _write(axes, squares, i, j, f"{bits[i, j]:.0f} bits\n{_short(ratios[i, j])}", ratios[i, j] > 1)
        axes.set_xlabel("fewest bits that agree\nlargest difference / bound (bold: beyond it)")
        return figure


def errors_by_block(worst: pd.DataFrame) -> Figure:
    """One square per block and backend (columns block, backend, worst_ratio): the worst error over its bound; the
    darker, the larger."""
    blocks, backends = (list(dict.fromkeys(worst[key]))[:MOST] for key in ("block", "backend"))
    ratios: Squares = np.full((len(blocks), len(backends)), np.nan)
    for row in worst.to_dict("records"):
        if row["block"] in blocks and row["backend"] in backends:
            ratios[blocks.index(row["block"]), backends.index(row["backend"])] = row["worst_ratio"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.0 + 0.72 * len(backends), 0.9 + 0.27 * len(blocks)), layout="constrained")
        axes = figure.add_subplot()
        squares = _squares(axes, np.clip(ratios, 1e-3, 1e3), "Oranges", LogNorm(1e-3, 1e4))
        _label(axes, blocks, backends)
        for i, j in zip(*np.nonzero(np.isfinite(ratios)), strict=True):
            _write(axes, squares, i, j, _short(ratios[i, j]), ratios[i, j] > 1)
        axes.set_xlabel("worst error / bound (bold: beyond it)")
        return figure


def _squares(axes: mpl.axes.Axes, values: Squares, colours: str, norm: Normalize) -> Squares:
    """Draws a square per value, none for what is NaN, the first row at the top; returns their colours (RGBA)."""
    axes.pcolormesh(np.ma.masked_invalid(values), cmap=colours, norm=norm)
    axes.invert_yaxis()
    return np.asarray(mpl.colormaps[colours](norm(values)))


def _label(axes: mpl.axes.Axes, rows: list[str], columns: list[str]) -> None:
    axes.set_xticks(np.arange(len(columns)) + 0.5, [name(n, 16) for n in columns], rotation=30, ha="right")
    axes.set_yticks(np.arange(len(rows)) + 0.5, [name(n, 22) for n in rows])
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _write(axes: mpl.axes.Axes, squares: Squares, i: int, j: int, words: str, bold: bool) -> None:
    colour = DARK if luminance(squares[i, j, :3]) > 0.18 else LIGHT  # there both have the same contrast
    axes.text(
        j + 0.5, i + 0.5, words, ha="center", va="center", fontsize=7, color=colour,
        weight="bold" if bold else "normal",
    )  # fmt: skip


def luminance(colour: npt.ArrayLike) -> float:
    """Relative luminance of an sRGB colour, from 0 (black) to 1 (white), as WCAG 2.2 defines it."""
    values = np.asarray(colour, np.float64)
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _short(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 100 else f"{ratio:.0e}".replace("e+0", "e").replace("e+", "e")
