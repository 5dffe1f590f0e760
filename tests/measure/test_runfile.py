"""Run files: what is written is read back; a damaged file is named by line and key, never read in part in silence."""

from __future__ import annotations

import json
import math
import shlex
from pathlib import Path
from typing import Any

import pytest

from mcnbench import runfile
from mcnbench.errors import BadInput
from reports import schema

RUN = schema.Run(
    experiment="tiny", command="mcnbench run tiny", started="2026-01-02T03:04:05Z", machine={}, versions={}, git={}
)
LAUNCH: dict[str, Any] = {
    "case": "tiny/net",
    "network": "net",
    "backend": "numpy",
    "device": "cpu",
    "batch": 4,
    "dtype": "float32",
    "threads": 2,
    "images": 4,
    "flops": 1000,
    "launch": 0,
}


def _written(path: Path, *lines: schema.Line) -> list[str]:
    with runfile.Writer.create(path, RUN) as writer:
        for line in lines:
            writer.write(line)
    return path.read_text().splitlines()


def _samples(count: int) -> list[schema.Sample]:
    return [schema.Sample(case="tiny/net", backend="numpy", launch=0, round=i, ns=100 + i) for i in range(count)]


def test_every_kind_reads_back_as_it_was_written(tmp_path: Path) -> None:
    verified = schema.Verified(before="HOLDS", after="HOLDS", error_ratio=0.5)
    measurement = schema.Measurement(**LAUNCH, samples_ns=[100, 101], round=[0, 1], verified=verified, peak_bytes=7)
    verdict = schema.BlockVerdict(
        case="relu x=1",
        block="relu",
        backend="numpy",
        dtype="float32",
        property="p",
        verdict="VIOLATED",
        examples=3,
        worst_ratio=math.inf,
    )
    limit = schema.Limit(device="cpu", dtype="float32", threads=2, flops_per_second=4e11)
    _written(tmp_path / "a.jsonl", limit, schema.Launch(**LAUNCH), *_samples(2), measurement, verdict)
    read = runfile.read(tmp_path / "a.jsonl")
    assert read.run == RUN
    assert read.measurements == (measurement,)
    assert read.verdicts == (verdict,)
    assert read.limit == 4e11
    assert read.status == "complete"
    assert read.notes == ()


def test_every_line_is_plain_json_with_a_kind_and_the_first_names_the_schema(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in _written(tmp_path / "a.jsonl", schema.Launch(**LAUNCH), *_samples(1))]
    assert [line["kind"] for line in lines] == ["run", "launch", "sample", "end"]
    assert lines[0]["schema"] == 1
    assert "interrupted" not in lines[1]


def test_samples_of_a_killed_run_become_an_interrupted_unverified_measurement(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    _written(path, schema.Launch(**LAUNCH), *_samples(3))
    whole = path.read_text()
    cut = whole[: whole.rindex('{"kind":"end"') - 10]  # in the middle of the third sample
    path.write_text(cut)
    read = runfile.read(path)
    assert read.status == "interrupted"
    (measurement,) = read.measurements
    assert measurement.interrupted
    assert (measurement.samples_ns, measurement.round) == ([100, 101], [0, 1])
    assert not measurement.verified.holds
    assert "line 5 is cut off" in read.notes[0]


@pytest.mark.parametrize("keep", range(1, 200, 7))
def test_a_file_cut_anywhere_after_its_first_line_reads(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "a.jsonl"
    first, *_ = _written(path, schema.Launch(**LAUNCH), *_samples(3))
    path.write_bytes(path.read_bytes()[: len(first) + keep])
    assert runfile.read(path).status == "interrupted"


def test_leaving_by_an_exception_closes_the_file_as_interrupted(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), runfile.Writer.create(tmp_path / "a.jsonl", RUN):
        raise KeyboardInterrupt
    assert runfile.read(tmp_path / "a.jsonl").status == "interrupted"


def test_resuming_removes_the_cut_off_line_and_keeps_everything_else(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    _written(path, schema.Launch(**LAUNCH), *_samples(2))
    path.write_bytes(path.read_bytes() + b'{"kind":"sam')
    with runfile.Writer.resume(path, "mcnbench run --resume a.jsonl") as writer:
        writer.write(schema.Measurement(**LAUNCH, samples_ns=[1], round=[0]))
    read = runfile.read(path)
    assert read.status == "complete"
    assert read.notes == ("resumed 1 time",)
    assert [m.samples_ns for m in read.measurements] == [[1]]


def test_a_path_that_exists_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("precious")
    with pytest.raises(BadInput, match="exists already"):
        runfile.Writer.create(path, RUN)
    assert path.read_text() == "precious"


@pytest.mark.parametrize("path", ["file/under.jsonl", "."])
def test_a_path_that_cannot_be_written_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"cannot write|exists already"):
        runfile.Writer.create(tmp_path / path, RUN)


FIRST = RUN.model_dump_json(by_alias=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("not json\n", "line 1: not JSON"),
        ("kind,run\n1,2\n", "line 1: not JSON"),
        ("[1, 2]\n", "line 1: wanted a JSON object"),
        ('{"kind": "end", "finished": "x", "status": "complete"}\n', "line 1: wanted kind 'run' first"),
        (FIRST.replace('"schema":1', '"schema":2') + "\n", "line 1, key 'schema'.*schema 1.*schema 2"),
        (FIRST.replace('"schema":1,', "") + "\n", "line 1, key 'schema'"),
        (FIRST + '\n{"kind": "smaple"}\n', "line 2, key 'kind': unknown kind 'smaple'"),
        (FIRST + '\nrubbish\n{"kind": "end", "finished": "x", "status": "complete"}\n', "line 2: not JSON"),
        (FIRST + '\n{"kind": "end", "finished": "x", "status": "done"}\n', "line 2, key 'status'"),
        (FIRST + '\n{"kind": "end", "finished": "x"}\n', "line 2, key 'status'"),
        (FIRST + '\n{"kind": "end", "finished": "x", "status": "complete", "statsu": 1}\n', "line 2, key 'statsu'"),
        (FIRST + "\n" + _samples(1)[0].model_dump_json() + "\n", "line 2: a sample of .* not announced"),
        (FIRST + "\n" + FIRST + "\n", "line 2: a second line of kind 'run'"),
    ],
)
def test_what_cannot_be_read_is_named_by_line_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(BadInput, match=message) as caught:
        runfile.read(path)
    assert "a.jsonl" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(FIRST.encode() + b"\n\xff\xfe\n")
    with pytest.raises(BadInput, match="line 2: not UTF-8"):
        runfile.read(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        runfile.read(tmp_path / "none.jsonl")


def test_the_first_line_holds_a_command_that_can_be_called_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/bin/mcnbench", "check", "my blocks.py", "--case", "relu x=1 slope=0.1"])
    first = runfile.first_line("check", {"seed": 3}, {"my blocks.py": "1.0"}, {"device": "none"})
    assert shlex.split(first.command) == ["mcnbench", "check", "my blocks.py", "--case", "relu x=1 slope=0.1"]
    assert (first.versions["my blocks.py"], first.machine["device"], first.settings) == ("1.0", "none", {"seed": 3})
    assert first.machine["cores_allowed"] > 0
