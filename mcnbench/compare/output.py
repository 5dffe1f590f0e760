"""A comparison as text for a terminal, Markdown for a job summary, JUnit XML and JSON for CI systems."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from xml.etree import ElementTree

from mcnbench.compare.result import WRONG, Comparison, ordered

HEADINGS = ("case", "backend", "quantity", "verdict", "change", "95% interval", "reason")


def _row(comparison: Comparison) -> tuple[str, ...]:
    change = "" if comparison.change is None else f"{comparison.change:+.1%}"
    known = comparison.low is not None and comparison.high is not None
    interval = f"{comparison.low:+.1%} .. {comparison.high:+.1%}" if known else ""
    return (
        comparison.case,
        comparison.backend,
        comparison.quantity,
        comparison.verdict,
        change,
        interval,
        comparison.reason,
    )


def summary(comparisons: Sequence[Comparison]) -> str:
    """One line with the number of each verdict."""
    counts = [(v, sum(c.verdict == v for c in comparisons)) for v in (*WRONG, "AMBIGUOUS", "IMPROVED", "SAME")]
    return ", ".join(f"{count} {verdict}" for verdict, count in counts if count)


def as_text(comparisons: Sequence[Comparison]) -> str:
    """Columns of plain text, the worst first; speed changes are changes of time, so + is slower."""
    rows = [HEADINGS, *(_row(comparison) for comparison in ordered(comparisons))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS) - 1)]
    lines = ["  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]]).rstrip() for row in rows]
    return "\n".join([*lines, "", summary(comparisons)])


def as_markdown(comparisons: Sequence[Comparison]) -> str:
    """A table for a pull request or a job summary, the worst first."""
    rows = [HEADINGS, ("---",) * len(HEADINGS), *(_row(comparison) for comparison in ordered(comparisons))]
    table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
    return f"**mcnbench compare**: {summary(comparisons)}\n\n{table}\n"


def as_junit(comparisons: Sequence[Comparison]) -> str:
    """A test case per line; what must not pass is a failure, what is ambiguous is skipped with its reason."""
    failures = [c for c in comparisons if c.verdict in WRONG]
    skipped = [c for c in comparisons if c.verdict == "AMBIGUOUS"]
    suite = ElementTree.Element(
        "testsuite",
        name="mcnbench compare",
        tests=str(len(comparisons)),
        failures=str(len(failures)),
        skipped=str(len(skipped)),
        errors="0",
    )
    for comparison in comparisons:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"{comparison.backend}.{comparison.quantity}", name=comparison.case
        )
        if comparison in failures or comparison in skipped:
            kind = "failure" if comparison in failures else "skipped"
            said = f"{comparison.verdict}: {comparison.reason}"
            ElementTree.SubElement(case, kind, message=said).text = "  ".join(_row(comparison))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def as_json(comparisons: Sequence[Comparison]) -> str:
    """A list of objects with the fields of `Comparison`."""
    return json.dumps([dataclasses.asdict(c) for c in ordered(comparisons)], indent=1, allow_nan=False) + "\n"
