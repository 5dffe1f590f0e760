"""Layers: where the time of a training step goes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from reports import layers, tables
from reports.parts.part import Drawing, Part, commands, oddities
from reports.runfile import RunFile
from reports.text import cell, reasons, receipts

LEGEND = [
    "of all: the share of the backend's time in all layers and directions.",
    "of limit: the layer's arithmetic over its time, beside the machine's matrix-product rate in the same run.",
]


def part(frame: pd.DataFrame, files: Sequence[RunFile]) -> Part | None:
    """The part, if a run of layer-speed is among the files."""
    mine = [file for file in files if file.run.experiment == "layer-speed"]
    if not mine:
        return None
    peer = str(mine[-1].run.settings.get("peer", tables.PEER))
    table = layers.layer_speed(frame, peer)
    if table.empty:
        return None
    slowest = table.sort_values("seconds", ascending=False).head(12).to_dict("records")
    said = [f"{row['layer']} {row['direction']} on {row['backend']}: {cell(row, 'seconds')}." for row in slowest]
    drawing = Drawing(
        "layers", "Time per layer", "Bar chart of milliseconds per layer. The slowest: " + " ".join(said),
        partial(layers.figure, table), table,
    )  # fmt: skip
    drawings = [drawing]
    points = layers.roofline(table, mine[-1])
    if not points.empty:
        near = points.assign(share=points["rate"] / points["attainable"]).sort_values("share").to_dict("records")
        far = [f"{row['layer']} {row['direction']} on {row['backend']}: {row['share']:.0%}." for row in near[:12]]
        words = "Dots of rate over arithmetic intensity under the machine's limits. Furthest below: " + " ".join(far)
        drawings.append(
            Drawing(
                "roofline", "What memory and arithmetic permit", words, partial(layers.roofline_figure, points), points
            )
        )
    return Part(
        "layer-speed",
        "Layers",
        table,
        "",
        [*reasons(table), *oddities(mine)],
        receipts(table) + LEGEND,
        drawings,
        commands(files, "layer-speed"),
    )
