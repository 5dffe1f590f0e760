"""The built wheel, installed in an environment of its own and used from a folder that is not the checkout.

Run by `.ci/run` with that environment's Python; within the checkout these tests would prove nothing and are left out.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import mcnbench

pytestmark = pytest.mark.skipif(
    (mcnbench.ROOT / "pyproject.toml").exists(), reason="tests the installed wheel, not the checkout; .ci/run does"
)

COMMAND = str(Path(sys.executable).parent / "mcnbench")


def mcnbench_command(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *args], cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def test_the_data_is_in_the_wheel(tmp_path: Path) -> None:
    done = mcnbench_command("show", "alexnet", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # notes of the networks: 60,965,224 parameters (Krizhevsky et al. 2012, grouped)
    assert "60965224" in done.stdout.replace(",", "")


def test_the_suites_run_from_the_wheel(tmp_path: Path) -> None:
    (tmp_path / "my_blocks.py").write_text(
        "import numpy as np\n\n\ndef relu(x, *, slope=0.0):\n"
        "    rest = x.dtype.type(slope) * x if slope else np.zeros_like(x)\n"
        "    return np.where(x <= 0, rest, x), lambda dy: (np.where(x > 0, dy, dy.dtype.type(slope) * dy),)\n"
    )
    done = mcnbench_command("check", "my_blocks.py", "--examples", "20", "--json", "verdicts.json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "HOLDS" in (tmp_path / "verdicts.json").read_text()
    (tmp_path / "my_blocks.py").write_text(
        "def relu(x, *, slope=0.0):\n    return x * (x > -1), lambda dy: (dy * (x > -1),)\n"
    )
    done = mcnbench_command("check", "my_blocks.py", "--examples", "20", "--block", "relu", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr


def test_a_step_is_timed_from_the_wheel_and_reported(tmp_path: Path) -> None:
    done = mcnbench_command(
        *("run", "training-speed", "-n", "lenet-5", "--batch", "8", "--budget", "20s", "--out", "run.jsonl"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    assert lines[0]["kind"] == "run"
    assert lines[-1] == {**lines[-1], "kind": "end", "status": "complete"}
    assert {line["backend"] for line in lines if line["kind"] == "measurement"} == {"numpy", "torch"}
    done = mcnbench_command("report", "run.jsonl", "--out", "report", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert any((tmp_path / "report").glob("*.md"))
