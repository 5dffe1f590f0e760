"""The table of meanings: a row per question, a column per backend; and what has changed since another run."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.schema import Semantic
from suites.agreement.semantics import NONE


def show(console: Console, lines: Sequence[Semantic]) -> None:
    """Prints the table, the dialects that have the same answers, and the reasons of refusals."""
    backends = list(dict.fromkeys(line.backend for line in lines))
    title = "\nWhat each framework's own operations mean (dialects that say the same)"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1), header_style="bold")
    for name in ("probe", "question", *backends):
        table.add_column(name)
    for _, some in groupby(lines, key=lambda line: line.probe):
        row = list(some)
        differ = len({line.answer for line in row if line.reason is None}) > 1
        table.add_row(row[0].probe, Text(row[0].question, "bold" if differ else ""), *(_cell(line) for line in row))
    console.print(table)
    for line in lines:
        if line.reason not in (None, NONE, "no gradient"):
            console.print(Text.assemble((f"{line.answer} ", "dim"), f"{line.backend}, {line.probe}: {line.reason}"))


def _cell(line: Semantic) -> Text:
    words = "–" if line.reason == NONE else line.answer
    said = f" ({', '.join(line.dialects)})" if line.dialects else ""
    return Text(words + said, "dim" if line.reason is not None else "")


def show_changes(console: Console, changed: Sequence[tuple[Semantic, Semantic]], compared: int) -> None:
    """Prints what was answered otherwise before, and by which version."""
    for then, now in changed:
        console.print(Text(f"CHANGED {now.backend}, {now.question}: {then.answer} ({then.receipt})"))
        console.print(Text(f"     now {now.answer} ({now.receipt})"))
        console.print(Text(f"  replay    mcnbench agree {now.backend} --probe {now.probe}, asked by {now.reproduce}"))
    console.print(Text(f"{len(changed)} of {compared} answers are not what they were"))
