"""`mcnbench check` and `pytest suites/properties` as their users run them; the README's ten lines are among them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from mcnbench import ROOT, runfile
from tests.calling import command, python

README = (ROOT / "README.md").read_text()
TEN_LINES = re.search(r"## Check your own blocks in ten lines.*?```python\n(.*?)```", README, re.DOTALL)

LAST_COLUMN = """
import numpy as np

def relu(x, *, slope):
    y = np.where(x <= 0, x.dtype.type(slope) * x if slope else x.dtype.type(0), x)
    if x.shape[3] > 2:
        y[..., -1] = 0
    return y, lambda dy: (np.where(x > 0, dy, dy.dtype.type(slope) * dy),)
"""


def check(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command(folder, "check", *arguments)


def test_the_ten_lines_of_the_readme_hold(tmp_path: Path) -> None:
    assert TEN_LINES is not None
    assert sum(1 for line in TEN_LINES[1].splitlines() if line.strip()) <= 10
    (tmp_path / "my_blocks.py").write_text(TEN_LINES[1])
    found = check(tmp_path, "my_blocks.py", "--examples", "15", "--junit", "found.xml", "--json", "found.json")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "VIOLATED" not in found.stdout
    assert "UNSUPPORTED the backend has no add, avg_pool2d" in found.stdout

    (file,) = (tmp_path / "runs").glob("check-*.jsonl")
    lines_of_run = runfile.read(file).verdicts
    verdicts = json.loads((tmp_path / "found.json").read_text())["verdicts"]
    assert len(verdicts) == len(lines_of_run)
    held = {(v["block"], v["property"], v["dtype"]) for v in verdicts if v["verdict"] == "HOLDS"}
    assert {block for block, _, _ in held} == {"relu", "softmax"}
    assert all(v["examples"] == 15 for v in verdicts if v["verdict"] == "HOLDS")
    suite = ElementTree.parse(tmp_path / "found.xml").getroot()[0]
    assert int(suite.attrib["tests"]) == len(verdicts)
    assert int(suite.attrib["failures"]) == int(suite.attrib["errors"]) == 0
    assert int(suite.attrib["skipped"]) == len(verdicts) - len(held)


def test_a_block_that_writes_into_its_input_is_held_to_what_it_was_given(tmp_path: Path) -> None:
    """Its values are right, and neither the verdicts nor the script take the input as it is afterwards."""
    (tmp_path / "my_blocks.py").write_text(LAST_COLUMN.replace("y[..., -1] = 0", "pass").replace(
        "    return", "    right, x = x, x.copy()\n    right[...] = 0\n    return", 1
    ))  # fmt: skip
    found = check(
        tmp_path, "my_blocks.py", "--block", "relu", "--dtype", "float32", "--examples", "5", "--json", "a.json"
    )
    verdicts = {v["property"]: v for v in json.loads((tmp_path / "a.json").read_text())["verdicts"]}
    assert {p for p, v in verdicts.items() if v["verdict"] == "VIOLATED"} == {
        "leaves-inputs", "strided-inputs", "deterministic"
    }, found.stdout  # fmt: skip
    shown = python(tmp_path, verdicts["leaves-inputs"]["script"])
    assert shown.stdout.splitlines()[-1] == "x CHANGED", shown.stderr


def test_a_block_that_is_not_implemented_yet_says_so(tmp_path: Path) -> None:
    (tmp_path / "my_blocks.py").write_text("def relu(x, *, slope):\n    raise NotImplementedError('later')\n")
    found = check(tmp_path, "my_blocks.py", "--block", "relu", "--examples", "2")
    assert found.returncode == 3
    assert "UNSUPPORTED relu: later" in found.stdout


def test_a_violation_is_told_replayed_and_shown_by_a_script_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "my_blocks.py").write_text(LAST_COLUMN)
    found = check(tmp_path, "my_blocks.py", "--block", "relu", "--property", "exact", "--examples", "50")
    assert found.returncode == 1
    assert "VIOLATED relu exact float32" in found.stdout
    assert "zero stands there" in found.stdout
    replay = re.search(r"replay +mcnbench check my_blocks.py --case '([^']+)'", found.stdout)
    assert replay is not None

    again = check(tmp_path, "my_blocks.py", "--case", replay[1])
    assert again.returncode == 1
    assert "relu exact" in again.stdout

    (script,) = (tmp_path / "runs").rglob("relu-exact-float32.py")
    assert not re.search(r"^\s*(from|import) (mcnbench|suites|impl)", script.read_text(), re.MULTILINE)
    shown = subprocess.run(
        [sys.executable, str(script)], cwd="/", env={}, capture_output=True, text=True, timeout=100, check=True
    )
    assert "should be" in shown.stdout

    (file,) = (tmp_path / "runs").glob("check-*.jsonl")
    violated = [v for v in runfile.read(file).verdicts if v.verdict == "VIOLATED"]
    assert [v.reproduce for v in violated if v.dtype == "float32"] == [replay[1]]


@pytest.mark.parametrize(
    ("content", "arguments", "code", "words"),
    [
        ("x = 1", [], 3, "has none of the blocks, so nothing was checked"),
        (LAST_COLUMN, ["--block", "conv2d"], 3, "has no conv2d, so nothing was checked; it has relu"),
        ("import nothing_of_that_name", [], 2, "does not import: ModuleNotFoundError"),
        ("def version():\n    raise OSError('no device')", [], 2, "cannot run here: OSError: no device"),
        (LAST_COLUMN, ["--block", "relo"], 2, "unknown block 'relo'; did you mean 'relu'?"),
        (LAST_COLUMN, ["--dtype", "int8"], 2, "unknown dtype 'int8'"),
        (LAST_COLUMN, ["--case", "relu x=1xy"], 2, "cannot read the shape x=1xy"),
        (LAST_COLUMN, ["--examples", "0"], 2, "--examples"),
    ],
)
def test_exit_codes_and_sentences(tmp_path: Path, content: str, arguments: list[str], code: int, words: str) -> None:
    (tmp_path / "mine.py").write_text(content)
    found = check(tmp_path, "mine.py", *arguments)
    assert found.returncode == code, found.stderr
    assert words in found.stderr
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "runs").exists()


def test_pytest_runs_the_suite_directly(tmp_path: Path) -> None:
    (tmp_path / "my_blocks.py").write_text(LAST_COLUMN)
    options = ["--backend", "my_blocks.py", "--block", "relu", "--property", "exact", "--property", "shape"]
    folder = str(ROOT / "suites" / "properties")
    found = python(
        tmp_path, "-m", "pytest", folder, *options, "--dtype", "float32", "--examples", "20", "-p", "no:cacheprovider"
    )
    assert found.returncode == 1, found.stdout
    assert "1 failed, 1 passed" in found.stdout
    assert "VIOLATED: y is not what the oracle says" in found.stdout
    assert "case      relu x=" in found.stdout


def test_the_script_of_a_violation_in_a_convolution_runs_alone(tmp_path: Path) -> None:
    from mcnbench.backends import load
    from suites.properties import engine

    (tmp_path / "wrong_conv.py").write_text(
        "import numpy as np\nfrom mcnbench.backends import torch as t\n\n"
        "def conv2d(x, w, b=None, **options):\n"
        "    y, pullback = t.conv2d(*(None if a is None else t.from_numpy(a) for a in (x, w, b)), **options)\n"
        "    g = lambda dy: tuple(a if a is None else a.numpy() for a in pullback(t.from_numpy(dy)))\n"
        "    return y.numpy() * np.float32(1.5), g\n"
    )
    verdict = engine.run(load(str(tmp_path / "wrong_conv.py")), "conv2d", "bounded", examples=30)
    assert verdict.verdict == "VIOLATED"
    assert "1.5 times the right one" in verdict.message
    assert verdict.script is not None
    script = tmp_path / "alone.py"
    script.write_text(verdict.script)
    shown = python(tmp_path, str(script))
    assert shown.returncode == 0, shown.stderr
    got, right = (
        np.array(re.findall(r"-?\d\.\d+(?:e-?\d+)?", part), float) for part in shown.stdout.split("should be")[:2]
    )
    assert got[0] == pytest.approx(1.5 * right[0], rel=1e-5)
