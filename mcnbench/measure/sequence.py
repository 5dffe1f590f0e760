"""The experiment kind "sequence": several commands of mcnbench one after the other, their results in one run file.

`parts` lists the commands' words. Each writes a run file of its own, whose lines are then put into the common one; a
part that fails does not keep the others from running. Backends that cannot run here are refused before anything starts.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel, ConfigDict, Field

from mcnbench import backends, experiment, runfile
from mcnbench.errors import BadInput, NothingDone
from mcnbench.measure import device
from reports import schema
from reports.runfile import RunFile

KIND = "sequence"


class Settings(BaseModel):
    """The keys of the experiment's file."""

    model_config = ConfigDict(extra="forbid")

    name: str
    title: str = ""
    needs: list[str] = []
    """Backends that must be able to run here."""
    parts: list[list[str]] = Field(min_length=1)


def run(name: str, content: dict[str, Any], given: dict[str, Any], quick: bool, path: Path) -> None:
    """Runs the parts; the exit code is the worst of theirs."""
    content = {key: value for key, value in content.items() if key != "kind"}
    settings = experiment.check(Settings, {**content, "name": name, **given}, f"experiment '{name}'")
    runfile.refuse_existing(path)
    for backend in settings.needs:
        backends.receipt(backend)
    first = runfile.first_line(KIND, settings.model_dump(), about={"device": device.state()})
    codes = []
    with runfile.Writer.create(path, first) as writer:
        for i, part in enumerate(settings.parts):
            words = part + ["--quick"] * (quick and part[0] == "run")
            with tempfile.TemporaryDirectory(dir=path.parent) as folder:
                own = Path(folder) / f"part-{i}.jsonl"
                codes.append(_start(words, own))
                if own.exists():
                    for line in _lines(own):
                        writer.write(line)
    click.echo(f"\nall results: {path}", err=True)
    if all(code == 3 for code in codes):
        raise NothingDone("nothing was measured or checked by any part")
    sys.exit(max(codes))


def resume(begun: RunFile, given: dict[str, Any]) -> None:
    raise BadInput(f"'{begun.path}' is a sequence of runs, which begins anew: leave out --resume")


def _start(words: list[str], own: Path) -> int:
    click.echo(f"mcnbench {shlex.join(words)}", err=True)
    return subprocess.run([sys.executable, "-m", "mcnbench", *words, "--out", str(own)], check=False).returncode


def _lines(path: Path) -> list[schema.Line]:
    """What a part found: its limits, measurements (which repeat its samples) and verdicts."""
    found = runfile.read(path)
    return [*found.limits, *found.measurements, *found.verdicts]
