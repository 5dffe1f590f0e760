"""Runs the tests of on_host/ in a process of their own, where stand-ins take the place of CuPy and cuDNN."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_on_the_stand_ins() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "python_files=host_*.py"]
    done = subprocess.run([*command, "tests/gpu/on_host"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
