"""The GitHub Action: its scripts are valid, and every verb and option that they use exists."""

from __future__ import annotations

import re
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

ACTION = Path(__file__).parents[2] / "action.yml"
TEXT = ACTION.read_text()
SCRIPTS = [
    re.sub(r"^ {8}", "", script, flags=re.MULTILINE)
    for script in re.findall(r"^ {6}run: \|\n((?: {8}.*\n|\n)+)", TEXT, re.MULTILINE)
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.split()[0])
def test_the_scripts_are_valid_and_interpolate_nothing(script: str) -> None:
    """Inputs reach a script as environment variables: an expression in it would let an input run commands."""
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    assert "${{" not in script


def test_every_option_exists() -> None:
    calls = re.findall(r'bin/mcnbench" (\w+)((?:[^\n|]|\\\n)*)', "".join(SCRIPTS).replace("\\\n", " "))
    assert [verb for verb, _ in calls] == ["check", "run", "compare"]
    for verb, rest in calls:
        known = {name for option in import_module(f"mcnbench.commands.{verb}").command.params for name in option.opts}
        used = set(re.findall(r"(--[a-z-]+)", rest))
        if verb == "compare":
            used |= set(
                re.findall(r"(--[a-z-]+)", "".join(line for line in SCRIPTS[3].splitlines() if "options" in line))
            )
        assert used
        assert used <= known, (verb, used - known)


def test_each_input_is_used_and_explained() -> None:
    inputs = re.search(r"^inputs:\n(.*?)^outputs:", TEXT, re.MULTILINE | re.DOTALL)
    assert inputs is not None
    names = re.findall(r"^  ([a-z-]+):\n    description: \S", inputs[1], re.MULTILINE)
    assert len(names) == len(re.findall(r"^  [a-z-]+:$", inputs[1], re.MULTILINE)) >= 8
    for name in names:
        assert f"inputs.{name}" in TEXT, name
