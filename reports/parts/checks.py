"""Checks: which blocks are right, how near their errors come to the bounds, and what was violated."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd

from reports import figures
from reports.parts.part import Drawing, Part, commands
from reports.runfile import RunFile

KEY = ["backend", "block", "property", "dtype"]
LEGEND = [
    "HOLDS: every example agreed, exactly or within the bound that holds for any order of summation.",
    "MISTRUSTED: it passed, but could hardly have failed. UNSUPPORTED: the backend lacks it.",
    "error / bound: the worst of all examples; right is below 1.",
]


def newest(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Of each backend, block, property and dtype the latest verdict."""
    return verdicts.drop_duplicates(KEY, keep="last").reset_index(drop=True)


def summary(verdicts: pd.DataFrame) -> pd.DataFrame:
    """One row per backend and block: how many verdicts of each kind, examples tried, worst numbers."""
    rows = []
    for (backend, block), ours in verdicts.groupby(["backend", "block"], sort=False):
        counts = ours["verdict"].value_counts()
        rows.append(
            {"block": block, "backend": backend, "properties": len(ours)}
            | {word: counts.get(word, 0) for word in WORDS}
            | {"examples": int(ours["examples"].sum())}
            | {column: ours[column].max() for column in ("worst_ratio", "error_multiple") if column in ours}
            | {"verdict": next((word for word in WORST_FIRST if counts.get(word, 0)), "HOLDS")}
        )
    table = pd.DataFrame(rows)
    return table.drop(columns=[word for word in WORDS if word != "HOLDS" and (table[word] == 0).all()])


WORDS = ["HOLDS", "VIOLATED", "MISTRUSTED", "ERROR", "UNSUPPORTED"]
WORST_FIRST = ["VIOLATED", "ERROR", "MISTRUSTED", "HOLDS", "UNSUPPORTED"]


def part(verdicts: pd.DataFrame, files: Sequence[RunFile]) -> Part | None:
    """The part, if there are verdicts among the files."""
    if verdicts.empty:
        return None
    latest = newest(verdicts)
    bad = latest[latest["verdict"].isin(["VIOLATED", "ERROR", "MISTRUSTED"])]
    experiments = {file.run.experiment for file in files if file.verdicts}
    return Part(
        "check",
        "Is it right?",
        summary(latest),
        _headline(latest),
        [_problem(row) for row in bad.to_dict("records")],
        LEGEND,
        [_drawing(latest, column) for column in ("worst_ratio", "error_multiple") if _known(latest, column)],
        commands(files, *experiments),
    )


def details(verdicts: pd.DataFrame) -> Part | None:
    """Every verdict in a row of its own."""
    if verdicts.empty:
        return None
    columns = ["block", "property", "backend", "dtype", "verdict", "examples", "worst_ratio", "error_multiple"]
    latest = newest(verdicts)
    return Part("verdicts", "Every verdict", latest[[column for column in columns if column in latest]])


def _known(verdicts: pd.DataFrame, column: str) -> bool:
    return column in verdicts and bool(verdicts[column].notna().any())


def _headline(verdicts: pd.DataFrame) -> str:
    said = []
    for backend, ours in verdicts.groupby("backend", sort=False):
        counts = ours["verdict"].value_counts()
        kinds = ", ".join(f"{counts[word]} {word}" for word in WORDS if counts.get(word, 0))
        said.append(f"{backend}: {kinds}, of {ours['examples'].sum():,} examples")
    return "; ".join(said) + "."


def _problem(row: dict[Any, Any]) -> str:
    message = str(row["message"]).strip().splitlines() if row["message"] else []
    said = f"{row['backend']}, {row['block']}, {row['property']}, {row['dtype']}: {row['verdict']}"
    said += f", {message[0]}" if message else ""
    return f"{said}; reproduced by {row['reproduce']}" if row["reproduce"] else said


def _drawing(verdicts: pd.DataFrame, column: str) -> Drawing:
    known = verdicts.dropna(subset=column)
    worst = known.groupby(["block", "backend"], sort=True)[column].max().reset_index()
    said = " ".join(f"{row['block']}, {row['backend']}: {row[column]:.2g}." for row in worst.to_dict("records"))
    titles = {"worst_ratio": "Worst error over its bound", "error_multiple": "Error beside that of torch float32"}
    return Drawing(
        column.replace("_", "-"),
        titles[column],
        f"Dot chart, a dot per property. The largest of each block: {said}",
        partial(figures.errors, verdicts, column),
        known[[*KEY, column]],
    )
