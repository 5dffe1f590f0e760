"""One self-contained HTML page of a report: template, style and script are `page.html.j2`, `page.css` and `page.js`.

It loads nothing from anywhere (its content security policy forbids it), so it can be mailed. What comes from run files
is text and is escaped as such; figures are inline SVG whose colours follow the page's, light or dark.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from reports import figures, frames, text
from reports.parts import Part
from reports.runfile import RunFile

HERE = Path(__file__).parent
LONG = 40
"""Longer cells may be broken into lines."""
MOST_RUNS = 12
MOST_ROWS = 1000
MOST_PROBLEMS = 50
"""Beyond these the page says where the rest is, so that it can still be mailed."""


GOOD = ["HOLDS", "AGREE", "SAME", "IMPROVED", "KILLED"]
BAD = ["VIOLATED", "MISTRUSTED", "ERROR", "DIFFER", "INCORRECT", "REGRESSED", "MISSING", "INCOMPARABLE", "SURVIVED"]
MARKED = dict.fromkeys(GOOD, "good") | dict.fromkeys(BAD, "bad")
"""The style of a verdict, and of what became of a planted fault; other words have none."""


class Cell(NamedTuple):
    """What a cell shows, by what it is sorted, and its style ("number", "prose", "good", "odd", "bad" or "")."""

    shown: str
    key: str
    style: str


def render(parts: Sequence[Part], files: Sequence[RunFile], refresh: int | None = None) -> str:
    """The page; with `refresh` it loads itself again after so many seconds, as while a run is being written."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html.j2").render(
        title=title(files),
        about=about(files),
        parts=parts,
        files=files,
        newest=list(reversed(files))[:MOST_RUNS],
        machine=frames.machine_name,
        most=MOST_ROWS,
        most_problems=MOST_PROBLEMS,
        refresh=refresh,
        style=Markup((HERE / "page.css").read_text()),
        script=Markup((HERE / "page.js").read_text()),
        rows=rows,
        headings=headings,
        caption=text.caption,
        svg=svg,
        facts=facts,
    )


def title(files: Sequence[RunFile]) -> str:
    """The experiments of the report: "training-speed, check"."""
    names = list(dict.fromkeys(file.run.experiment for file in sorted(files, key=lambda file: not file.run.started)))
    return ", ".join(names[:3]) + (" and more" if len(names) > 3 else "")


def about(files: Sequence[RunFile]) -> str:
    """The machines, the days and the number of runs, in one line."""
    machines = list(dict.fromkeys(frames.machine_name(file) for file in files if file.run.machine)) or ["no machine"]
    days = sorted({file.run.started[:10] for file in files if file.run.started}) or ["no date"]
    named = machines[0] if len(machines) == 1 else f"{len(machines)} machines"
    span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return f"{named} · {span} · {len(files)} run{'s' * (len(files) > 1)}"


def headings(table: pd.DataFrame) -> dict[str, str]:
    """The columns of a table on the page and their headings: the backend first but one, what was published last."""
    shown = text.columns(table)
    first = next(iter(shown), "")

    def place(name: str) -> int:
        return 0 if name == first else 1 if name == "backend" else 3 if name.startswith("published ") else 2

    return {name: shown[name] for name in sorted(shown, key=place)}


def rows(table: pd.DataFrame) -> list[list[Cell]]:
    """The table's rows as the page shows them."""
    shown = headings(table)
    numbers = {name for name in shown if all(map(_is_number, table[name].dropna()))}
    return [[_cell(row, name, name in numbers) for name in shown] for row in table.to_dict("records")]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _cell(row: dict[Any, Any], name: str, in_numbers: bool) -> Cell:
    """What is missing has no key; it stands where the numbers of its column do, if it is a column of numbers."""
    value, shown = row[name], text.cell(row, name)
    missing = pd.isna(value)
    if name in ("verdict", "word"):
        return Cell(shown, "" if missing else shown, MARKED.get(str(value), ""))
    if name == "state":
        return Cell(shown, str(value), {"ok": "good", "wrong": "bad", "failed": "bad"}.get(str(value), "odd"))
    if in_numbers or _is_number(value):
        return Cell(shown, "" if missing else repr(float(value)), "number" if in_numbers else "")
    return Cell(shown, "" if missing else str(value), "prose" if len(shown) > LONG else "")


def facts(content: dict[str, Any]) -> list[tuple[str, str]]:
    """A recorded dictionary as pairs of words; what is nested is written as JSON."""
    return [
        (key.replace("_", " "), (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))[:2000])
        for key, value in content.items()
    ]


VARIABLES = {figures.INK: "var(--ink)", figures.FAINT: "var(--faint)"} | {
    colour: f"var(--series-{i})" for i, colour in enumerate(figures.COLOURS)
}


def svg(figure: Figure, key: str, words: str) -> Markup:
    """The figure as inline SVG: the page's colours, ids that begin with `key`, and the words for who cannot see it."""
    drawn = figures.save(figure, "svg", transparent=True).decode()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>{key}-", drawn)
    for colour, variable in VARIABLES.items():
        drawn = drawn.replace(colour, variable)
    width, height = figure.get_size_inches() * 72
    opening = f'<svg viewBox="0 0 {width:g} {height:g}" width="{width * 1.5:g}" role="img" aria-label="%s">'
    return Markup(opening) % words + Markup(drawn[drawn.index(">") + 1 :])
