"""Errors of checked blocks: how near each comes to its bound, and how they compare with torch's."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reports.figures.style import FAINT, INK, STYLE, colours, name

MEANING = {
    "worst_ratio": ("worst error / bound", "the bound"),
    "error_multiple": ("error / error of torch float32", "torch"),
}
LEAST = 1e-4
MOST_BLOCKS = 60


def errors(verdicts: pd.DataFrame, column: str = "worst_ratio") -> Figure:
    """One dot per verdict (`frames.verdicts`) that has the number, a row per block, on a logarithmic axis; the line at
    1 is the bound or torch. What is below 1e-4, exact results included, stands at the left edge."""
    known = verdicts.dropna(subset=column)
    blocks = sorted(known["block"].unique())[:MOST_BLOCKS]
    known = known[known["block"].isin(blocks)]
    backends = list(dict.fromkeys(known["backend"]))
    paint = colours(backends)
    label, line = MEANING[column]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.8, 1.0 + 0.26 * max(2, len(blocks))), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xscale("log")
        for i, backend in enumerate(backends):
            ours = known[known["backend"] == backend]
            y = ours["block"].map(blocks.index).to_numpy() + _spread(i, len(backends))
            x = np.maximum(ours[column].to_numpy(np.float64), LEAST)
            axes.plot(x, y, "oDs^v"[i % 5], color=paint[backend], markersize=4, alpha=0.8, label=name(backend))
        axes.axvline(1, color=INK, linewidth=1)
        axes.annotate(line, (1, 1), (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points", ha="center")
        axes.set_yticks(range(len(blocks)), [name(block) for block in blocks])
        axes.set_ylim(len(blocks) - 0.4, -0.6)
        axes.set_xlim(LEAST * 0.7, max(3.0, float(known[column].max()) * 1.5) if len(known) else 3.0)
        axes.set_xlabel(label)
        axes.grid(axis="both", color=FAINT, alpha=0.25, linewidth=0.6)
        axes.set_axisbelow(True)
        if len(backends) > 1:
            figure.legend(loc="outside lower center", ncols=3, fontsize=8)
        return figure


def _spread(i: int, count: int) -> float:
    """Backends stand a little above each other within the row of their block."""
    return 0.0 if count == 1 else 0.5 * (i / (count - 1) - 0.5)
