"""Several devices: the manual's Table 1.2 with what was measured, and what a model predicts beyond it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from reports import figures, published, scaling, tables
from reports.parts.part import Drawing, Part, commands
from reports.runfile import RunFile
from reports.text import cell, reasons, receipts

LEGEND = [
    "images/s: of all workers together; the median over rounds with its 95% bootstrap interval.",
    "speed-up: over the fewest workers measured, paired by round; efficiency: of what as many more would give at best.",
    "communication: of the sums of a step's gradients by themselves; hidden: the part that did not lengthen the step, "
    "– where it is lost in the scatter of the steps.",
    "published: a batch of 264 in sub-batches of 22, whatever was measured.",
]

PREDICTED = [
    "PREDICTED, not measured: from the times of an image and of an update with one worker, latency and bandwidth of "
    "all-reduces of several sizes (reports/scaling.py). Each further worker has a sub-batch, so the batch grows, and "
    "is joined to the others as those measured are: where these read each other's memory, as on one large machine.",
    "measured: of the largest number of workers, whose steps the prediction beside it did not see.",
    "efficiency: of as many times one worker with the same share of images.",
]


def part(frame: pd.DataFrame, files: Sequence[RunFile]) -> Part | None:
    """The part, if a run of multi-gpu is among the files."""
    mine = frame[frame["experiment"] == "multi-gpu"]
    if mine.empty:
        return None
    table = scaling.multi_gpu(frame, files)
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
        [*reasons(table), *scaling.notes(files), *tables.interruptions(mine)],
        receipts(table) + LEGEND + published.sources("multi-gpu"),
        [drawing],
        commands(files, "multi-gpu"),
    )


def prediction(frame: pd.DataFrame, files: Sequence[RunFile]) -> Part | None:
    """What the model says of more devices, if it could be fitted."""
    table = scaling.predictions(files)
    if table.empty:
        return None
    said = [
        f"{published.title(row['network'])}, {row['backend']} on {row['workers']}: {cell(row, 'predicted')} predicted."
        for row in table.to_dict("records")
    ]
    drawing = Drawing(
        "scaling",
        "Images per second over devices, predicted",
        "Line chart of images per second over the number of devices, both logarithmic, measured and predicted. "
        + " ".join(said),
        partial(figures.predicted, scaling.multi_gpu(frame, files), table),
        table,
    )
    return Part(
        "multi-gpu-predicted",
        "Several devices: predicted",
        table,
        headline(table),
        legend=PREDICTED,
        drawings=[drawing],
    )


def headline(table: pd.DataFrame) -> str:
    """How far the prediction is from the points that were held out."""
    held_out = table[table["measured"].notna()]
    said = [
        f"{published.title(str(row['network']))} on {row['workers']} of {row['backend']}: predicted "
        f"{cell(row, 'predicted')}, measured {cell(row, 'measured')} images/s ({cell(row, 'off')})"
        for row in held_out.to_dict("records")
    ]
    return f"Held out from the fit: {'; '.join(said)}." if said else ""


def _headline(good: pd.DataFrame) -> str:
    most = good[good["workers"] > 1].sort_values("workers").groupby(["network", "backend"], sort=False, observed=True)
    said = [
        f"{row['backend']} on {row['workers']} workers: {row['efficiency']:.0%} efficiency "
        f"({published.title(str(row['network']))})"
        for row in most.tail(1).to_dict("records")
    ]
    return f"{'; '.join(said)}." if said else ""
