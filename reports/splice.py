"""Writes tables into a Markdown document, between markers, with the command that measured them above.

    <!-- table: training-speed -->
    ... what stands here is replaced ...
    <!-- end -->

The name in the marker is a part's key (`reports.parts`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from reports import text
from reports.errors import ReportError
from reports.parts import Part

MARKER = re.compile(r"^<!-- table: (?P<key>[\w-]+) -->$", re.MULTILINE)
END = "<!-- end -->"


def splice(document: str, parts: Sequence[Part]) -> str:
    """The document with the tables of the parts between their markers; other markers keep what they have.

    Raises ReportError if a marker has no end before the next one, or if no marker is for one of the parts.
    """
    known = {part.key: part for part in parts}
    markers = list(MARKER.finditer(document))
    if not any(marker["key"] in known for marker in markers):
        wanted = ", ".join(f"'<!-- table: {key} -->'" for key in known) or "a run that measured something"
        raise ReportError(f"there is nothing to splice: wanted a line {wanted}, and after it a line '{END}'")
    pieces, position = [], 0
    for marker, following in zip(markers, [*markers[1:], None], strict=True):
        end = document.find(f"\n{END}", marker.end(), following.start() if following else len(document))
        if end < 0:
            raise ReportError(f"the marker '{marker[0]}' is not followed by a line '{END}'")
        if marker["key"] in known:
            pieces += [document[position : marker.end()], "\n", block(known[marker["key"]])]
            position = end + 1
    return "".join([*pieces, document[position:]])


def contents(document: str) -> dict[str, str]:
    """What stands between the markers now, by key."""
    found = {}
    for marker in MARKER.finditer(document):
        end = document.find(f"\n{END}", marker.end())
        found[marker["key"]] = document[marker.end() + 1 : end + 1]
    return found


def block(part: Part) -> str:
    """The part as it stands between markers: command, what all rows share, table, what went wrong, how to read it."""
    lines = [f"    {text.clean(command)}" for command in part.commands]
    if shared := text.shared(part.table):
        lines += ["", text.markdown(shared)]
    lines += ["", text.as_markdown(part.table), ""]
    lines += [f"- {text.markdown(problem)}" for problem in (*part.problems, *part.legend)]
    return "\n" + "\n".join(lines).strip("\n") + "\n\n"
