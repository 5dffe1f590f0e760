"""mcnbench called as its users call it: from a folder of theirs, in an environment that has nothing else of ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mcnbench import ROOT


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return python(folder, "-m", "mcnbench", *arguments)
