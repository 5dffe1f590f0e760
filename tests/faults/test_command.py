"""`mcnbench faults` as its users run it: the table, the exit codes, what survives, what a backend lacks."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.calling import command


def faults(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command(folder, "faults", *arguments)


def test_what_is_killed_by_what_and_the_rate(tmp_path: Path) -> None:
    named = ("relu/capped-at-6", "conv2d/padding-rows-exchanged", "dropout/wrong-dtype")
    found = faults(tmp_path, *(f"--fault={name}" for name in named), "--json", "found.json")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "3 of 3 faults killed (100.0%)" in found.stdout
    entries = {e["fault"]: e for e in json.loads((tmp_path / "found.json").read_text())["faults"]}
    assert {name: entries[name]["property"] for name in named} == {
        "relu/capped-at-6": "exact",
        "conv2d/padding-rows-exchanged": "exact",
        "dropout/wrong-dtype": "shape",
    }
    assert all(entry["verdict"] == "VIOLATED" and entry["examples"] >= 1 for entry in entries.values())


def test_a_survivor_is_shown_and_the_exit_code_is_1(tmp_path: Path) -> None:
    """Of one example the tie is not found: too few cases are what would have to be bettered."""
    found = faults(tmp_path, "--fault", "relu/half-at-0", "--examples", "1")
    assert found.returncode == 1, found.stdout + found.stderr
    assert "SURVIVED relu/half-at-0: The gradient at 0 is one half." in found.stdout
    assert "0 of 1 faults killed (0.0%)" in found.stdout


def test_what_the_backend_lacks_is_unsupported(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "def relu(x, *, slope=0.0):\n"
        "    f = np.where(x > 0, 1, slope).astype(x.dtype)\n"
        "    return np.where(x > 0, x, f * x), lambda dy: (f * dy,)\n"
    )
    found = faults(tmp_path, "mine.py", "--fault", "relu/capped-at-6", "--fault", "tanh/overflows")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "1 of 1 faults killed" in found.stdout
    assert "UNSUPPORTED 1 fault: mine.py has no tanh" in found.stdout
    nothing = faults(tmp_path, "mine.py", "--block", "tanh")
    assert nothing.returncode == 3
    assert "no fault could be planted" in nothing.stderr


def test_bad_input_is_one_sentence(tmp_path: Path) -> None:
    found = faults(tmp_path, "--fault", "relu/capped-at-7")
    assert found.returncode == 2
    assert found.stderr == "mcnbench: unknown fault 'relu/capped-at-7'; did you mean 'relu/capped-at-6'?\n"
