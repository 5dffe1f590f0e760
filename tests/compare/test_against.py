"""`mcnbench compare --against` in somebody else's repository, with real processes of both versions.

What is asserted is which code ran and what became of failures, never how long anything took.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mcnbench import ROOT

RELU = """
def relu(x, *, slope=0.0):
    import numpy as np
    return np.where(x > 0, x, slope * x), lambda dy: (np.where(x > 0, dy, slope * dy),)
"""
LEAVES_A_TRACE = RELU + "\nopen({trace!r}, 'a').write(__file__ + '\\n')\n"
GATE = 'kind = "gate"\nbackend = "my_blocks.py"\ncases = ["relu x=4x16x32x32", "sigmoid x=4x4x4x4"]\n'


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "theirs"
    folder.mkdir()
    for command in ("init --quiet", "config user.email a@b", "config user.name a"):
        subprocess.run(["git", *command.split()], cwd=folder, check=True)
    (folder / "gate.toml").write_text(GATE)
    return folder


def commit(folder: Path, blocks: str) -> None:
    (folder / "my_blocks.py").write_text(blocks)
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    subprocess.run(["git", "commit", "--quiet", "-m", "blocks"], cwd=folder, check=True)


def compare(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mcnbench", "compare", "--against", "HEAD", "gate.toml", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_both_versions_run_from_their_own_folders(repository: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    commit(repository, LEAVES_A_TRACE.format(trace=str(trace)))
    (repository / "my_blocks.py").write_text(LEAVES_A_TRACE.format(trace=str(trace)) + "# changed\n")
    done = compare(repository, "--budget", "20s", "--json", str(tmp_path / "out.json"))
    assert done.returncode in (0, 1), done.stderr
    assert "not measured, for want of a block: sigmoid x=4x4x4x4" in done.stderr
    assert "identical code differs by" in done.stderr  # the noise is said before the verdict
    [line] = json.loads((tmp_path / "out.json").read_text())
    assert (line["case"], line["backend"]) == ("relu x=4x16x32x32", "my_blocks.py")
    ran = set(trace.read_text().split())
    assert str(repository / "my_blocks.py") in ran
    assert any(path.endswith("/base/my_blocks.py") for path in ran)
    worktrees = subprocess.run(["git", "worktree", "list"], cwd=repository, capture_output=True, text=True, check=True)
    assert len(worktrees.stdout.splitlines()) == 1  # nothing is left behind


def test_a_version_that_fails_does_not_pass(repository: Path) -> None:
    commit(repository, RELU)
    (repository / "my_blocks.py").write_text(RELU.replace("import numpy as np", "raise RuntimeError('no such kernel')"))
    done = compare(repository, "--budget", "20s")
    assert done.returncode == 1
    assert "MISSING" in done.stdout
    assert "the working tree fails: RuntimeError: no such kernel" in done.stdout


def test_a_wrong_version_is_not_timed(repository: Path) -> None:
    commit(repository, RELU)
    (repository / "my_blocks.py").write_text(
        RELU.replace("lambda dy: (np.where(x > 0, dy", "lambda dy: (np.where(x > 0, 1.01 * dy")
    )
    done = compare(repository, "--budget", "20s")
    assert done.returncode == 1
    assert "INCORRECT" in done.stdout
    assert "the working tree is wrong: dx is off by" in done.stdout


def test_a_version_that_dies_does_not_pass(repository: Path) -> None:
    commit(repository, RELU)
    (repository / "my_blocks.py").write_text(RELU.replace("import numpy as np", "import os; os.kill(os.getpid(), 9)"))
    done = compare(repository, "--budget", "20s")
    assert done.returncode == 1
    assert "MISSING" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_revision_that_does_not_build_is_said(repository: Path) -> None:
    (repository / "pyproject.toml").write_text("[project]\nname = 3\n")
    commit(repository, RELU)
    done = compare(repository, "--budget", "20s")
    assert done.returncode == 2
    assert "does not build: " in done.stderr
    assert "Traceback" not in done.stderr


def test_outside_a_repository_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    (tmp_path / "my_blocks.py").write_text(RELU)
    (tmp_path / "gate.toml").write_text(GATE)
    done = compare(tmp_path, "--budget", "20s")
    assert done.returncode == 2
    assert "wanted a git repository around the current folder" in done.stderr
