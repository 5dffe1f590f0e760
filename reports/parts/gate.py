"""Comparisons: what `mcnbench compare` concluded, and what its gate found of slow-downs of known size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
RULE = "median:5%"
POWER_LEGEND = [
    "A row per size of slow-down (0: identical code): how many trials ended in each decision, and their mean duration.",
    f"The last two columns: how many would have failed the rule {RULE} of pytest-benchmark's --benchmark-compare-fail, "
    "put to the same interleaved samples, and to two runs as it is used: the base of one trial, the head of the next.",
]


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
    table = pd.DataFrame(
        {"case": case, "backend": backend, "slowdown": slowdown} | _row(some.sort_values("trial"))
        for (case, backend, slowdown), some in trials.groupby(["case", "backend", "slowdown"])
    )
    return Part(
        "gate",
        "What the gate finds",
        table.drop(columns=[word for word in DECISIONS if not table[word].any()]),
        legend=POWER_LEGEND,
        commands=commands(files, *{file.run.experiment for file in files if file.trials}),
    )


def _row(trials: pd.DataFrame) -> dict[str, Any]:
    """Of one size of slow-down."""
    count = {word: int((trials["decision"] == word).sum()) for word in DECISIONS}
    base, head = ([ns[side] for ns in trials["median_ns"]] for side in ("base", "head"))
    return {
        "trials": len(trials),
        **count,
        "mean_seconds": trials["seconds"].mean(),
        f"{RULE} fails": sum(map(_alarms, base, head)),
        f"{RULE} fails, two runs": sum(map(_alarms, base, head[1:])),
    }


def _alarms(base_ns: float | None, head_ns: float | None) -> bool:
    """Whether pytest-benchmark's own rule would fail the run."""
    from pytest_benchmark.utils import parse_compare_fail

    if base_ns is None or head_ns is None:
        return False
    rule = parse_compare_fail(RULE)  # type: ignore[no-untyped-call]
    return bool(rule.fails({"median": head_ns}, {"median": base_ns}))
