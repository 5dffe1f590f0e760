"""Planted faults: what the suites can detect, block by block, and by which property each fault was found."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from reports.others import Planted
from reports.parts.part import Part, commands
from reports.runfile import RunFile

LEGEND = [
    "A bug of a few lines is planted into the backend; the properties of `mcnbench check` run until one objects.",
    "found by: how many faults each property found, the first to object.",
    "examples and time: of the property that found it, and from the first case on; medians over the block's faults.",
]


def part(files: Sequence[RunFile]) -> Part | None:
    """A row for each backend and block, if there are planted faults among the files."""
    table = _table(files)
    if table.empty:
        return None
    rows = []
    for (backend, block), some in table.groupby(["backend", "block"], sort=False):
        killed = some[some["word"] == "KILLED"]
        by = killed["killed by"].value_counts(sort=True)
        rows.append(
            {
                "block": block,
                "backend": backend,
                "faults": len(some),
                "killed": len(killed),
                "survived": len(some) - len(killed),
                "examples": killed["examples"].median(),
                "seconds": killed["seconds"].median(),
                "found by": ", ".join(f"{name} {count}" for name, count in by.items()),
            }
        )
    survivors = table[table["word"] == "SURVIVED"].to_dict("records")
    return Part(
        "faults",
        "What the suites can detect",
        pd.DataFrame(rows),
        " ".join(_headline(file) for file in files if isinstance(file, Planted)),
        [f"{row['fault']} SURVIVED on {row['backend']}, seed {row['seed']}: {row['message']}" for row in survivors],
        LEGEND,
        commands=commands(files, "faults"),
    )


def details(files: Sequence[RunFile]) -> Part | None:
    """Every fault in a row of its own."""
    table = _table(files)
    if table.empty:
        return None
    columns = ["fault", "what", "backend", "seed", "word", "killed by", "dtype", "verdict", "examples", "seconds"]
    return Part("every-fault", "Every planted fault", table[columns].rename(columns={"verdict": "objection"}))


def _table(files: Sequence[RunFile]) -> pd.DataFrame:
    """A row for each fault that could be planted, in each run."""
    rows = [
        row | {"backend": file.run.settings["backend"], "seed": file.run.settings["seed"]}
        for file in files
        if isinstance(file, Planted)
        for row in file.rows
        if row["word"] != "UNSUPPORTED"
    ]
    table = pd.DataFrame(rows)
    if rows:
        table["block"] = table["fault"].str.partition("/")[0]
    return table.rename(columns={"property": "killed by"})


def _headline(file: Planted) -> str:
    about, tried = file.run.settings, [row for row in file.rows if row["word"] != "UNSUPPORTED"]
    killed = [row["seconds"] for row in tried if row["word"] == "KILLED"]
    median = f", median time to kill {pd.Series(killed).median():.2g} s" if killed else ""
    return (
        f"{about['backend']}, seed {about['seed']}, {about['examples']} examples: {len(killed)} of {len(tried)} faults "
        f"killed{median}; {about['seconds']:.0f} s in all."
    )
