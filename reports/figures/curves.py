"""Curves: speed over the number of devices, and over time."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from reports import published
from reports.figures.style import FAINT, INK, STYLE, colours, name


def scaling(table: pd.DataFrame) -> Figure:
    """Images per second over the number of devices or processes (`scaling.multi_gpu`): a line per backend with its 95%
    intervals, dotted where it would be if each device brought as much as the first; what was published is dashed."""
    networks = list(table.groupby("network", sort=False, observed=True))[:MOST_PANELS]
    paint = colours([str(backend) for backend in table["backend"].dropna()])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.8, 3.0 * len(networks)), layout="constrained")
        for i, (network, rows) in enumerate(networks):
            axes = figure.add_subplot(len(networks), 1, i + 1)
            ends = []
            good = rows[rows["state"] == "ok"]
            for backend, ours in good.groupby("backend", sort=False, observed=True):
                colour = paint[str(backend)]
                x, y = ours["workers"].to_numpy(), ours["images_per_second"].to_numpy()
                spread = np.nan_to_num(
                    [y - ours["images_per_second_low"].to_numpy(), ours["images_per_second_high"].to_numpy() - y]
                )
                axes.errorbar(x, y, yerr=np.maximum(spread, 0), color=colour, marker="o", markersize=4, capsize=2.5)
                axes.plot(x, y[0] * x / x[0], color=colour, linestyle=":", linewidth=1)
                ends.append((float(y[-1]), name(str(backend))))
            known = rows.dropna(subset="published cuDNN").drop_duplicates("workers").sort_values("workers")
            if len(known):
                x, y = known["workers"].to_numpy(), known["published cuDNN"].to_numpy()
                axes.plot(x, y, color=FAINT, linestyle=(0, (3, 2)), marker="o", markersize=4, markerfacecolor="none")
                ends.append((float(y[-1]), PUBLISHED))
            axes.set_title(name(published.title(str(network))))
            axes.set_xlabel("devices or processes")
            axes.set_ylabel("images/s")
            axes.set_ylim(bottom=0)
            _label(axes, ends)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
        ideal = Line2D([], [], color=FAINT, linestyle=":", linewidth=1, label="ideal: each as much as the first")
        figure.legend(handles=[ideal], loc="outside lower center", fontsize=8)
        return figure


def predicted(table: pd.DataFrame, predictions: pd.DataFrame) -> Figure:
    """Images per second over the number of devices, both logarithmic: what was measured (`scaling.multi_gpu`) filled
    and joined, what is predicted (`scaling.predictions`) empty and dotted; thin lines: each as much as one."""
    networks = list(predictions.groupby("network", sort=False, observed=True))[:MOST_PANELS]
    paint = colours([str(backend) for backend in predictions["backend"]])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.8, 3.0 * len(networks)), layout="constrained")
        for i, (network, rows) in enumerate(networks):
            axes = figure.add_subplot(len(networks), 1, i + 1)
            good = table[(table["network"] == network) & (table["state"] == "ok")]
            for backend, further in rows.groupby("backend", sort=False, observed=True):
                colour = paint[str(backend)]
                ours = good[good["backend"] == backend]
                x, y = ours["workers"].to_numpy(float), ours["images_per_second"].to_numpy(float)
                axes.plot(x, y, color=colour, marker="o", markersize=4, label=name(str(backend)))
                axes.plot([1, FURTHEST], y[0] / x[0] * np.array([1, FURTHEST]), color=FAINT, linewidth=0.6)
                x, y = further["workers"].to_numpy(float), further["predicted"].to_numpy(float)
                axes.plot(
                    x, y, color=colour, linestyle=":", marker="o", markersize=4, markerfacecolor="none",
                    label=f"{name(str(backend))}, predicted",
                )  # fmt: skip
            axes.set_title(name(published.title(str(network))))
            axes.set_xlabel("devices or processes")
            axes.set_ylabel("images/s")
            axes.set_xscale("log", base=2)
            axes.set_yscale("log")
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            lines, labels = axes.get_legend_handles_labels()
            ideal = Line2D([], [], color=FAINT, linewidth=0.6)
            axes.legend([*lines, ideal], [*labels, "ideal: each as much as one"], fontsize=8)
            axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
        return figure


def history(table: pd.DataFrame) -> Figure:
    """Time per sample over the runs (`tables.history`): a panel per backend, a line per case, as a ratio to the case's
    first run: 1.1 is 10% slower than it was then. Runs stand at equal distances, in the order of time; of 50 or more
    runs the line is the rolling median of one in 25."""
    order = {run: i + 1 for i, run in enumerate(table.sort_values("started")["run"].unique())}
    paint = colours([str(case) for case in table["case"]])
    panels = list(table.groupby("backend", sort=False, observed=True))[:MOST_PANELS]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.8, 2.6 * len(panels)), layout="constrained")
        for i, (backend, ours) in enumerate(panels):
            axes = figure.add_subplot(len(panels), 1, i + 1)
            ends = []
            for (case, *_), rows in list(ours.groupby(SERIES, sort=False, observed=True))[:MOST_LINES]:
                x = [order[run] for run in rows["run"]]
                window = max(1, len(x) // 25)
                smooth = rows["seconds"].rolling(window, center=True, min_periods=1).median()
                y = (smooth / smooth.iloc[0]).to_numpy()
                axes.plot(x, y, color=paint[str(case)], linewidth=1.2, marker="o", markersize=3 if len(x) < 40 else 0)
                ends.append((float(y[-1]), name(str(case).rpartition("/")[2], 18)))
            axes.axhline(1, color=INK, linewidth=0.8)
            _label(axes, ends)
            axes.set_title(name(str(backend)) or "all")
            axes.set_xlabel("run, in the order of time")
            axes.set_ylabel("time / first time")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
        return figure


SERIES = ["case", "machine", "device", "dtype", "threads", "batch", "workers"]
MOST_PANELS = 12
FURTHEST = 1024
MOST_LINES = 60
PUBLISHED = "published cuDNN"


def _label(axes: Axes, ends: list[tuple[float, str]], most: int = 12) -> None:
    """Names the lines at their ends, to the right of the axes, none over another; more than `most` have no room."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    step = (high - low) / most
    if len(ends) > most:
        return
    heights = [y for y, _ in sorted(ends)]
    for i in range(1, len(ends)):
        heights[i] = max(heights[i], heights[i - 1] + step)
    heights[-1] = min(heights[-1], high)
    for i in reversed(range(len(ends) - 1)):
        heights[i] = min(heights[i], heights[i + 1] - step)
    for place, (_, label) in zip(heights, sorted(ends), strict=True):
        axes.annotate(
            label, (1, place), (6, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center",
            fontsize=8, fontstyle="italic" if label == PUBLISHED else "normal", annotation_clip=False,
        )  # fmt: skip
