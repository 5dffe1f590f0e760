"""`mcnbench report RUN... --out DIR`."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from matplotlib.image import imread

from mcnbench import cli
from tests.reports.conftest import Made, measurement


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Report = Callable[..., Done]


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Report:
    """`mcnbench report` with these arguments, in this process."""

    def run(*arguments: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["mcnbench", "report", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            cli.main()
        captured = capsys.readouterr()
        assert isinstance(exit.value.code, int | None)
        return Done(exit.value.code or 0, captured.out, captured.err)

    return run


@pytest.fixture
def run_file(make_run: Made) -> Path:
    pairs = [(name, backend) for name in ("alexnet", "vgg-f") for backend in ("numpy", "torch")]
    return make_run(*(measurement(name, backend, [1.0, 1.1, 0.9]) for name, backend in pairs))


def test_a_folder_with_tables_figures_and_a_page(report: Report, run_file: Path, tmp_path: Path) -> None:
    done = report(run_file, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    assert sorted(map(Path, done.stdout.splitlines())) == sorted(out.iterdir())
    names = {path.name for path in out.iterdir()}
    for stem in ("training-speed-images-per-second", "training-speed-ratio"):
        assert {f"{stem}.{end}" for end in ("png", "svg", "pdf", "csv")} <= names
    assert {"report.md", "index.html", "training-speed.md", "training-speed.csv", "training-speed.tex"} <= names
    assert imread(io.BytesIO((out / "training-speed-ratio.png").read_bytes()), format="png").std() > 0.01
    assert (out / "training-speed-ratio.pdf").read_bytes().startswith(b"%PDF")
    assert list(pd.read_csv(out / "training-speed-ratio.csv")["ratio"]) == [1.0] * 4
    markdown = (out / "report.md").read_text()
    assert "| AlexNet | 10 | 22.1 |" in markdown
    assert "    mcnbench run training-speed" in markdown
    for name in ("training-speed-images-per-second.svg", "training-speed-ratio.svg"):
        assert f"]({name})" in markdown


def test_the_same_input_gives_the_same_bytes(report: Report, run_file: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert report(run_file, "--out", tmp_path / name).returncode == 0
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def refused(done: Done, *words: str) -> None:
    """Exit code 2, one sentence on standard error that has all the words, nothing on standard output."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr


def test_an_output_that_is_in_use_is_left_alone(report: Report, run_file: Path, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    refused(report(run_file, "--out", full), str(full), "not empty")
    assert [path.name for path in full.iterdir()] == ["mine.txt"]
    file = tmp_path / "file"
    file.write_text("mine")
    refused(report(run_file, "--out", file), "is a file")
    refused(report(run_file, "--out", file / "below"), str(file / "below"))
    assert file.read_text() == "mine"


def test_an_empty_folder_will_do(report: Report, run_file: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert report(run_file, "--out", tmp_path / "empty").returncode == 0
    assert (tmp_path / "empty" / "index.html").exists()


def test_a_folder_that_cannot_be_written(report: Report, run_file: Path) -> None:
    refused(report(run_file, "--out", "/proc/out"), "/proc/out")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["empty"]),
        ("hello\n", ["line 1", "not JSON"]),
        ('{"kind": "run", "schema": 99}\n', ["line 1", "schema 1", "99"]),
        ("{RUN}\nnot json\n{}\n", ["line 2", "not JSON"]),
    ],
)
def test_what_is_no_run_file_is_refused_by_line(
    report: Report, make_run: Made, tmp_path: Path, content: str, words: list[str]
) -> None:
    first = make_run(name="good").read_text().splitlines()[0]
    bad = tmp_path / "bad.jsonl"
    bad.write_text(content.replace("{RUN}", first))
    refused(report(bad, "--out", tmp_path / "out"), "bad.jsonl", *words)
    assert not (tmp_path / "out").exists()


def test_a_run_file_that_is_not_there(report: Report, tmp_path: Path) -> None:
    refused(report(tmp_path / "none.jsonl", "--out", tmp_path / "out"), "none.jsonl", "No such file")


def test_an_interrupted_run_is_shown_as_interrupted(report: Report, make_run: Made, tmp_path: Path) -> None:
    path = make_run(measurement("alexnet", "numpy", [1.0]), status="interrupted")
    path.write_text(path.read_text() + '{"kind": "measur')
    assert report(path, "--out", tmp_path / "out").returncode == 0
    assert "interrupted" in (tmp_path / "out" / "report.md").read_text()
    assert "INTERRUPTED" in (tmp_path / "out" / "index.html").read_text()
