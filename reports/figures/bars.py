"""Bars of speed: images per second, and the ratio to the peer.

What was measured is a filled bar with a whisker for its 95% interval; what was published is an empty, dashed one.
"""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports import published
from reports.figures.style import FAINT, INK, STYLE, colours, name
from reports.text import COLUMNS, cell

PANEL = ["network", "batch", "device", "threads"]
MOST_PANELS = 24
MOST_BARS = 60
"""More would not be read; the table beside the figure has them all."""


def images_per_second(table: pd.DataFrame, columns: int = 2) -> Figure:
    """Images per second of `tables.training_speed`: a panel per network and batch, each with an axis of its own from 0,
    because the networks differ by a factor of twenty."""
    panels = list(table.groupby(PANEL, sort=False, observed=True, dropna=False))[:MOST_PANELS]
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    bars = max(len(panel) + panel.filter(like="published ").notna().any().sum() for _, panel in panels)
    paint = colours([str(name) for name in table["backend"]])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.2 * columns, rows * (0.75 + 0.24 * bars)), layout="constrained")
        for i, ((network, batch, *_), panel) in enumerate(panels):
            axes = figure.add_subplot(rows, columns, i + 1)
            _speed_panel(axes, panel, paint)
            axes.set_title(f"{name(published.title(str(network)))}, batch {batch}")
        return figure


def _speed_panel(axes: Axes, panel: pd.DataFrame, paint: dict[str, str]) -> None:
    labels: list[str] = []
    for row in panel.to_dict("records"):
        y = len(labels)
        labels.append(name(str(row["backend"])))
        if row["state"] == "ok":
            _bar(axes, y, row, "images_per_second", paint[str(row["backend"])])
        else:
            _no_bar(axes, y, row)
    first = panel.iloc[0]
    for column in panel.columns:
        if str(column).startswith("published ") and pd.notna(first[column]):
            axes.barh(
                len(labels),
                first[column],
                0.66,
                facecolor="none",
                edgecolor=FAINT,
                linestyle=(0, (3, 2)),
                linewidth=0.9,
            )
            axes.annotate(
                cell(first.to_dict(), str(column)), (first[column], len(labels)), (4, 0), textcoords="offset points",
                va="center", fontstyle="italic", fontsize=8,
            )  # fmt: skip
            labels.append(str(column))
    _finish(axes, labels, "images/s")
    for tick, label in zip(axes.get_yticklabels(), labels, strict=True):
        if label.startswith("published "):
            tick.set_fontstyle("italic")


def _bar(axes: Axes, y: float, row: dict[Any, Any], column: str, colour: str, number: bool = True) -> None:
    """A filled bar with its whisker and, at its end, its number."""
    value, low, high = row[column], row[f"{column}_low"], row[f"{column}_high"]
    axes.barh(y, value, 0.66, color=colour)
    end = value
    if np.isfinite(low) and np.isfinite(high):
        axes.errorbar(
            value, y, xerr=[[max(0, value - low)], [max(0, high - value)]], color=INK, capsize=2.5, linewidth=1
        )
        end = high
    if number:
        written = COLUMNS[column][1](value)
        axes.annotate(written, (end, y), (4, 0), textcoords="offset points", va="center", fontsize=8)


def _no_bar(axes: Axes, y: float, row: dict[Any, Any]) -> None:
    axes.annotate(
        COLUMNS["state"][1](row["state"]), (0, y), (4, 0), textcoords="offset points", va="center", fontsize=8
    )


def _finish(axes: Axes, labels: list[str], unit: str) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.margins(x=0.16)
    axes.set_xlim(left=0)
    axes.set_xlabel(unit)
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="x", color=FAINT, alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)


def ratios(table: pd.DataFrame, peer: str = "torch") -> Figure:
    """How many times as fast as the peer each backend is, with its interval; the line is the peer. Backends that have
    no ratio, because they or the peer are not verified, are named without a bar."""
    shown = table[table["backend"] != peer].head(MOST_BARS)
    paint = colours([str(name) for name in table["backend"]])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.8, 0.9 + 0.26 * max(1, len(shown))), layout="constrained")
        axes = figure.add_subplot()
        labels: list[str] = []
        for row in shown.to_dict("records"):
            y = len(labels)
            labels.append(f"{name(published.title(str(row['network'])), 16)}, {name(str(row['backend']), 16)}")
            if pd.notna(row["ratio"]):
                _bar(axes, y, row, "ratio", paint[str(row["backend"])], number=False)
                axes.annotate(
                    cell(row, "ratio"), (1, y), (6, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                    va="center", fontsize=8,
                )  # fmt: skip
            else:
                _no_bar(axes, y, row | {"state": "no ratio" if row["state"] == "ok" else row["state"]})
        _finish(axes, labels, f"times as fast as {peer}")
        axes.axvline(1, color=INK, linewidth=1)
        axes.annotate(peer, (1, 1), (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points", ha="center")
        axes.set_xlim(right=max(1.1, axes.get_xlim()[1]))
        return figure
