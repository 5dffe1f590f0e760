r"""Prints the tables of `reports.tables` as LaTeX, with the rules of the package booktabs.

A table that fits a page of the class article is a `table` that floats. One with more rows is a `longtable`, which goes
on from page to page; one that is too wide is a `longtable` on turned pages, whose columns of words are broken into
lines (`p{}`, ragged). The first line is a comment that names the packages.
"""

from __future__ import annotations

import re

import pandas as pd

from reports.text import clean, grouped, holds_numbers, printed

MOST_ROWS = 40
UPRIGHT, SMALL, TURNED, TINY = 69.0, 81.0, 129.0, 137.0
"""Characters in a line of an upright page, 345 pt, as \\normalsize and \\footnotesize have them, and in one of a turned
page, 550 pt, of \\footnotesize and \\scriptsize: 5, 4.25 and 4 pt each."""
GAP, SMALL_GAP = 2.4, 1.5
"""Between two columns, in characters: twice the \\tabcolsep of 6 pt and of 3 pt."""
BREAKS = re.compile(r"(?<=[_,=/-])(?=\S)")
"""Where words of a broken column may be parted, other than at spaces."""
SHORT = 10
"""Words of so many characters have room in one line."""
REPLAYED = ("reproduce", "case")
"""The last column, if it is one of these, is a line for a terminal, which is not printed; the CSV has it."""


def as_latex(table: pd.DataFrame, caption: str = "") -> str:
    """The table as LaTeX; the module says in which form."""
    cells = printed(table.iloc[:, :-1] if table.columns[-1] in REPLAYED else table)
    numbers = [holds_numbers(cells[heading]) for heading in cells.columns]
    widths = [_longest([heading, *cells[heading]]) for heading in cells.columns]
    if len(cells) <= MOST_ROWS and sum(widths) + GAP * (len(widths) - 1) <= UPRIGHT:
        return _floating(cells, numbers, caption)
    return _over_pages(cells, numbers, widths, caption)


def _floating(cells: pd.DataFrame, numbers: list[bool], caption: str) -> str:
    lines = ["% Needs the package booktabs.", r"\begin{table}", r"\centering"]
    lines += [rf"\caption{{{escaped(caption)}}}"] if caption else []
    lines += [
        rf"\begin{{tabular}}{{{''.join('r' if number else 'l' for number in numbers)}}}",
        r"\toprule",
        " & ".join(map(escaped, cells.columns)) + r" \\",
        r"\midrule",
    ]
    for i, (first, row) in enumerate(grouped(cells, "")):
        if first and i:
            lines.append(r"\addlinespace")
        lines.append(" & ".join(map(escaped, row)) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"])


def _over_pages(cells: pd.DataFrame, numbers: list[bool], widths: list[float], caption: str) -> str:
    """What repeats of the row above is said again, as another page may begin with it."""
    gaps = SMALL_GAP * len(widths)
    turned = sum(widths) + gaps > SMALL
    columns, size = ["r" if number else "l" for number in numbers], r"\footnotesize"
    if sum(widths) + gaps > TURNED:
        least = [_least(str(heading), cells[heading], number) for heading, number in zip(cells, numbers, strict=True)]
        line, size = (TURNED, size) if sum(least) + gaps <= TURNED else (TINY, r"\scriptsize")
        shares = [width / line for width in _shared(least, widths, line - gaps)]
        columns = [
            rf">{{\ragged{'left' if number else 'right'}\arraybackslash}}p{{{share:.3f}\linewidth}}"
            for number, share in zip(numbers, shares, strict=True)
        ]
    parts = [[_cell(value, number, column) for value, number, column in zip(row, numbers, columns, strict=True)]
             for row in cells.to_numpy()]  # fmt: skip
    heading = " & ".join(map(_breakable, cells.columns)) + r" \\"
    head = [r"\toprule", heading, r"\midrule"]
    lines = [f"% Needs the packages array, booktabs, longtable{' and pdflscape' * turned}."]
    lines += [r"\begin{landscape}"] * turned
    lines += [r"\begingroup", size, r"\setlength{\tabcolsep}{3pt}"]
    lines += [r"\begin{longtable}{" + "".join(columns) + "}"]
    lines += [rf"\caption{{{escaped(caption)}}}\\"] if caption else []
    lines += [*head, r"\endfirsthead", *head, r"\endhead", r"\bottomrule", r"\endfoot"]
    for i, ((first, _), row) in enumerate(zip(grouped(cells, ""), parts, strict=True)):
        if first and i:
            lines.append(r"\addlinespace")
        lines.append(" & ".join(row) + r" \\")
    lines += [r"\end{longtable}", r"\endgroup"]
    return "\n".join([*lines, *[r"\end{landscape}"] * turned])


def _least(heading: str, values: pd.Series, number: bool) -> float:
    """The width of what cannot be parted: numbers, the longest word."""
    return _longest(_words([heading]) + (list(values) if number else _words(values))) + 0.5


def _shared(least: list[float], widths: list[float], room: float) -> list[float]:
    """The widths of the columns, so that they fill the line: each has its least, and what is left goes to those that
    have more to say, in proportion."""
    rest = room - sum(least)
    if rest <= 0:
        return [width * room / sum(least) for width in least]
    more = [max(0.0, width - short) for width, short in zip(widths, least, strict=True)]
    return [short + rest * wish / max(1.0, sum(more)) for short, wish in zip(least, more, strict=True)]


def _words(values: list[str] | pd.Series) -> list[str]:
    pieces = [piece for value in values for piece in value.split(" ")]
    return [word for piece in pieces for word in (BREAKS.split(piece) if len(piece) > SHORT else [piece])]


def _longest(values: list[str]) -> float:
    """In characters, of which a capital is nearly one and a half."""
    return max((len(value) + 0.4 * sum(map(str.isupper, value)) for value in values), default=1.0)


def _cell(value: str, number: bool, column: str) -> str:
    return escaped(value) if number or column in "lr" else _breakable(value)


def _breakable(value: str) -> str:
    return r"\allowbreak{}".join(escaped(piece) for piece in BREAKS.split(value))


LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "–": "--",
    "[": "{[}", "]": "{]}",
}  # fmt: skip


def escaped(value: str) -> str:
    """The text on one line, without what LaTeX would read."""
    return "".join(LATEX.get(character, character) for character in clean(value))
