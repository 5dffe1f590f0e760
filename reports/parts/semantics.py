"""What each framework means by the blocks: a row per question, a column per backend, and what changed between runs."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from reports.parts.part import Part, commands
from reports.runfile import RunFile
from reports.schema import Semantic
from reports.text import NOTHING

LEGEND = [
    "Each framework was asked by its own operation, with the options untranslated; nothing here was typed in.",
    "In brackets: the dialects that say the same.",
    "–: no such operation. refused: no such call; the reasons are in the run file.",
]


def part(files: Sequence[RunFile]) -> Part | None:
    """The part, if the files hold answers; of each question and backend the newest."""
    answers: dict[tuple[str, str], Semantic] = {}
    changed = []
    for line in (line for file in files for line in file.semantics):
        before = answers.get((line.probe, line.backend))
        if before is not None and before.answer != line.answer:
            was = f"{before.answer} ({before.receipt})"
            changed.append(f"{line.backend}, {line.question}: {was}, now {line.answer} ({line.receipt})")
        answers[line.probe, line.backend] = line
    if not answers:
        return None
    rows: dict[str, dict[str, str]] = {}
    for (probe, backend), line in answers.items():
        row = rows.setdefault(probe, {"probe": probe, "question": line.question})
        row[backend] = _cell(line)
        row["case"] = line.reproduce
    table = pd.DataFrame(rows.values()).fillna(NOTHING)
    table = table[[*(name for name in table.columns if name != "case"), "case"]]
    return Part(
        "semantics",
        "What do they mean?",
        table,
        problems=changed,
        legend=LEGEND,
        commands=commands([file for file in files if file.semantics], "agree"),
    )


def _cell(line: Semantic) -> str:
    word = NOTHING if line.reason == "no such operation" else line.answer
    return word + (f" ({', '.join(line.dialects)})" if line.dialects else "")
