"""Heat maps of who agrees with whom: numbers in every square, so that no colour has to be read."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from reports.figures.style import INK, STYLE, name

MOST = 40
"""Rows or columns that a picture can hold."""
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
        axes.imshow(bits, cmap="Blues", vmin=0, vmax=1.6 * top, aspect="auto")
        _label(axes, names, names)
        for i, j in zip(*np.nonzero(np.isfinite(bits)), strict=True):
            _write(axes, i, j, f"{bits[i, j]:.0f} bits\n{_short(ratios[i, j])}", ratios[i, j] > 1)
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
        axes.imshow(np.clip(ratios, 1e-3, 1e3), cmap="Oranges", norm=LogNorm(1e-3, 1e4), aspect="auto")
        _label(axes, blocks, backends)
        for i, j in zip(*np.nonzero(np.isfinite(ratios)), strict=True):
            _write(axes, i, j, _short(ratios[i, j]), ratios[i, j] > 1)
        axes.set_xlabel("worst error / bound (bold: beyond it)")
        return figure


def _label(axes: mpl.axes.Axes, rows: list[str], columns: list[str]) -> None:
    axes.set_xticks(range(len(columns)), [name(n, 16) for n in columns], rotation=30, ha="right")
    axes.set_yticks(range(len(rows)), [name(n, 22) for n in rows])
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _write(axes: mpl.axes.Axes, i: int, j: int, words: str, bold: bool) -> None:
    axes.text(j, i, words, ha="center", va="center", fontsize=7, color=INK, weight="bold" if bold else "normal")


def _short(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 100 else f"{ratio:.0e}".replace("e+0", "e").replace("e+", "e")
