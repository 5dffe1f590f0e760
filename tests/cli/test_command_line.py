"""The command line: what it imports, how it exits, what it says to a user's mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*args: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mcnbench", *args], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


def test_help_imports_nothing_heavy() -> None:
    """`--help` must answer within 0.2 s; what makes it slow is an import of one of these."""
    code = (
        "import sys\n"
        "from mcnbench.cli import main\n"
        "sys.argv = ['mcnbench', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'pandas', 'matplotlib', 'scipy', 'hypothesis', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("verb", ["check", "env", "report", "run", "show"])
def test_every_verb_explains_itself(verb: str) -> None:
    done = run(verb, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: python -m mcnbench {verb}")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["chekc"], "No such command 'chekc'"),
        (["check", "nunpy"], "unknown backend 'nunpy'; did you mean 'numpy'?"),
        (["check", "numpy", "--block", "conv2"], "did you mean 'conv2d'?"),
        (["check", "nowhere/my_blocks.py"], "backend file 'nowhere/my_blocks.py' does not exist"),
        (["run", "training-sped"], "did you mean 'training-speed'?"),
        (["show", "alexnett"], "did you mean 'alexnet'?"),
        (["faults", "--fault", "zzz"], " more"),
        (["show", "LICENSE"], "network file 'LICENSE' must have a name that ends in .toml"),
        (["check", "numpy", "--case", ""], "unknown block ''"),
        (["check", "numpy", "--case", "relu x=2x3", "--block", "relu"], "--block would have no effect beside --case"),
        (["check", "numpy", "--onnx-node-tests", "--json", "a.json"], "--json would have no effect beside --onnx-node"),
        (["check", "numpy", "--timeout", "nan"], "'nan' is not a valid integer"),
        (["check", "numpy", "--json", "nowhere/a.json"], "cannot write 'nowhere/a.json': there is no folder 'nowhere'"),
        (["agree", "numpy", "torch", "--case", "relu x=2x3", "--block", "conv2d"], "--block would have no effect"),
        (["agree", "numpy", "torch", "--semantics", "--train", "3"], "--train would have no effect beside --semantics"),
        (["run", "training-speed", "--seed", "-1"], "-1 is not in the range x>=0"),
        (["compare", "a.jsonl", "b.jsonl", "--max-slowdown", "5"], "'5' is no positive percentage"),
        (["compare", "a.jsonl", "b.jsonl", "-b", "numpy"], "wanted --against REV with --backend"),
    ],
)
def test_a_mistake_gets_one_sentence_and_exit_code_2(args: list[str], said: str) -> None:
    done = run(*args)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
