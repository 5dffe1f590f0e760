"""AGREEMENT.md holds what its recorded runs give."""

from __future__ import annotations

from pathlib import Path

from reports import frames, splice
from reports.parts import parts

ROOT = Path(__file__).parents[2]


def test_the_page_is_that_of_the_recorded_runs() -> None:
    page = (ROOT / "AGREEMENT.md").read_text("utf-8")
    runs = frames.read(sorted((ROOT / "reports" / "recorded").glob("agreement-*.jsonl")))
    assert len(runs) == 2
    assert splice.splice(page, parts(runs)) == page
