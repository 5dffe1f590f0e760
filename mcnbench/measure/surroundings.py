"""What every timed experiment does around its measuring: the first line, what is odd, how it is interrupted."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from mcnbench import machine, runfile
from mcnbench.errors import BadInput, NothingDone
from mcnbench.measure import environment
from mcnbench.measure.progress import Report
from reports import schema
from reports.runfile import RunFile

WORKER_BYTES = 400 * 2**20
"""What an interpreter with a framework holds before any network."""

START_SECONDS = 6.0
"""Of starting the workers of a case, before anything was measured here."""

LIMIT_SECONDS = 2.0
"""Of measuring the machine's limit."""

END_SECONDS = 1.0
"""Of reading the run file again and printing the table."""

NOT_REACHED = "not measured: the budget did not suffice"


def first_line(kind: str, workers: environment.Environment, threads: int, settings: dict[str, Any]) -> schema.Run:
    """The first line of the run file: what is run, on what, in which environment."""
    first = runfile.first_line(kind, settings)
    about = {"oddities": machine.oddities(first.machine)}
    used = workers.record() | {"cores": cores(threads) or sorted(os.sched_getaffinity(0))}
    return first.model_copy(update={"machine": first.machine | about, "environment": used})


def cores(threads: int) -> list[int] | None:
    """The cores that all workers share when they use fewer threads than there are cores."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[-threads:] if threads < len(allowed) else None


def say_what_is_odd(workers: environment.Environment, described: dict[str, Any], report: Report) -> None:
    if workers.removed:
        listed = ", ".join(f"{name}={value}" for name, value in workers.removed.items())
        report.say(f"left out of the workers' environment: {listed} (--inherit-env keeps them)")
    for sentence in machine.oddities(described):
        report.say(f"note: {sentence}")


@contextmanager
def interruptible(path: Path) -> Iterator[None]:
    """Ctrl-C, or SIGTERM as CI sends it, ends the run with one line; the run file is closed as interrupted."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        kept = f"; go on with: mcnbench run --resume {shlex.quote(str(path))}" if path.exists() else ""
        click.echo(f"mcnbench: interrupted{kept}", err=True)
        sys.exit(130)


def refuse_another_machine(begun: RunFile) -> None:
    """Samples of two machines, or of two versions, in one file would be compared with each other."""
    here = {**machine.versions(), "cpu": machine.cpu_model(), "git commit": machine.git().get("commit")}
    there = {**begun.run.versions, "cpu": begun.run.machine.get("cpu"), "git commit": begun.run.git.get("commit")}
    for name, value in here.items():
        if there.get(name) != value:
            raise BadInput(
                f"'{begun.path}' was begun with {name} {there.get(name)}, but here it is {value}; start a new run"
            )


def conclude(path: Path, good: Iterable[bool], what: str = "case") -> None:
    """Says where the samples are; exits with 1 if something failed or was wrong, with 3 if nothing has a time."""
    states = list(good)
    click.echo(f"\nall samples: {path}", err=True)
    if not any(states):
        raise NothingDone(f"nothing was measured: no {what} was verified and timed; the reasons are above")
    if not all(states):
        sys.exit(1)
