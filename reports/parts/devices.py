"""Several devices: the manual's Table 1.2 with what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from reports import figures, published, tables
from reports.parts.part import Drawing, Part, commands
from reports.runfile import RunFile
from reports.text import cell, reasons

LEGEND = [
    "images/s: of all devices together; the median over rounds with its 95% bootstrap interval.",
    "speed-up: over the fewest devices that were measured; efficiency: of what as many more would give at best.",
]


def part(frame: pd.DataFrame, files: Sequence[RunFile]) -> Part | None:
    """The part, if a run of multi-gpu is among the files."""
    if not (frame["experiment"] == "multi-gpu").any():
        return None
    table = tables.multi_gpu(frame)
    good = table[table["state"] == "ok"]
    said = [
        f"{published.title(row['network'])}, {row['backend']} on {row['workers']}: {cell(row, 'images_per_second')}."
        for row in good.to_dict("records")
    ]
    drawing = Drawing(
        "scaling",
        "Images per second over devices",
        "Line chart of images per second over the number of devices. " + " ".join(said),
        partial(figures.scaling, table),
        table,
    )
    return Part(
        "multi-gpu",
        "Several devices",
        table,
        _headline(good),
        [*reasons(table), *tables.interruptions(frame[frame["experiment"] == "multi-gpu"])],
        LEGEND + published.sources("multi-gpu"),
        [drawing],
        commands(files, "multi-gpu"),
    )


def _headline(good: pd.DataFrame) -> str:
    most = good[good["workers"] > 1].sort_values("workers").groupby(["network", "backend"], sort=False, observed=True)
    said = [
        f"{row['backend']} on {row['workers']} devices: {row['efficiency']:.0%} efficiency "
        f"({published.title(str(row['network']))})"
        for row in most.tail(1).to_dict("records")
    ]
    return f"{'; '.join(said)}." if said else ""
