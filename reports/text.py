"""Prints the tables of `reports.tables`: as text for a terminal, Markdown, CSV (`reports.latex`: LaTeX).

What a column means, its heading and how its numbers are written is one table, `COLUMNS`, for all of them. An estimate
and its interval share a cell: "0.98 [0.95, 1.01]". CSV alone keeps the plain numbers in base units.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from io import StringIO
from typing import Any

import pandas as pd

from reports import published

NOTHING = "–"
LONGEST = 200
"""Longer words are cut in tables; CSV has them whole."""

STATES = {
    "ok": "yes",
    "wrong": "WRONG",
    "unverified": "NOT VERIFIED",
    "failed": "FAILED",
    "interrupted": "INTERRUPTED",
    "running": "RUNNING",
    "foreign": "another tool's",
    "not measured": "NOT MEASURED",
}


def _significant(digits: int) -> Callable[[Any], str]:
    def write(value: Any) -> str:
        value = float(value)
        if value == 0 or not math.isfinite(value):
            return f"{value:zg}"
        if abs(value) >= 1e7:
            return f"{value:.{digits - 1}e}"
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
        return f"{value:,.{decimals}f}" if abs(value) >= 1e-4 else f"{value:.{digits - 1}e}"

    return write


def _percent(value: Any) -> str:
    return f"{100 * float(value):z.0f}%"


def _signed(decimals: int) -> Callable[[Any], str]:
    """A percentage with its sign; what is written as zero has none."""

    def write(value: Any) -> str:
        written = f"{100 * float(value):+z.{decimals}f}%"
        return written if written.strip("+0.%") else written[1:]

    return write


def _time(value: Any) -> str:
    value = float(value)
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            return f"{_significant(3)(value / size)} {unit}"
    return f"{_significant(3)(value / 1e-9)} ns"


def _gigabytes(value: Any) -> str:
    return f"{float(value) / 1e9:.2f}"


def _whole(value: Any) -> str:
    return f"{int(value):,}"


def _published(value: Any) -> str:
    """As it was published: one decimal, or more where there were more."""
    return f"{value:.1f}" if round(value, 1) == value else f"{value:g}"


def _scientific(value: Any) -> str:
    return f"{float(value):.1e}" if value else "0"


def _day(value: Any) -> str:
    return str(value).removesuffix("Z").replace("T", " ")


def _fixed(decimals: int) -> Callable[[Any], str]:
    return lambda value: f"{float(value):z,.{decimals}f}"


COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "network": ("network", published.title),
    "batch": ("batch", _whole),
    "published CPU": ("published CPU", _published),
    "published GPU": ("published GPU", _published),
    "published cuDNN": ("published cuDNN", _published),
    "seconds": ("time", _time),
    "images_per_second": ("images/s", _significant(3)),
    "ratio": ("ratio", _fixed(2)),
    "share": ("of limit", _percent),
    "part": ("of all", lambda value: f"{100 * float(value):z.1f}%"),
    "peak_bytes": ("peak GB", _gigabytes),
    "error_ratio": ("error /\u00a0bound", _significant(2)),
    "error_multiple": ("error /\u00a0torch's", _significant(2)),
    "speed_up": ("speed-up", _fixed(2)),
    "efficiency": ("efficiency", _percent),
    "communication": ("communication", _time),
    "hidden": ("hidden", _percent),
    "predicted": ("predicted images/s", _significant(3)),
    "measured": ("measured images/s", _significant(3)),
    "off": ("off by", _signed(0)),
    "examples": ("examples", _whole),
    "worst_ratio": ("error /\u00a0bound", _significant(2)),
    "median_ratio": ("median error /\u00a0bound", _significant(2)),
    "bits": ("bits", lambda value: f"{float(value):.0f}"),
    "same": ("same bits", _percent),
    "loss": ("loss", _scientific),
    "gradients": ("gradients", _scientific),
    "distance": ("distance", _scientific),
    "steps": ("steps", _whole),
    "accuracy": ("accuracy", lambda value: f"{float(value):.1%}"),
    "mean_seconds": ("mean time", lambda value: f"{float(value):.0f} s"),
    "rounds": ("rounds", lambda value: _whole(value) if value else NOTHING),
    "first": ("first run", _day),
    "last": ("last run", _day),
    "started": ("started", _day),
    "seconds_before": ("time at first", _time),
    "change": ("change", _signed(1)),
    "slowdown": ("slow-down", lambda value: f"{float(value):.0%}"),
    "state": ("verified", lambda state: STATES.get(state, str(state))),
}
"""Heading and number format of a column; others have their name for a heading and are written as they are."""


def _count(what: str) -> Callable[[Any], str]:
    return lambda value: f"{value} {what}{'s' if value != 1 else ''}"


CONSTANT: dict[str, Callable[[Any], str]] = {
    "machine": str,
    "device": lambda value: f"device {value}",
    "dtype": str,
    "threads": _count("thread"),
    "workers": _count("worker"),
}
"""Columns that are said once, above the table, when they are the same in every row."""


BELOW = ["reason", "receipt"]
"""Columns that are said below the table, by `reasons` and `receipts`."""


def columns(table: pd.DataFrame) -> dict[str, str]:
    """The columns to print and their headings: not an interval's ends, which stand with their number, not what is
    said above or below the table, not what holds nothing."""
    shown = {}
    for name in map(str, table.columns):
        interval = name.endswith(("_low", "_high")) and name.rpartition("_")[0] in table.columns
        constant = name in CONSTANT and table[name].nunique() == 1
        if not interval and name not in BELOW and not constant and table[name].notna().any():
            shown[name] = COLUMNS[name][0] if name in COLUMNS else name.replace("_", " ")
    if "ratio" in shown and "peer" in table.attrs:
        shown["ratio"] = f"ratio to {table.attrs['peer']}"
    return shown


def printed(table: pd.DataFrame) -> pd.DataFrame:
    """The table as strings under their headings."""
    rows = table.to_dict("records")
    return pd.DataFrame({heading: [cell(row, name) for row in rows] for name, heading in columns(table).items()})


def shared(table: pd.DataFrame) -> str:
    """What is the same for every row, in words: "device cpu, float32, 2 threads"."""
    same = [name for name in CONSTANT if name in table.columns and table[name].nunique() == 1]
    return ", ".join(CONSTANT[name](table[name].iloc[0]) for name in same if table[name].iloc[0])


def caption(title: str, table: pd.DataFrame) -> str:
    """The table's title with what is the same for all its rows."""
    same = shared(table)
    return f"{title}: {same}" if same else title


def reasons(table: pd.DataFrame) -> list[str]:
    """One sentence for every row that has no numbers, or not all: which, and why."""
    if "reason" not in table.columns:
        return []
    said = []
    several = "workers" in table.columns and table["workers"].nunique() > 1
    for row in table.to_dict("records"):
        if row["reason"]:
            what = published.title(str(row["network"])) if row.get("network") else row["case"]
            what += f" on {row['workers']}" if several else ""
            state = "" if row["state"] in ("ok", "foreign") else f"{STATES[row['state']]}, "
            said.append(f"{what}, {row['backend']}: {state}{row['reason']}")
    return said


def receipts(table: pd.DataFrame) -> list[str]:
    """What each backend says of itself, by network where that differs, as memory formats may."""
    said = []
    known = table[table["receipt"].fillna("") != ""] if "receipt" in table.columns else table.iloc[:0]
    for backend, ours in known.groupby("backend", sort=False, observed=True):
        for receipt, same in ours.groupby("receipt", sort=False, observed=True):
            networks = [published.title(str(network)) for network in same.get("network", pd.Series()).unique()]
            where = f" ({', '.join(networks)})" if ours["receipt"].nunique() > 1 else ""
            said.append(f"{backend}{where}: {receipt}")
    return said


def cell(row: dict[Any, Any], name: str) -> str:
    """A row's value in that column as printed, with its interval if it has one."""
    write = COLUMNS.get(name, ("", str))[1]
    value = row[name]
    if pd.isna(value):
        return NOTHING
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    if low is None or pd.isna(low):
        written = write(value)
        return written if len(written) <= LONGEST else written[: LONGEST - 1] + "…"
    return f"{write(value)} [{write(low)}, {write(high)}]"


def grouped(cells: pd.DataFrame, group: str) -> list[tuple[bool, list[str]]]:
    """The rows with what repeats of the row above left out up to the backend, and whether a new group starts."""
    columns = list(cells.columns)
    shared = columns.index("backend") if "backend" in columns else 0
    rows: list[tuple[bool, list[str]]] = []
    above: list[str] | None = None
    for row in cells.itertuples(index=False):
        cell = [str(value) for value in row]
        repeats = above is not None and cell[:shared] == above[:shared]
        rows.append((not repeats, [group] * shared + cell[shared:] if repeats else cell))
        above = cell
    return rows


DETAILS = ["error_multiple"]
"""Columns that a terminal has no room for."""


def as_text(table: pd.DataFrame) -> str:
    """The table for a terminal, without colour and never wrapped: what is the same for all rows stands above it, why
    a row has no numbers and what each backend is below it. It ends without a line feed."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = printed(table.drop(columns=DETAILS, errors="ignore"))
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for heading in cells.columns:
        drawn.add_column(
            Text(heading.replace(" ", "\n", 1)),
            justify="right" if holds_numbers(cells[heading]) else "left",
            vertical="bottom",
            no_wrap=True,
            max_width=60,
        )
    rows = grouped(cells, "")
    for i, (_, row) in enumerate(rows):
        drawn.add_row(*(Text(clean(value)) for value in row), end_section=i + 1 < len(rows) and rows[i + 1][0])
    out = StringIO()
    Console(file=out, width=10_000, color_system=None, highlight=False).print(drawn)
    lines = "\n".join(line.rstrip() for line in out.getvalue().splitlines())
    below = "\n".join(map(clean, [*reasons(table), *receipts(table)]))
    return "\n\n".join(part for part in [clean(shared(table)), lines, below] if part)


def clean(text: str) -> str:
    """The text on one line and without control characters: a backend's name must not steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def as_markdown(table: pd.DataFrame) -> str:
    """The table as a Markdown pipe table."""
    cells = printed(table)
    numbers = [holds_numbers(cells[heading]) for heading in cells.columns]
    lines = [
        "| " + " | ".join(map(markdown, cells.columns)) + " |",
        "|" + "|".join("--:" if number else ":--" for number in numbers) + "|",
    ]
    lines += ["| " + " | ".join(map(markdown, row)) + " |" for _, row in grouped(cells, "")]
    return "\n".join(lines)


MARKDOWN = str.maketrans({c: f"&#{ord(c)};" for c in "<>|&"} | {c: f"\\{c}" for c in "\\`*_#"})


def markdown(value: str) -> str:
    """Escaped, so that neither a pipe nor markup in a name changes the table."""
    return clean(value).translate(MARKDOWN)


def holds_numbers(column: pd.Series) -> bool:
    """Whether the printed column is one of numbers, which are aligned to the right."""
    return all(value == NOTHING or value[:2].lstrip("+-")[:1].isdigit() for value in column)


def as_csv(table: pd.DataFrame) -> str:
    """The table's own numbers: full precision, base units (bytes, images/s), one column each for an interval's ends."""
    return table.to_csv(index=False, lineterminator="\n")
