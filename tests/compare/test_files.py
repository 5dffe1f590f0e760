"""Comparing run files: each verdict, its reason and the exit code; the outputs for CI systems."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from mcnbench import ROOT, runfile
from mcnbench.compare import files, output
from mcnbench.compare.result import Comparison, exit_code
from reports import schema
from reports.runfile import RunFile

MACHINE = {
    "host": "a",
    "cpu": "X",
    "cores_allowed": 2,
    "blas": [{"user_api": "blas", "internal_api": "openblas", "version": "0.3.31", "architecture": "Zen"}],
}
HOLDS = schema.Verified(before="HOLDS", after="HOLDS", error_ratio=0.2, error_multiple=1.1)


def run_file(path: Path, *lines: schema.Line, machine: dict[str, Any] = MACHINE) -> RunFile:
    first = schema.Run(
        experiment="training-speed", command="", started="2026-01-01T00:00:00Z", machine=machine, versions={}, git={}
    )
    with runfile.Writer.create(path, first) as writer:
        for line in lines:
            writer.write(line)
    return runfile.read(path)


def measurement(
    backend: str = "numpy", seconds: float = 0.1, launches: int = 8, **changed: Any
) -> list[schema.Measurement]:
    """Launches of 12 rounds with the noise of a shared machine: 1% a round, and a drift that all backends share."""
    made = []
    for launch in range(launches):
        own = np.random.default_rng([launch, *backend.encode()])
        drift = np.exp(np.random.default_rng(launch).normal(0, 0.2, 12))
        ns = (seconds * 1e9 * drift * np.exp(own.normal(0, 0.01, 12))).astype(int).tolist()
        fields = {
            "case": "training-speed/alexnet", "network": "alexnet", "backend": backend, "device": "cpu",
            "batch": 8, "dtype": "float32", "threads": 1, "images": 8, "flops": 10**9, "launch": launch,
            "samples_ns": ns, "round": list(range(12)), "verified": HOLDS, "peak_bytes": 10**9,
        }  # fmt: skip
        made.append(schema.Measurement(**(fields | changed)))
    return made


def compared(tmp_path: Path, old: list[schema.Line], new: list[schema.Line], **options: Any) -> dict[str, Comparison]:
    base = run_file(tmp_path / "base.jsonl", *old)
    head = run_file(tmp_path / "head.jsonl", *new, machine=options.pop("machine", MACHINE))
    limits = files.Limits(slowdown=options.pop("slowdown", 0.05))
    return {c.quantity: c for c in files.compare(base, head, limits, **options)}


PEER = measurement("torch", 0.08)


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "SAME"), (1.10, "REGRESSED"), (0.9, "IMPROVED"), (1.01, "SAME")])
def test_speed_is_the_ratio_to_the_peer(tmp_path: Path, factor: float, verdict: str) -> None:
    """Head runs on a machine that is three times as slow, for both; only the change against the peer counts."""
    new = [*measurement(seconds=0.3 * factor), *measurement("torch", 0.24)]
    found = compared(tmp_path, [*measurement(), *PEER], new, machine=MACHINE | {"host": "b"}, slowdown=0.08)
    assert found["speed"].verdict == verdict
    assert found["speed"].change == pytest.approx(factor - 1, abs=0.01)
    low, high = found["speed"].low, found["speed"].high
    assert low is not None
    assert high is not None
    assert low < factor - 1 < high


def test_two_runs_of_one_launch_cannot_show_a_small_change(tmp_path: Path) -> None:
    old = [*measurement(launches=1), *measurement("torch", launches=1)]
    new = [*measurement(seconds=0.104, launches=1), *measurement("torch", launches=1)]
    found = compared(tmp_path, old, new)["speed"]
    assert found.verdict == "AMBIGUOUS"
    assert "measure more launches, or use --against" in found.reason


def test_without_a_peer_only_equal_machines_are_compared(tmp_path: Path) -> None:
    found = compared(tmp_path, list(measurement()), list(measurement()), slowdown=0.2)
    assert found["speed"].verdict == "SAME"
    (tmp_path / "b").mkdir()
    other = compared(tmp_path / "b", list(measurement()), list(measurement()), machine=MACHINE | {"cpu": "Y"})
    assert other["speed"].verdict == "INCOMPARABLE"
    assert "cpu is X in base, Y in head" in other["speed"].reason


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"threads": 2}, "threads 1 in base, 2 in head"),
        ({"batch": 16}, "batch 8 in base, 16 in head"),
        ({"dtype": "float64"}, "dtype float32 in base, float64 in head"),
        ({"device": "cuda"}, "device cpu in base, cuda in head"),
    ],
)
def test_unlike_measurements_are_refused_by_name(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    new = [*measurement(**changed), *PEER]
    found = compared(tmp_path, [*measurement(), *PEER], new)
    assert [c.verdict for c in found.values()] == ["INCOMPARABLE"]
    assert said in found["speed"].reason
    (tmp_path / "allowed").mkdir()
    assert compared(tmp_path / "allowed", [*measurement(), *PEER], new, allow=True)["speed"].verdict != "INCOMPARABLE"


def test_another_blas_is_refused_by_name(tmp_path: Path) -> None:
    machine = MACHINE | {"blas": [{**MACHINE["blas"][0], "architecture": "Haswell"}]}  # type: ignore[dict-item,index]
    found = compared(tmp_path, [*measurement(), *PEER], [*measurement(), *PEER], machine=machine)
    assert "openblas 0.3.31 Zen in base, openblas 0.3.31 Haswell in head" in found["speed"].reason


def test_what_vanished_failed_or_is_wrong_never_passes(tmp_path: Path) -> None:
    wrong = schema.Verified(before="HOLDS", after="VIOLATED", message="conv2 dw: error / bound 3.1")
    for name, new, verdict, said in [
        ("gone", [*PEER], "MISSING", "base has it, head does not"),
        ("crashed", [*measurement(error="crashed (SIGSEGV)"), *PEER], "MISSING", "crashed (SIGSEGV)"),
        ("wrong", [*measurement(verified=wrong), *PEER], "INCORRECT", "conv2 dw: error / bound 3.1"),
        ("unverified", [*measurement(verified=schema.Verified()), *PEER], "MISSING", "verification says nothing"),
        ("empty", [*measurement(samples_ns=[], round=[]), *PEER], "MISSING", "no samples"),
    ]:
        (tmp_path / name).mkdir()
        found = compared(tmp_path / name, [*measurement(), *PEER], list(new))["speed"]
        assert (found.verdict, said in found.reason) == (verdict, True), found
        assert exit_code([found], strict=False) == 1


def test_a_peer_that_vanished_or_failed_is_missing(tmp_path: Path) -> None:
    """As times by themselves are compared then, which the day changes."""
    old = [*measurement(), *measurement("torch")]
    for number, new in enumerate(([], measurement("torch", error="crashed", samples_ns=[], round=[]))):
        (folder := tmp_path / str(number)).mkdir()
        base, head = run_file(folder / "base.jsonl", *old), run_file(folder / "head.jsonl", *measurement(), *new)
        found = {(c.backend, c.quantity): c.verdict for c in files.compare(base, head, files.Limits())}
        assert found["torch", "speed"] == "MISSING"
        assert found["numpy", "speed"] == "AMBIGUOUS"  # the drift of the rounds, which the peer had too
    both = run_file(tmp_path / "both.jsonl", *old)
    assert {c.backend for c in files.compare(both, both, files.Limits())} == {"numpy"}


def test_error_and_memory_are_gated_like_speed(tmp_path: Path) -> None:
    less_accurate = HOLDS.model_copy(update={"error_multiple": 2.4})
    new = [*measurement(verified=less_accurate, peak_bytes=12 * 10**8), *PEER]
    found = compared(tmp_path, [*measurement(), *PEER], new)
    assert found["error"].verdict == "REGRESSED"
    assert found["error"].reason == "error over torch's 1.1 in base, 2.4 in head; 50% more is allowed"
    assert found["memory"].verdict == "REGRESSED"
    assert found["memory"].change == pytest.approx(0.2)
    (tmp_path / "same").mkdir()
    same = compared(tmp_path / "same", [*measurement(), *PEER], [*measurement(), *PEER])
    assert {same["error"].verdict, same["memory"].verdict} == {"SAME"}


def check_verdict(verdict: str, worst: float | None = 0.3) -> schema.BlockVerdict:
    return schema.BlockVerdict(
        case="check/conv2d",
        block="conv2d",
        backend="numpy",
        dtype="float32",
        property="bounded",
        verdict=verdict,  # type: ignore[arg-type]
        examples=100,
        worst_ratio=worst,
        message="y off",
    )


@pytest.mark.parametrize(
    ("new", "verdict"),
    [
        ([check_verdict("HOLDS")], "SAME"),
        ([check_verdict("HOLDS", 0.9)], "REGRESSED"),
        ([check_verdict("VIOLATED")], "INCORRECT"),
        ([check_verdict("UNSUPPORTED")], "INCORRECT"),
        ([], "MISSING"),
    ],
)
def test_verdicts_of_a_check_are_compared(tmp_path: Path, new: list[schema.Line], verdict: str) -> None:
    found = compared(tmp_path, [check_verdict("HOLDS")], new)
    assert [c.verdict for c in found.values()] == [verdict]


def test_exit_codes() -> None:
    def line(verdict: str) -> Comparison:
        return Comparison("c", "numpy", "speed", verdict, "because")  # type: ignore[arg-type]

    assert exit_code([line("SAME"), line("IMPROVED")], strict=True) == 0
    assert exit_code([line("SAME"), line("AMBIGUOUS")], strict=False) == 0
    assert exit_code([line("SAME"), line("AMBIGUOUS")], strict=True) == 4
    for wrong in ("REGRESSED", "MISSING", "INCOMPARABLE", "INCORRECT"):
        assert exit_code([line("AMBIGUOUS"), line(wrong)], strict=True) == 1


def test_the_outputs_say_the_same() -> None:
    lines = [
        Comparison("quiet", "numpy", "speed", "SAME", "within the 5.0% allowed", 0.01, -0.01, 0.03),
        Comparison("a|b <x>", "numpy", "speed", "REGRESSED", "slower", 0.1, 0.08, 0.12),
        Comparison("odd", "numpy", "speed", "AMBIGUOUS", "too few rounds"),
    ]
    assert json.loads(output.as_json(lines))[0] == dataclasses.asdict(lines[1])  # the worst first
    junit = ElementTree.fromstring(output.as_junit(lines))
    assert (junit.get("tests"), junit.get("failures"), junit.get("skipped")) == ("3", "1", "1")
    failure = junit.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "REGRESSED: slower"
    assert "| a\\|b <x> | numpy | speed | REGRESSED | +10.0% | +8.0% .. +12.0% | slower |" in output.as_markdown(lines)
    assert output.as_text(lines).endswith("1 REGRESSED, 1 AMBIGUOUS, 1 SAME")


def command(*args: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mcnbench", "compare", *args], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_the_command(tmp_path: Path) -> None:
    run_file(tmp_path / "base.jsonl", *measurement(), *PEER)
    run_file(tmp_path / "head.jsonl", *measurement(seconds=0.15), *PEER)
    names = [str(tmp_path / "base.jsonl"), str(tmp_path / "head.jsonl")]
    done = command(*names, "--markdown", str(tmp_path / "out.md"), "--junit", str(tmp_path / "out.xml"))
    assert done.returncode == 1, done.stderr
    assert "REGRESSED" in done.stdout
    assert "+50" in done.stdout
    assert "REGRESSED" in (tmp_path / "out.md").read_text()
    assert ElementTree.parse(tmp_path / "out.xml").getroot().get("failures") == "1"
    assert command(names[0], names[0]).returncode == 0


def test_bad_input_gets_one_sentence(tmp_path: Path) -> None:
    run_file(tmp_path / "empty.jsonl")
    run_file(tmp_path / "run.jsonl", *measurement(), *PEER)
    run_file(tmp_path / "other.jsonl", *measurement(case="training-speed/vgg-f"))
    run, empty, other = (str(tmp_path / f"{name}.jsonl") for name in ("run", "empty", "other"))
    for args, code, said in [
        ([run], 2, "wanted two run files"),
        ([run, "gone.jsonl"], 2, "cannot read run file 'gone.jsonl'"),
        ([run, run, "--max-slowdown", "-3%"], 2, "no positive percentage"),
        ([run, empty], 3, "holds no measurement and no verdict"),
        ([run, other], 3, "have no case in common"),
        (["--against", "no-such-revision"], 2, "wanted a revision 'no-such-revision'"),
        (["--against", "HEAD", "--budget", "1s"], 2, "a budget of 1s is too small"),
        (["--against", "HEAD", "training-speed"], 2, "is of kind 'training-speed'"),
    ]:
        done = command(*args)
        assert done.returncode == code, (args, done.stderr)
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_an_interrupted_run_does_not_pass(tmp_path: Path) -> None:
    run_file(tmp_path / "base.jsonl", *measurement(), *PEER)
    run_file(tmp_path / "head.jsonl", *measurement(launches=1), *PEER)
    text = (tmp_path / "head.jsonl").read_text().splitlines()
    launch = schema.Launch(**measurement()[0].model_dump(include=set(schema.Launch.model_fields) - {"kind"}))
    cut = [text[0], launch.model_dump_json(by_alias=True), text[-3][:40]]
    (tmp_path / "head.jsonl").write_text("\n".join(cut))
    done = command(str(tmp_path / "base.jsonl"), str(tmp_path / "head.jsonl"))
    assert done.returncode == 1
    assert "MISSING" in done.stdout
    assert "interrupted" in done.stdout
