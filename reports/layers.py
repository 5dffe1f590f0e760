"""The layers of a network: time, share of the machine's limit and ratio to the peer, per layer and direction."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reports import tables
from reports.figures.style import FAINT, INK, STYLE, colours

PEER = tables.PEER
SLOWEST = 24
"""Layers that a figure has room for: those in which most time goes."""


def layer_speed(frame: pd.DataFrame, peer: str = PEER) -> pd.DataFrame:
    """One row per network, layer, direction and backend, in the order of the network; the columns of `tables.measured`
    with `layer` and `direction`, and `part`: the layer's share of all layers' time on that backend."""
    mine = frame[frame["experiment"] == "layer-speed"]
    table = tables.measured(mine, peer)
    names = table["case"].astype(str).str.split("/", n=3, expand=True).reindex(columns=range(4))
    table["layer"], table["direction"] = names[2], names[3]
    whole = table.groupby(["network", "backend", "batch", "threads"], observed=True, sort=False)["seconds"]
    table["part"] = table["seconds"] / whole.transform("sum")
    where = ["network", "batch", "machine", "device", "dtype", "threads"]
    numbers = ["seconds", "seconds_low", "seconds_high", "part", "ratio", "ratio_low", "ratio_high", "share"]
    return table[
        [*where, "layer", "direction", "backend", *numbers, "error_ratio", "rounds", "state", "reason", "receipt"]
    ]


def figure(table: pd.DataFrame) -> Figure:
    """Milliseconds of each layer, a group of bars per layer and direction, the slowest first, so that it is seen at a
    glance where the time goes. What a colour says is in the legend; failed layers are named without a bar."""
    named = table["network"].astype(str) + "/" + table["layer"].astype(str) + " " + table["direction"].astype(str)
    order = table.assign(name=named).groupby("name")["seconds"].max().sort_values(ascending=False).head(SLOWEST)
    backends = list(dict.fromkeys(table["backend"].astype(str)))
    paint = colours(backends)
    height = 0.8 / len(backends)
    with mpl.rc_context(STYLE):
        drawing = Figure(figsize=(6.4, 1.0 + 0.2 * len(backends) * len(order)), layout="constrained")
        axes = drawing.add_subplot()
        for i, backend in enumerate(backends):
            ours = table[table["backend"] == backend].set_index(named[table["backend"] == backend])["seconds"]
            times = 1e3 * ours.reindex(order.index).to_numpy(np.float64)
            places = np.arange(len(order)) + (i - (len(backends) - 1) / 2) * height
            axes.barh(places, np.nan_to_num(times), height * 0.9, color=paint[backend], label=backend)
            for place, ms in zip(places, times, strict=True):
                if np.isnan(ms):
                    axes.annotate("no time", (0, place), (4, 0), textcoords="offset points", va="center", fontsize=7)
        axes.set_yticks(range(len(order)), [name.partition("/")[2] for name in order.index])
        axes.set_ylim(len(order) - 0.4, -0.6)
        axes.set_xlabel("milliseconds per batch")
        axes.grid(axis="x", color=FAINT, alpha=0.25, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.legend(loc="lower right", labelcolor=INK)
        return drawing
