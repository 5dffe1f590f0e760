"""Whole networks on several backends: one step's loss and gradients, training beside each other and in float64."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import nan

import pandas as pd

from reports import figures, published
from reports.parts.part import Drawing, Part, commands
from reports.runfile import RunFile
from reports.schema import Trajectory

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
        row = line.model_dump(include={*KEY, "verdict"}) | {"loss": _number(line.loss)}
        row |= {"gradients": _number(line.gradient), "of": line.parameter}
        if ways:
            row |= dict.fromkeys(["steps", "distance", "accuracy"], nan)
        if way is not None:
            row |= {"steps": len(way.distance), "distance": way.distance[-1], "accuracy": way.accuracy}
        rows.append(row)
    table = pd.DataFrame(rows)
    if ways:
        table["steps"] = table["steps"].astype("Int64")
    to_oracle = [way for way in ways.values() if way.other == ORACLE]
    several = len({way.network for way in to_oracle}) > 1
    distances = pd.DataFrame(
        [
            {
                "pair": f"{f'{published.title(way.network)}, ' * several}{way.backend} to {way.other}",
                "step": step,
                "distance": distance,
            }
            for way in to_oracle
            for step, distance in enumerate(way.distance, 1)
        ]
    )
    last = " ".join(_last(to_oracle))
    words = f"Line chart of the distance from training in float64 over the steps. {last}"
    title = "Distance from training in float64"
    drawings = (
        [Drawing("distance", title, words, partial(figures.trajectories, distances), distances)] if to_oracle else []
    )
    return Part(
        "networks",
        "Whole networks",
        table,
        last,
        [f"{line.network}, {line.backend}, {line.other}: {line.message}" for line in steps if line.message],
        LEGEND,
        drawings,
        commands([file for file in files if file.steps], "agree"),
    )


def _number(value: float | None) -> float:
    return nan if value is None else value


def _last(ways: Sequence[Trajectory]) -> list[str]:
    """Where training of each network ended: which steps, which quantity, and its value on each backend."""
    said = []
    for network in dict.fromkeys(way.network for way in ways):
        ours = [way for way in ways if way.network == network]
        ends = ", ".join(f"{way.backend} {way.distance[-1]:.1e} ({way.accuracy:.1%})" for way in ours)
        steps = " or ".join(map(str, dict.fromkeys(len(way.distance) for way in ours)))
        said.append(
            f"{published.title(network)}, relative distance of the parameters from training in float64 after {steps} "
            f"steps (accuracy): {ends}."
        )
    return said
