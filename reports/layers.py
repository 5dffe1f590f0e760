"""The layers of a network: time, share of the machine's limit and ratio to the peer, per layer and direction."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from reports import tables
from reports.figures.style import FAINT, INK, STYLE, colours
from reports.runfile import RunFile

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


def roofline(table: pd.DataFrame, file: RunFile) -> pd.DataFrame:
    """One row per layer, direction and backend that was timed in the run: `intensity` (operations per byte that must at
    least be moved), `rate` (operations per second) and `attainable`: the rate that the machine's matrix products and
    memory permit there, in operations per second. Empty where the run did not measure the memory's rate."""
    limit = next((limit for limit in file.limits if limit.bytes_per_second), None)
    if limit is None:
        return pd.DataFrame()
    work = {
        (*m.case.split("/", 3)[1:], m.backend): (m.flops, m.details["bytes"])
        for m in file.measurements
        if m.details.get("bytes")
    }
    rows = []
    for row in table[table["state"] == "ok"].to_dict("records"):
        flops, moved = work.get((row["network"], row["layer"], row["direction"], row["backend"]), (0, 1))
        if flops:
            intensity = flops / moved
            attainable = min(limit.flops_per_second, intensity * (limit.bytes_per_second or 0.0))
            rows.append(
                {key: row[key] for key in ("network", "layer", "direction", "backend")}
                | {"intensity": intensity, "rate": flops / row["seconds"], "attainable": attainable}
            )
    return pd.DataFrame(rows)


def roofline_figure(points: pd.DataFrame) -> Figure:
    """Rate over arithmetic intensity, both in logarithms: a dot per layer and direction (forward filled, backward
    empty), under the line that memory and matrix products permit."""
    paint = colours([str(name) for name in points["backend"]])
    peak, slope = points["attainable"].max(), (points["attainable"] / points["intensity"]).max()
    low, high = points["intensity"].min(), points["intensity"].max()
    roof = np.geomspace(low, high, 200)
    with mpl.rc_context(STYLE):
        drawing = Figure(figsize=(6.4, 4.2), layout="constrained")
        axes = drawing.add_subplot()
        axes.plot(roof, np.minimum(peak, slope * roof) / 1e9, color=INK, linewidth=1.2, label="the machine's limits")
        for (backend, direction), some in points.groupby(["backend", "direction"], sort=False, observed=True):
            colour = paint[str(backend)]
            filled = colour if direction == "forward" else "none"
            axes.scatter(
                some["intensity"], some["rate"] / 1e9, 22, facecolors=filled, edgecolors=colour,
                label=f"{backend} {direction}",
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("operations per byte that must be moved")
        axes.set_ylabel("GFLOP/s")
        axes.grid(color=FAINT, alpha=0.25, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.legend(labelcolor=INK)
        return drawing
