"""impl, suites and reports are general names: another project's must not be measured unnoticed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_foreign_impl_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "impl").mkdir()
    (tmp_path / "impl" / "__init__.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-c", "import mcnbench"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert f"mcnbench needs its own package 'impl' at {ROOT / 'impl'}" in done.stderr
    assert str(tmp_path / "impl") in done.stderr
