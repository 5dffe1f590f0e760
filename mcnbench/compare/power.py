"""`mcnbench run gate-power`: does the gate find slow-downs, and is it silent without one?

Trials on this machine as it is, in random order: head is base plus a known amount of real extra work in every step
(none in the trials of identical code). Each trial is one run of the gate. The same samples are put to the own rule of
pytest-benchmark (`--benchmark-compare-fail=median:5%`), once interleaved as they are, and once as it is used: the base
of one trial against the head of the next of that slow-down, two runs some minutes apart. Every trial is a line of the
run file, so that an interrupted experiment goes on with `--resume`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mcnbench import experiment, machine, runfile
from mcnbench.compare import gate
from mcnbench.compare.decision import Offsets
from mcnbench.compare.interleave import Times, Workload, launch
from mcnbench.compare.revisions import Version
from mcnbench.errors import BadInput, NothingDone
from reports import schema
from reports.runfile import RunFile


class Power(BaseModel):
    """The keys of a file of kind "gate-power"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    title: str = ""
    backend: str
    network: str
    batch: int = Field(ge=1)
    max_slowdown: float = Field(gt=0)
    slowdowns: tuple[float, ...]
    trials: tuple[int, ...]
    """How many of each slow-down; 0.0 is identical code."""
    seconds: float = Field(gt=0)
    """Of a trial, launches included, confirmation not."""
    replicates: int = Field(ge=2)
    """At most, in a trial."""
    seed: int = 0


def run(name: str, content: dict[str, Any], given: dict[str, Any], quick: bool, out: Path) -> None:
    """All trials, into a new run file."""
    refused = [key for key in given if key != "seed"]
    if refused or quick:
        raise BadInput(f"experiment '{name}' knows only --seed and --out, got {', '.join(refused) or 'quick'}")
    settings = experiment.check(Power, content | given, f"experiment '{name}'")
    first = runfile.first_line("gate-power", settings.model_dump(mode="json"))
    with runfile.Writer.create(out, first) as writer:
        _go_on(settings, (), writer)
    _finish(out)


def resume(begun: RunFile, given: dict[str, Any]) -> None:
    """The trials that are not in the file yet, with the settings that are."""
    settings = experiment.check(Power, begun.run.settings, f"run file '{begun.path}'")
    if len(begun.trials) >= sum(settings.trials):
        raise NothingDone(f"'{begun.path}' has all of its {len(begun.trials)} trials: nothing is left to run")
    with runfile.Writer.resume(begun.path, runfile.command()) as writer:
        _go_on(settings, begun.trials, writer)
    _finish(begun.path)


def _go_on(settings: Power, done: Sequence[schema.Trial], writer: runfile.Writer) -> None:
    here = Version("this version", Path.cwd(), sys.executable, search=Path.cwd())
    workload = Workload(settings.backend, network=settings.network, batch=settings.batch, seed=settings.seed)
    plan = np.repeat(settings.slowdowns, settings.trials)
    np.random.default_rng(settings.seed).shuffle(plan)
    for number, slowdown in enumerate(plan):
        if number < len(done):
            continue
        trial = _trial(settings, workload, here, number, float(slowdown))
        writer.write(trial)
        click.echo(
            f"trial {number + 1} of {len(plan)}: {slowdown:.0%} slower, {trial.decision} "
            f"after {trial.replicates} replicates, {trial.seconds:.0f} s",
            err=True,
        )


def _trial(settings: Power, workload: Workload, here: Version, number: int, slowdown: float) -> schema.Trial:
    times = Times()
    rng = np.random.default_rng([settings.seed, number])
    start = time.monotonic()
    found = gate.decide(
        partial(launch, workload, here, here, rng, slowdown, times),
        settings.max_slowdown,
        Offsets(),
        settings.seconds,
        settings.replicates,
    )
    return schema.Trial(
        case=f"gate-power/{workload.name}",
        backend=workload.backend,
        trial=number,
        slowdown=slowdown,
        decision=found.decision,
        reason=found.reason,
        effect=None if found.estimate is None else found.estimate.effect,
        standard_error=None if found.estimate is None else found.estimate.error,
        replicates=len(found.evidence.replicates),
        launches=found.evidence.launches,
        seconds=time.monotonic() - start,
        median_ns={
            side: int(np.median(ns)) if ns else None for side, ns in (("base", times.base), ("head", times.head))
        },
        load=machine.describe()["load"],
    )


def _finish(path: Path) -> None:
    from reports import text
    from reports.parts import gate as part

    found = part.power([runfile.read(path)])
    assert found is not None
    click.echo(text.as_text(found.table))
    click.echo(f"\nrun file: {path}", err=True)
