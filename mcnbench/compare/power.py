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
from itertools import pairwise
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
from reports import runfile as schema


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
    first = schema.Run(
        experiment="gate-power",
        command=" ".join(sys.argv),
        started=runfile.now(),
        machine=machine.describe(),
        versions=machine.versions(),
        git=machine.git(),
        settings=settings.model_dump(mode="json"),
    )
    with runfile.Writer.create(out, first) as writer:
        _go_on(settings, (), writer)
    _finish(out)


def resume(begun: schema.RunFile, given: dict[str, Any]) -> None:
    """The trials that are not in the file yet, with the settings that are."""
    settings = experiment.check(Power, begun.run.settings, f"run file '{begun.path}'")
    if len(begun.trials) >= sum(settings.trials):
        raise NothingDone(f"'{begun.path}' has all of its {len(begun.trials)} trials: nothing is left to run")
    with runfile.Writer.resume(begun.path, " ".join(sys.argv)) as writer:
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
    trials = runfile.read(path).trials
    click.echo(table(trials))
    click.echo(f"\nrun file: {path}", err=True)


def alarms(base_ns: int | None, head_ns: int | None) -> bool:
    """Whether pytest-benchmark's own rule median:5% would fail the run."""
    from pytest_benchmark.utils import parse_compare_fail

    if base_ns is None or head_ns is None:
        return False
    rule = parse_compare_fail("median:5%")  # type: ignore[no-untyped-call]
    return bool(rule.fails({"median": head_ns}, {"median": base_ns}))


def table(trials: Sequence[schema.Trial]) -> str:
    """How often each decision was taken, per slow-down, and how often pytest-benchmark's rule would have alarmed."""
    rows = [f"{'slower by':>10} {'trials':>6} {'REGRESSED':>10} {'IMPROVED':>9} {'SAME':>6} {'AMBIGUOUS':>10} "
            f"{'seconds':>8} {'median:5%, same samples':>24} {'median:5%, two runs':>20}"]  # fmt: skip
    for slowdown in sorted({trial.slowdown for trial in trials}):
        some = [trial for trial in trials if trial.slowdown == slowdown]
        count = {name: sum(t.decision == name for t in some) for name in ("REGRESSED", "IMPROVED", "SAME", "AMBIGUOUS")}
        together = np.mean([alarms(t.median_ns["base"], t.median_ns["head"]) for t in some])
        pairs = [(a.median_ns["base"], b.median_ns["head"]) for a, b in pairwise(some)]
        apart = f"{np.mean([alarms(*pair) for pair in pairs]):.0%}" if pairs else ""
        seconds = np.mean([t.seconds for t in some])
        rows.append(
            f"{slowdown:>10.0%} {len(some):>6} {count['REGRESSED']:>10} {count['IMPROVED']:>9} {count['SAME']:>6} "
            f"{count['AMBIGUOUS']:>10} {seconds:>8.1f} {together:>24.0%} {apart:>20}"
        )
    return "\n".join(rows)
