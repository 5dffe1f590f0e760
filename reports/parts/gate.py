"""Comparisons: what `mcnbench compare` concluded, and what its gate found of slow-downs of known size."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from reports.others import Comparisons
from reports.parts.part import Part, commands
from reports.runfile import RunFile

WRONG = ["INCORRECT", "REGRESSED", "MISSING", "INCOMPARABLE"]
LEGEND = [
    "change: of time, error or memory, from base to head, with its 95% interval; above 0% is worse.",
    "AMBIGUOUS: the evidence does not suffice to call it a regression, or the same.",
]
DECISIONS = ["REGRESSED", "AMBIGUOUS", "SAME", "IMPROVED"]


def comparison(files: Sequence[RunFile]) -> Part | None:
    """The verdicts of comparisons, the worst first, if there are any among the files."""
    found = [row | {"of": file.path.stem} for file in files if isinstance(file, Comparisons) for row in file.rows]
    if not found:
        return None
    table = pd.DataFrame(found)
    table = table[["case", "backend", "quantity", "verdict", "change", "low", "high", "reason", "of"]]
    table = table.rename(columns={"low": "change_low", "high": "change_high", "reason": "why"})
    if table["of"].nunique() == 1:
        table = table.drop(columns="of")
    counts = table["verdict"].value_counts()
    bad = [row for row in table.to_dict("records") if row["verdict"] in WRONG]
    return Part(
        "compare",
        "Base and head",
        table,
        "From base to head: " + ", ".join(f"{counts[word]} {word}" for word in counts.index) + ".",
        [f"{row['case']}, {row['backend']}, {row['quantity']}: {row['verdict']}, {row['why']}" for row in bad],
        LEGEND,
    )


def power(files: Sequence[RunFile]) -> Part | None:
    """How often the gate decided what, by the size of the slow-down, if there are such trials among the files."""
    rows = [trial.model_dump(exclude={"kind"}) for file in files for trial in file.trials]
    if not rows:
        return None
    trials = pd.DataFrame(rows)
    counted = pd.crosstab([trials["case"], trials["backend"], trials["slowdown"]], trials["decision"])
    table = counted.reindex(columns=[word for word in DECISIONS if word in counted]).reset_index()
    table.insert(3, "trials", counted.sum(axis=1).to_numpy())
    table.columns.name = None
    return Part(
        "gate",
        "What the gate finds",
        table,
        legend=["A row per size of slow-down (0: identical code): how many trials ended in each decision."],
        commands=commands(files, *{file.run.experiment for file in files if file.trials}),
    )
