"""`mcnbench check --dialect`: an implementation tested on its own terms, and found wrong on others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def check(tmp_path: Path, *arguments: str) -> tuple[int, str, list[dict[str, object]]]:
    found = tmp_path / "verdicts.json"
    call = [sys.executable, "-m", "mcnbench", "check", "tests/dialects/pytorch_blocks.py", *arguments]
    call += ["--block", "local_response_norm", "--property", "bounded", "--dtype", "float64", "--examples", "10"]
    call += ["--workers", "1", "--out", str(tmp_path / "run.jsonl"), "--json", str(found)]
    done = subprocess.run(call, capture_output=True, text=True, check=False, cwd=ROOT)
    return (
        done.returncode,
        done.stdout + done.stderr,
        json.loads(found.read_text())["verdicts"] if found.exists() else [],
    )


def test_pytorchs_normalisation_is_right_in_its_own_dialect(tmp_path: Path) -> None:
    code, _, (verdict,) = check(tmp_path, "--dialect", "pytorch")
    assert (code, verdict["verdict"]) == (0, "HOLDS")
    assert verdict["backend"] == "tests/dialects/pytorch_blocks.py@pytorch"


def test_it_is_wrong_in_mcnbenchs(tmp_path: Path) -> None:
    code, output, (verdict,) = check(tmp_path)
    assert (code, verdict["verdict"]) == (1, "VIOLATED")
    assert "VIOLATED local_response_norm" in output


@pytest.mark.parametrize(
    ("dialect", "sentence"),
    [
        ("pytroch", "unknown dialect 'pytroch'; did you mean 'pytorch'?"),
        ("no.toml", "dialect file 'no.toml' cannot be read"),
    ],
)
def test_a_dialect_that_is_not_there(tmp_path: Path, dialect: str, sentence: str) -> None:
    code, output, _ = check(tmp_path, "--dialect", dialect)
    assert code == 2
    assert sentence in output
    assert "Traceback" not in output
