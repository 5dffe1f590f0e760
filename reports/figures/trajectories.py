"""How far training on each backend has come from training in float64, step by step."""

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from reports.figures.style import FAINT, STYLE, colours, name

MARKERS = "oDs^v<>"


def trajectories(distances: pd.DataFrame) -> Figure:
    """One line per pair (columns pair, step, distance) on a logarithmic axis."""
    names = list(dict.fromkeys(distances["pair"]))
    paint = colours(names)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.4), layout="constrained")
        axes = figure.add_subplot()
        axes.set_yscale("log")
        for i, pair in enumerate(names):
            ours = distances[(distances["pair"] == pair) & (distances["distance"] > 0)]
            every = max(1, len(ours) // 8)
            axes.plot(
                ours["step"], ours["distance"], color=paint[pair], label=name(pair, 40), linewidth=1.2,
                marker=MARKERS[i % len(MARKERS)], markersize=4, markevery=(i * every // max(1, len(names)), every),
            )  # fmt: skip
        axes.set_xlabel("step")
        axes.set_ylabel("relative distance of the parameters")
        axes.grid(axis="both", color=FAINT, alpha=0.25, linewidth=0.6)
        figure.legend(loc="outside lower center", ncols=2, fontsize=8)
        return figure
