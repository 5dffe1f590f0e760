"""The verdicts as tables of block by property, and the dossiers of what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mcnbench.verdict import BAD, Verdict

VALUES = (
    "shape",
    "exact",
    "bounded",
    "gradient-exact",
    "gradient-bounded",
    "taylor",
    "metamorphic",
    "ties",
    "nan",
    "geometry",
)
BEHAVIOUR = (
    "rejects-invalid",
    "leaves-inputs",
    "writes-all",
    "strided-inputs",
    "empty-batch",
    "deterministic",
)
WIDTH = 132
"""What the tables need; a narrower terminal wraps their lines."""
HEADINGS = {"metamorphic": "meta-\nmorphic", "deterministic": "determi-\nnistic"}
ORDER = ("ERROR", "VIOLATED", "MISTRUSTED", "UNSUPPORTED", "HOLDS")
STYLES = {"HOLDS": "green", "UNSUPPORTED": "dim", "MISTRUSTED": "yellow", "VIOLATED": "bold red", "ERROR": "bold red"}
SHORT = {"HOLDS": "holds", "UNSUPPORTED": "–", "MISTRUSTED": "MISTRUST", "VIOLATED": "VIOLATED", "ERROR": "ERROR"}


def show(
    verdicts: Sequence[Verdict], scripts: Mapping[str, Path], receipt: str, seconds: float, path: Path | None
) -> None:
    """Prints the tables, what is lacking, what is wrong, and one line that counts it all, on standard output."""
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, WIDTH)
    for title, properties in (("What it computes", VALUES), ("How it treats memory, sizes and layouts", BEHAVIOUR)):
        if any(v.property in properties and v.verdict != "UNSUPPORTED" for v in verdicts):
            console.print(_table(verdicts, title, properties))
    _lacking(console, verdicts)
    _dossiers(console, verdicts, scripts)
    _notes(console, verdicts)
    console.print(_summary(verdicts, receipt, seconds))
    if path:
        console.print(f"Run file: {path}")


def _table(verdicts: Sequence[Verdict], title: str, properties: Sequence[str]) -> Table:
    values = properties is VALUES
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1), header_style="bold")
    table.add_column("block")
    shown = [p for p in properties if any(v.property == p for v in verdicts)]
    for name in shown:
        table.add_column(HEADINGS.get(name, name.replace("-", "\n")), justify="right")
    table.add_column("error\nmultiple" if values else "examples", justify="right")
    for block in dict.fromkeys(v.block for v in verdicts):
        mine = [v for v in verdicts if v.block == block]
        if all(v.verdict == "UNSUPPORTED" for v in mine):
            continue
        cells = [_cell([v for v in mine if v.property == name]) for name in shown]
        table.add_row(block, *cells, _multiple(mine) if values else f"{sum(v.examples for v in mine):,}")
    return table


def _cell(verdicts: Sequence[Verdict]) -> Text:
    """The worst verdict over the dtypes; where there is a bound, the largest error over it."""
    if not verdicts:
        return Text("·", "dim")
    worst = min(verdicts, key=lambda v: ORDER.index(v.verdict))
    ratios = [v.worst_ratio for v in verdicts if v.worst_ratio is not None]
    text = f"{max(ratios):.2f}" if worst.verdict == "HOLDS" and ratios else SHORT[worst.verdict]
    return Text(text, STYLES[worst.verdict])


def _multiple(verdicts: Sequence[Verdict]) -> str:
    """Of y and of the gradients, against torch float32."""
    found = {v.property: v.error_multiple for v in verdicts if v.error_multiple is not None}
    parts = [f"{found[name]:.2g}" for name in ("bounded", "gradient-bounded") if name in found]
    return " / ".join(parts) or "·"


def _lacking(console: Console, verdicts: Sequence[Verdict]) -> None:
    absent = [
        block
        for block in dict.fromkeys(v.block for v in verdicts)
        if all(str(v.message).endswith(f" has no {block}") for v in verdicts if v.block == block)
    ]
    if absent:
        console.print(f"\n[dim]UNSUPPORTED[/] the backend has no {', '.join(absent)}")
    reasons: dict[str, list[str]] = {}
    for v in verdicts:
        if v.verdict == "UNSUPPORTED" and v.block not in absent:
            reasons.setdefault(f"{v.block}: {v.message}", []).append(f"{v.property} {v.dtype}")
    for reason, properties in reasons.items():
        console.print(f"[dim]UNSUPPORTED[/] {reason} ({', '.join(properties)})")


def _dossiers(console: Console, verdicts: Sequence[Verdict], scripts: Mapping[str, Path]) -> None:
    """What is wrong with each block: of its violations, of its errors and of what is mistrusted the first in full, for
    the others often have the same cause; these in a line for all that say the same."""
    groups: dict[tuple[str, str], list[Verdict]] = {}
    for v in sorted(verdicts, key=lambda v: (v.block, _place(v), v.dtype)):
        if v.verdict in BAD:
            groups.setdefault((v.block, v.verdict), []).append(v)
    for first, *others in groups.values():
        _dossier(console, first, scripts)
        said: dict[str, dict[str, list[str]]] = {}
        for v in others:
            said.setdefault(v.message.partition("\n")[0], {}).setdefault(v.property, []).append(v.dtype)
        for message, properties in said.items():
            named = "; ".join(f"{name} {', '.join(dtypes)}" for name, dtypes in properties.items())
            same = message == first.message.partition("\n")[0]
            console.print(Text(f"  also      {named}: {'the same' if same else message}"))
    if any(len(group) > 1 for group in groups.values()):
        console.print(Text("\nOne of these in full: --block NAME --property NAME; all of them: --json FILE"))


def _place(verdict: Verdict) -> int:
    return (*VALUES, *BEHAVIOUR).index(verdict.property)


def _dossier(console: Console, verdict: Verdict, scripts: Mapping[str, Path]) -> None:
    name = f" {verdict.block} {verdict.property} {verdict.dtype}"
    tried = f", after {verdict.examples} example{'s' * (verdict.examples != 1)}" if verdict.examples else ""
    message, *rest = verdict.message.splitlines() or [""]
    console.print(Text.assemble("\n", (verdict.verdict, STYLES[verdict.verdict]), name, f"{tried}: {message}"))
    for line in rest:
        console.print(Text(f"  {line}"))
    if verdict.reproduce:
        console.print(Text(f"  replay    mcnbench check {verdict.backend} --case '{verdict.reproduce}'"))
    if verdict.name in scripts:
        console.print(Text(f"  script    {scripts[verdict.name]}"))


def _notes(console: Console, verdicts: Sequence[Verdict]) -> None:
    notes: dict[str, list[str]] = {}
    for v in verdicts:
        if v.verdict == "HOLDS" and v.message:
            notes.setdefault(f"{v.block}: {v.message}", []).append(f"{v.property} {v.dtype}")
    for note, properties in notes.items():
        console.print(Text(f"HOLDS {note} ({', '.join(properties)})"))


def _summary(verdicts: Sequence[Verdict], receipt: str, seconds: float) -> Text:
    counts = {word: sum(v.verdict == word for v in verdicts) for word in ("HOLDS", *ORDER[:-1])}
    parts = [f"{count} {word}" for word, count in counts.items() if count]
    examples = sum(v.examples for v in verdicts)
    return Text(f"\n{receipt}: {', '.join(parts)}; {examples:,} examples in {seconds:.0f} s")
