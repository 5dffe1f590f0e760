"""Tables between the markers of a document, and README's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports import frames, splice
from reports.errors import ReportError
from reports.parts import parts
from tests.reports.conftest import Made, measurement

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
OTHER = "\n\nmore\n\n<!-- table: check -->\nkept\n<!-- end -->\n"
DOCUMENT = f"# Mine\n\n<!-- table: training-speed -->\nstale\n<!-- end -->{OTHER}"


def test_the_table_and_its_command_take_the_place_of_the_old(make_run: Made) -> None:
    found = parts(frames.read([make_run(measurement("alexnet", "numpy", [1.0]))]))
    new = splice.splice(DOCUMENT, found)
    assert "stale" not in new
    before, table, after = new.partition("| AlexNet | 10 |")
    assert table
    assert before.startswith("# Mine\n\n<!-- table: training-speed -->\n\n    mcnbench run training-speed\n")
    assert after.endswith("<!-- end -->\n\nmore\n\n<!-- table: check -->\nkept\n<!-- end -->\n")
    assert splice.splice(new, found) == new


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("nothing here\n", "nothing to splice"),
        ("<!-- table: check -->\n<!-- end -->\n", "nothing to splice"),
        ("<!-- table: training-speed -->\n", "not followed by"),
        ("<!-- table: training-speed -->\n<!-- table: check -->\n<!-- end -->\n", "not followed by"),
    ],
)
def test_a_document_without_its_markers_is_refused(make_run: Made, document: str, words: str) -> None:
    found = parts(frames.read([make_run(measurement("alexnet", "numpy", [1.0]))]))
    with pytest.raises(ReportError, match=words):
        splice.splice(document, found)


def test_the_tables_of_the_readme_come_from_recorded_runs() -> None:
    """`mcnbench report reports/recorded/*.jsonl --splice README.md` writes what stands between README's markers."""
    document = README.read_text()
    recorded = sorted((ROOT / "reports" / "recorded").glob("*.jsonl"))
    found = parts(frames.read(recorded)) if recorded else []
    written = {part.key: splice.block(part) for part in found}
    for key, content in splice.contents(document).items():
        assert content.strip() == written.get(key, "").strip(), f"the table '{key}' is not of the recorded runs"


def test_the_example_of_the_readme_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = [part for part in README.read_text().split("```") if part.startswith("python\nimport reports")]
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    exec(example.removeprefix("python"), names)
    assert not names["table"].empty
    assert names["figure"].axes
