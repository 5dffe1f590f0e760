"""Whole networks on several backends: one step's loss and gradients, training beside each other and in float64."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from reports import figures
from reports.parts.part import Drawing, Part, commands
from reports.runfile import RunFile

ORACLE = "float64"
KEY = ["network", "backend", "other"]
LEGEND = [
    "loss, gradients: of one step from the same parameters, the relative difference of the losses and the largest, in "
    "the 2-norm, of a parameter's gradients. float64 is the oracle.",
    "distance: |a - b| / |b| of all parameters, in the 2-norm, after all steps of training on the same batches.",
    "accuracy: of the first backend, on images that were not trained on.",
]


def part(files: Sequence[RunFile]) -> Part | None:
    """The part, if the files hold steps of networks on several backends."""
    lines = [line for file in files for line in file.steps]
    # What a backend cannot do is said once, beside the oracle.
    steps = [line for line in lines if line.verdict != "UNSUPPORTED" or line.other == ORACLE]
    if not steps:
        return None
    ways = {(way.network, way.backend, way.other): way for file in files for way in file.trajectories}
    rows = []
    for line in {(line.network, line.backend, line.other): line for line in steps}.values():
        way = ways.get((line.network, line.backend, line.other))
        row = line.model_dump(include={*KEY, "verdict"}) | {"loss": _short(line.loss)}
        row |= {"gradients": _short(line.gradient), "of": line.parameter or ""}
        if ways:
            row |= {"steps": "", "distance": "", "accuracy": ""}
        if way is not None:
            row |= {"steps": str(len(way.distance)), "distance": _short(way.distance[-1])}
            row |= {"accuracy": f"{way.accuracy:.1%}"}
        rows.append(row)
    distances = pd.DataFrame(
        [
            {"pair": f"{way.backend}, {way.other}", "step": step, "distance": distance}
            for way in ways.values()
            if way.other == ORACLE
            for step, distance in enumerate(way.distance, 1)
        ]
    )
    last = "; ".join(
        f"{way.backend}: {way.distance[-1]:.1e} after {len(way.distance)} steps, {way.accuracy:.1%} right"
        for way in ways.values()
        if way.other == ORACLE
    )
    words = f"Line chart of the distance from training in float64 over the steps. {last}."
    title = "Distance from training in float64"
    drawings = [Drawing("distance", title, words, partial(figures.trajectories, distances), distances)] if ways else []
    return Part(
        "networks",
        "Whole networks",
        pd.DataFrame(rows),
        f"{last}." if last else "",
        [f"{line.network}, {line.backend}, {line.other}: {line.message}" for line in steps if line.message],
        LEGEND,
        drawings,
        commands([file for file in files if file.steps], "agree"),
    )


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}"
