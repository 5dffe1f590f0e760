"""Wrong, huge and hostile input is shown harmlessly or refused with one sentence."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import reports
from reports import folder, frames, page, parts, runfile, schema, tables
from tests.reports.conftest import HOLDS, Made, measurement

SCRIPT = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}$x_1$'


class Elements(HTMLParser):
    """The elements of a page, the attributes that could act, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.acting: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        for name, value in attrs:
            fetches = name in ("src", "href", "xlink:href", "srcset", "action", "data") and not (
                value or ""
            ).startswith("#")
            if name.startswith("on") or fetches:
                self.acting.append(f"{tag} {name}={value}")

    def handle_data(self, data: str) -> None:
        self.text += data


def test_markup_in_a_run_file_is_text(make_run: Made) -> None:
    bad = schema.Verified(before="VIOLATED", message=SCRIPT)
    first = measurement(SCRIPT, SCRIPT, [1.0, 1.0], receipt=SCRIPT)
    lines = [first, measurement(SCRIPT, "torch", [1.0, 1.0]), measurement("alexnet", SCRIPT, [1.0], verified=bad)]
    about: dict[str, Any] = {
        "machine": {"cpu": SCRIPT, SCRIPT: SCRIPT},
        "versions": {SCRIPT: SCRIPT},
        "command": SCRIPT,
    }
    path = make_run(
        *lines, schema.BlockVerdict(
            case=SCRIPT, block=SCRIPT, backend=SCRIPT, dtype=SCRIPT, property=SCRIPT, verdict="VIOLATED", examples=1,
            worst_ratio=2.0, message=SCRIPT, reproduce=SCRIPT,
        ), **about,
    )  # fmt: skip
    other = make_run(first, name=SCRIPT.replace("/", ""), started="2026-01-05T00:00:00Z")
    files = folder.contents([path, other])
    html = Elements(files["index.html"].decode())
    assert html.names.count("script") == 1
    assert "img" not in html.names
    assert html.acting == []
    assert "<script>alert(1)</script>" in html.text
    assert "{{7*7}}" in html.text
    markdown = [line for line in files["report.md"].decode().splitlines() if not line.startswith("    ")]  # no code
    assert not any("<script" in line for line in markdown)
    assert b"<script" not in files["training-speed-ratio.svg"]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("samples_ns", [1, -1], ["samples_ns", "greater than 0"]),
        ("samples_ns", [0, 1], ["samples_ns", "greater than 0"]),
        ("samples_ns", [1.5, 2], ["samples_ns"]),
        ("samples_ns", [float("nan"), 1], ["samples_ns"]),
        ("samples_ns", [10**40, 1], ["samples_ns"]),
        ("samples_ns", [1], ["1 samples_ns", "2 values"]),
        ("batch", -1, ["batch"]),
        ("images", 10**400, ["images"]),
        ("backend", None, ["backend"]),
        ("backend", "\ud800", ["surrogate"]),
        ("surprise", 1, ["surprise"]),
        ("kind", ["measurement"], ["kind"]),
        ("kind", "x" * 10**6, ["kind"]),
    ],
)
def test_a_wrong_value_is_refused_by_line_and_key(make_run: Made, key: str, value: object, words: list[str]) -> None:
    path = make_run(measurement("alexnet", "numpy", [1.0, 1.0]))
    lines = path.read_text().splitlines()
    lines[1] = json.dumps(json.loads(lines[1]) | {key: value})
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(runfile.RunFileError) as refusal:
        reports.load([path])
    said = str(refusal.value)
    assert "line 2" in said
    assert len(said) < 500
    assert "\n" not in said
    for word in words:
        assert word in said


@pytest.mark.parametrize("line", ["[" * 10**6, '{"kind": ' + "1" * 10**5 + "}", "{}", "[]", "1", '"kind"', "\x00"])
def test_a_line_that_is_no_object_is_refused(make_run: Made, line: str) -> None:
    path = make_run(measurement("alexnet", "numpy", [1.0]))
    path.write_text(path.read_text() + line + "\n{}\n")
    with pytest.raises(runfile.RunFileError, match="line 4"):
        reports.load([path])


def test_a_million_samples_in_a_line(make_run: Made) -> None:
    path = make_run(
        measurement("alexnet", "numpy", [1.0, 1.1] * 500_000), measurement("alexnet", "torch", [1.0, 1.2] * 500_000)
    )
    table = tables.training_speed(reports.load([path]))
    assert list(table["rounds"]) == [10**6, 10**6]
    assert table["images_per_second"].iloc[0] == pytest.approx(10 / 1.05)


def test_long_names_and_many_rows_leave_the_page_small(make_run: Made) -> None:
    lines = [measurement(f"net-{i}-{'x' * 2000}", f"b-{'y' * 2000}", [1.0]) for i in range(1100)]
    files = frames.read([make_run(*lines)])
    html = page.render(parts.parts(files), files)
    assert len(html) < 5_000_000
    assert "These are the first 1000 of 1100 rows" in html


def test_numbers_that_are_none_are_shown_as_such(make_run: Made) -> None:
    odd = HOLDS.model_copy(update={"error_ratio": float("inf"), "error_multiple": float("nan")})
    files = folder.contents([make_run(measurement("alexnet", "numpy", [1.0], verified=odd))])
    assert "| inf |" in files["report.md"].decode()
    assert "nan" not in files["training-speed.md"].decode()


def test_half_a_surrogate_pair_is_refused(make_run: Made) -> None:
    path = make_run(measurement("alexnet", "numpy", [1.0]))
    path.write_text(path.read_text().replace("Example CPU", "\\ud800 CPU"))
    with pytest.raises(runfile.RunFileError, match="line 1: half a surrogate pair"):
        reports.load([path])


def test_control_characters_do_not_reach_a_terminal(make_run: Made, tmp_path: Path) -> None:
    path = make_run(measurement("alexnet", "\x1b]0;x\x07\x00\u202e", [1.0]))
    path.write_text(path.read_text().replace("Example CPU", "\\u0000 CPU"))
    written = folder.write(folder.contents([path]), tmp_path / "out")
    assert "\x1b" not in (tmp_path / "out" / "report.md").read_text()
    assert all(file.stat().st_size for file in written)
