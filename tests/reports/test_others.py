"""Results of pytest-benchmark and of asv stand beside ours, and ours can be read by what reads pytest-benchmark."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import reports
from reports import export, frames, runfile, tables, text
from tests.reports.conftest import HOLDS, Made, measurement

BENCHMARK = """
import time

def test_sleep(benchmark):
    benchmark.extra_info.update(backend="mine", images=4, flops=1000, network="alexnet")
    benchmark.pedantic(time.sleep, args=(0.001,), rounds=7)
"""

ASV: dict[str, Any] = {
    # the form of asv 0.6, as its documentation "results/<machine>/<commit>-<environment>.json" gives it
    "commit_hash": "aaaabbbbccccdddd",
    "env_name": "virtualenv-py3.11",
    "date": 1767323045000,
    "params": {"machine": "box", "cpu": "Example CPU", "ram": "16 GB"},
    "python": "3.11",
    "requirements": {"numpy": "2.4.6"},
    "env_vars": {},
    "result_columns": ["result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b",
                       "stats_q_25", "stats_q_75", "number", "repeat", "samples"],
    "results": {
        "blocks.Conv.time_forward": [[0.002, None], [["'a'", "'b'"]], "v1", 1, 1, [0.0019, None], [0.0021, None],
                                     [0.0019, None], [0.0021, None], [1, None], [3, None],
                                     [[0.001, 0.002, 0.003], None]],
        "blocks.time_plain": [[0.5], [], "v1", 1, 1],
        "blocks.peakmem_forward": [[12345], [], "v1"],
        "blocks.time_gone": [None, [], "v1"],
    },
    "durations": {},
    "version": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def benchmark_json(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real result of pytest-benchmark."""
    folder = tmp_path_factory.mktemp("benchmark")
    (folder / "test_it.py").write_text(BENCHMARK)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "test_it.py"]
    subprocess.run([*command, "--benchmark-json=result.json"], cwd=folder, check=True, capture_output=True, timeout=120)
    return folder / "result.json"


def test_pytest_benchmark(benchmark_json: Path, make_run: Made) -> None:
    own = make_run(measurement("alexnet", "numpy", [1.0]))
    table = tables.cases(reports.load([benchmark_json]))
    (row,) = table.to_dict("records")
    assert row["case"] == "test_it.py::test_sleep"
    assert (row["backend"], row["rounds"], row["state"]) == ("mine", 7, "foreign")
    median = json.loads(benchmark_json.read_text())["benchmarks"][0]["stats"]["median"]
    assert row["seconds"] == pytest.approx(median)
    assert row["seconds_low"] < median < row["seconds_high"]
    assert "another tool's" in text.as_text(table)
    assert set(reports.load([benchmark_json, own])["experiment"]) == {"pytest-benchmark", "training-speed"}


def test_pytest_benchmark_without_samples(benchmark_json: Path, tmp_path: Path) -> None:
    content = json.loads(benchmark_json.read_text())
    stats = content["benchmarks"][0]["stats"]
    del stats["data"]
    (tmp_path / "lean.json").write_text(json.dumps(content))
    (row,) = tables.cases(reports.load([tmp_path / "lean.json"])).to_dict("records")
    assert row["seconds"] == pytest.approx(stats["median"])
    assert row["rounds"] == 1


def test_asv(tmp_path: Path) -> None:
    (tmp_path / "asv.json").write_text(json.dumps(ASV))
    files = frames.read([tmp_path / "asv.json"])
    table = tables.cases(frames.samples(files)).set_index("case")
    assert table.loc["blocks.Conv.time_forward('a')", "seconds"] == pytest.approx(0.002)
    assert table.loc["blocks.Conv.time_forward('a')", "rounds"] == 3
    assert table.loc["blocks.Conv.time_forward('b')", "state"] == "failed"
    assert table.loc["blocks.time_plain", "seconds"] == pytest.approx(0.5)
    assert table.loc["blocks.time_gone", "state"] == "failed"
    assert files[0].run.started == "2026-01-02T03:04:05Z"
    assert files[0].notes == ("blocks.peakmem_forward is not a timing",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[]", "neither a run file"),
        ("{", "not JSON"),
        ('{"machine_info": {}, "benchmarks": [{}]}', "cannot be read as a result of pytest-benchmark"),
        (json.dumps(ASV | {"date": "yesterday"}), "cannot be read as a result of asv"),
        (json.dumps(ASV | {"results": {"a.time_x": [[-1.0], []]}}), "a.time_x has a time that is not positive"),
        (json.dumps(ASV | {"results": {"a.time_x": [[float("nan")], []]}}), "a.time_x has a time that is not positive"),
    ],
)
def test_what_is_no_result_is_refused(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(runfile.RunFileError, match=r"bad\.json") as refusal:
        reports.load([tmp_path / "bad.json"])
    assert words in str(refusal.value)


def test_our_runs_as_pytest_benchmark_json(make_run: Made, tmp_path: Path) -> None:
    """Read again by our own reader, and by pytest-benchmark's own comparison."""
    wrong = HOLDS.model_copy(update={"after": "VIOLATED"})
    path = make_run(
        measurement("alexnet", "numpy", [1.0, 2.0, 4.0]), measurement("alexnet", "bad", [1.0], verified=wrong)
    )
    exported = tmp_path / "exported.json"
    exported.write_text(export.pytest_benchmark(frames.read([path])))
    (row,) = tables.cases(reports.load([exported])).to_dict("records")
    assert (row["seconds"], row["rounds"], row["backend"], row["batch"]) == (2.0, 3, "numpy", 10)
    command = [sys.executable, "-m", "pytest_benchmark", "compare", str(exported)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "training-speed/alexnet" in done.stdout
    assert "2.3333" in done.stdout  # the mean


def test_what_mcnbench_compare_concluded(tmp_path: Path) -> None:
    """Written by its own output, so that the two stay of one form."""
    from mcnbench.compare import output
    from mcnbench.compare.result import Comparison
    from reports import parts

    found = [
        Comparison("training-speed/alexnet", "numpy", "speed", "REGRESSED", "slower by more than 5%", 0.08, 0.06, 0.1),
        Comparison("training-speed/vgg-f", "numpy", "speed", "SAME", "within 5%", 0.01, -0.01, 0.02),
        Comparison("training-speed/vgg-m", "numpy", "memory", "MISSING", "head has no such case"),
    ]
    (tmp_path / "compared.json").write_text(output.as_json(found))
    (part,) = parts.parts(frames.read([tmp_path / "compared.json"]))
    printed = text.as_text(part.table)
    assert "+8.0% [+6.0%, +10.0%]" in printed
    assert len(part.problems) == 2
    assert part.headline.count("1") == 3


def test_what_became_of_planted_faults(tmp_path: Path) -> None:
    """Written by the command itself; two seeds stand beside each other."""
    from mcnbench import output_file
    from reports import parts
    from suites.faults import run
    from suites.faults.plant import Outcome

    killed = Outcome(
        "relu/a", "It is wrong.", "a test", "KILLED", "exact", "float32", "VIOLATED", 3, 0.5, 0.4, "y is not"
    )
    survived = Outcome("relu/b", "It is subtle.", "a test", "SURVIVED", examples=900, seconds=4.0, message="tighten it")
    lacking = Outcome("tanh/c", "It overflows.", "a test", "UNSUPPORTED", message="mine.py has no tanh")
    for seed in (0, 1):
        outcomes = [killed, survived if seed else killed, lacking]
        content = run.content(outcomes, run.Settings("mine.py", seed=seed), 12.0)
        output_file.write_json(tmp_path / f"{seed}.json", content)
    found = {part.key: part for part in parts.parts(frames.read([tmp_path / "0.json", tmp_path / "1.json"]))}
    assert set(found) == {"faults", "every-fault"}
    (row,) = found["faults"].table.to_dict("records")
    assert (row["block"], row["faults"], row["killed"], row["survived"]) == ("relu", 4, 3, 1)
    assert row["found by"] == "exact 3"
    assert found["faults"].problems == ["relu/b SURVIVED on mine.py, seed 1: tighten it"]
    assert "mine.py, seed 1, 100 examples: 1 of 2 faults killed, median time to kill 0.5 s" in found["faults"].headline
    assert "It is subtle." in text.as_text(found["every-fault"].table)


def test_faults_of_another_form_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"seed": 0, "faults": [{"fault": "relu/a"}]}')
    with pytest.raises(runfile.RunFileError, match=r"bad\.json': cannot be read as a result of mcnbench faults"):
        reports.load([tmp_path / "bad.json"])
