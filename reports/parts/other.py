"""Other measurements: experiments without a table of their own, and the results of other tools."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from reports import tables
from reports.parts.part import Part, commands
from reports.runfile import RunFile
from reports.text import reasons

OWN = ["training-speed", "layer-speed", "multi-gpu"]


def part(frame: pd.DataFrame, files: Sequence[RunFile]) -> Part | None:
    """The part, if there are such measurements among the files."""
    rest = frame[~frame["experiment"].isin(OWN)]
    if rest.empty:
        return None
    table = tables.cases(rest)
    legend = ["time: of one sample, the median over rounds with its 95% bootstrap interval.", *tables.LEGEND[1:3]]
    if (table["state"] == "foreign").any():
        legend.append("another tool's: measured by pytest-benchmark or asv; nothing verified it.")
    experiments = [str(name) for name in rest["experiment"].unique()]
    return Part(
        "measurements",
        "Other measurements",
        table,
        problems=[*reasons(table), *tables.interruptions(rest)],
        legend=legend,
        commands=commands(files, *experiments),
    )
