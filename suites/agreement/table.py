"""What `mcnbench agree` prints: a matrix of the backends, a table of the blocks, and what differs or is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.schema import Agreement, StepAgreement, Trajectory
from suites.agreement.judging import DIRECTIONS, ORACLE


def console() -> Console:
    """Tables are as wide as they need to be, so that what they are redirected to has whole lines."""
    return Console(highlight=False, soft_wrap=True, width=400)


def number(ratio: float | None) -> str:
    """An error over its bound, for a cell."""
    return "–" if ratio is None else f"{ratio:.2f}" if ratio < 100 else f"{ratio:.1e}"


def say(line: str) -> None:
    """One line on standard output."""
    console().print(Text(line))


def show(lines: Sequence[Agreement], backends: Sequence[str], receipts: Mapping[str, str], path: Path | None) -> None:
    """Prints all of it on standard output."""
    out = console()
    for direction in DIRECTIONS:
        ours = [line for line in lines if line.direction == direction and line.examples]
        if ours:
            out.print(_matrix(ours, backends, direction))
            out.print(_blocks(ours, backends, direction))
    _missing(out, lines)
    alone = {(x.case, x.backend) for x in lines if x.other == ORACLE and x.verdict != "AGREE"}
    for line in lines:
        known = line.other != ORACLE and {(line.case, line.backend), (line.case, line.other)} & alone
        if line.verdict in ("DIFFER", "ERROR") and not known:
            out.print(_finding(line))
    for name, receipt in receipts.items():
        out.print(Text(f"{name}: {receipt}"))
    if path:
        out.print(f"Run file: {path}")


def _matrix(lines: Sequence[Agreement], backends: Sequence[str], direction: str) -> Table:
    """Over all blocks: the largest difference over the bound, and the fewest bits in which they agree."""
    title = f"\n{direction}, all blocks: largest difference / bound, fewest bits that agree, cases with the same bits"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1), header_style="bold")
    table.add_column("")
    for name in (ORACLE, *backends):
        table.add_column(name, justify="right")
    for name in backends:
        table.add_row(
            name, *(_cell([x for x in lines if {x.backend, x.other} == {name, o}]) for o in (ORACLE, *backends))
        )
    return table


def _cell(lines: Sequence[Agreement]) -> Text:
    if not lines:
        return Text("–", "dim")
    worst = max(line.worst_ratio or 0 for line in lines)
    bits = min(line.worst_bits or 0 for line in lines)
    equal, cases = sum(line.equal for line in lines), sum(line.examples for line in lines)
    return Text(f"{number(worst)} {bits:.0f} {equal / cases:.0%}", "bold red" if worst > 1 else "")


def _blocks(lines: Sequence[Agreement], backends: Sequence[str], direction: str) -> Table:
    """A row per block and dtype: each backend to float64 (worst, median), and the pair that is furthest apart."""
    title = f"\n{direction}: error / bound to float64, worst and median; the two that are furthest apart"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1), header_style="bold")
    table.add_column("block")
    for name in backends:
        table.add_column(name, justify="right")
    table.add_column("furthest apart")
    for (block, dtype), some in groupby(lines, key=lambda line: (line.block, line.dtype)):
        mine = list(some)
        cells = []
        for name in backends:
            found = [line for line in mine if (line.backend, line.other) == (name, ORACLE)]
            text = f"{number(found[0].worst_ratio)} {number(found[0].median_ratio)}" if found else "–"
            cells.append(Text(text, "bold red" if found and (found[0].worst_ratio or 0) > 1 else ""))
        between = [line for line in mine if line.other != ORACLE]
        far = max(between, key=lambda line: line.worst_ratio or 0, default=None)
        words = (
            "" if far is None else f"{far.backend}, {far.other}: {number(far.worst_ratio)}, {far.worst_bits:.0f} bits"
        )
        if far is not None and all(line.equal == line.examples for line in between):
            words = "all the same bits"
        table.add_row(f"{block} {dtype}" if dtype != "float32" else block, *cells, words)
    return table


def _missing(console: Console, lines: Sequence[Agreement]) -> None:
    """What a backend refused, each reason once."""
    reasons: dict[str, list[str]] = {}
    for line in lines:
        if line.other == ORACLE and line.verdict != "ERROR" and line.message:
            few = f" ({line.refused} of {line.refused + line.examples} cases)" if line.examples else ""
            reasons.setdefault(line.message, []).append(f"{line.block} {line.direction}{few}")
    for reason, where in reasons.items():
        console.print(Text.assemble(("UNSUPPORTED ", "dim"), f"{reason} ({', '.join(dict.fromkeys(where))})"))


def _finding(line: Agreement) -> Text:
    who = f"{line.backend}, {line.other}"
    if line.verdict == "ERROR":
        text = f"\nERROR {line.block} {line.direction} {line.dtype}, {who}: {line.message}"
    else:
        far = f"{line.quantity} differs by {line.worst_ratio:.3g} times the bound, {line.worst_bits:.0f} bits agree"
        text = f"\nDIFFER {line.block} {line.direction} {line.dtype}, {who}: {far}"
    others = line.backend if line.other == ORACLE else f"{line.backend} {line.other}"
    command = "check" if line.other == ORACLE else "agree"
    return Text(f"{text}\n  replay    mcnbench {command} {others} --case '{line.reproduce}'")


def show_networks(steps: Sequence[StepAgreement], trained: Sequence[Trajectory]) -> None:
    """Prints one step of each network, and where training led."""
    out = console()
    table = Table(title="\nOne step from the same parameters", title_justify="left", box=None, header_style="bold")
    for name in ("network", "backend", "other", "", "loss", "gradients", "of"):
        table.add_column(name)
    for line in steps:
        numbers = [f"{x:.1e}" if x is not None else "–" for x in (line.loss, line.gradient)]
        said = line.message if line.parameter is None else line.parameter
        table.add_row(line.network, line.backend, line.other, line.verdict, *numbers, said)
    out.print(table)
    if not trained:
        return
    count = len(trained[0].distance)
    table = Table(title=f"\nAfter {count} steps on digits", title_justify="left", box=None, header_style="bold")
    for name in ("network", "backend", "other", "distance", "after 1 step", "accuracy", "other's"):
        table.add_column(name)
    for way in trained:
        ends = [f"{way.distance[-1]:.1e}", f"{way.distance[0]:.1e}", f"{way.accuracy:.1%}", f"{way.other_accuracy:.1%}"]
        table.add_row(way.network, way.backend, way.other, *ends)
    out.print(table)
