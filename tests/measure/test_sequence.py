"""Several commands, one run file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from reports import runfile

RIGHT = """
import numpy as np


def relu(x, *, slope=0.0):
    factor = np.where(x > 0, x.dtype.type(1), x.dtype.type(slope))
    y = np.where(np.isnan(x), x, np.where(factor == 0, 0, x * np.where(factor == 0, 1, factor))).astype(x.dtype)
    return y, lambda dy: (np.where(factor == 0, 0, dy * np.where(factor == 0, 1, factor)).astype(x.dtype),)
"""
WRONG = RIGHT.replace("x > 0", "x > 1")


def sequence(folder: Path, *backends: str, needs: str = "[]") -> subprocess.CompletedProcess[str]:
    only = '"--property", "exact", "--dtype", "float32", "--examples", "5"'
    parts = ", ".join(f'["check", "{folder}/{name}.py", {only}]' for name in backends)
    (folder / "both.toml").write_text(f'kind = "sequence"\nneeds = {needs}\nparts = [{parts}]\n')
    (folder / "right.py").write_text(RIGHT)
    (folder / "wrong.py").write_text(WRONG)
    command = [sys.executable, "-m", "mcnbench", "run", str(folder / "both.toml"), "--out", str(folder / "both.jsonl")]
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


def test_the_parts_results_are_in_one_file_and_the_worst_exit_code_counts(tmp_path: Path) -> None:
    done = sequence(tmp_path, "wrong", "right")
    assert done.returncode == 1, done.stdout + done.stderr
    found = runfile.read(tmp_path / "both.jsonl")
    assert found.status == "complete"
    verdicts = {Path(v.backend).stem: v.verdict for v in found.verdicts if v.block == "relu"}
    assert verdicts == {"wrong": "VIOLATED", "right": "HOLDS"}
    assert list(tmp_path.glob("tmp*")) == []


def test_a_backend_that_cannot_run_here_is_refused_first(tmp_path: Path) -> None:
    (tmp_path / "absent.py").write_text("def version():\n    raise RuntimeError('no device')\n")
    done = sequence(tmp_path, "right", needs=f'["{tmp_path}/absent.py"]')
    assert done.returncode == 2
    assert done.stderr.strip().endswith("absent.py' cannot run here: no device")
    assert not (tmp_path / "both.jsonl").exists()
