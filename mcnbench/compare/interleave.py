"""Launches both versions of a workload and measures replicates of them, turn by turn."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mcnbench import ROOT
from mcnbench.arrays import Float64
from mcnbench.compare import side
from mcnbench.compare.gate import Replicate
from mcnbench.compare.revisions import Version
from mcnbench.measure import environment
from mcnbench.measure.process import Worker, WorkerFailed

SECONDS = 2.5
"""Rounds of one replicate: short, so that the offset of a process is drawn often."""
LIMIT = 120.0
"""Seconds that a worker may take to answer."""
BUSY = 0.4
"""With several threads, a replicate does not count if some task waited for a core in more than this part of it: threads
that spin at a barrier while another is preempted measure the machine, not the code."""


@dataclass(frozen=True)
class Workload:
    """What is timed on one backend: a training step of a network, or a block forward and backward."""

    backend: str
    network: str = ""
    case: str = ""
    batch: int = 1
    threads: int = 1
    seed: int = 0

    @property
    def name(self) -> str:
        """As it stands in the table."""
        return f"{self.network} batch {self.batch}" if self.network else self.case


@dataclass
class Times:
    """Where `launch` leaves all step times, in nanoseconds, if asked to."""

    base: list[int] = field(default_factory=list)
    head: list[int] = field(default_factory=list)


class Failed(Exception):
    """A version cannot run the workload: which, and why."""

    def __init__(self, which: str, why: str) -> None:
        super().__init__(why)
        self.which = which


@contextmanager
def launch(
    workload: Workload,
    base: Version,
    head: Version,
    rng: np.random.Generator,
    busy: float = 0.0,
    times: Times | None = None,
) -> Iterator[Replicate]:
    """Starts both versions afresh, in random order, single-threaded ones on the same randomly chosen core; `busy` slows
    head down by that fraction, to test the gate itself."""
    cores = sorted(os.sched_getaffinity(0))
    pinned = [int(rng.choice(cores))] if workload.threads == 1 else cores
    versions = {"base": base, "head": head}
    with ExitStack() as stack:
        sides: dict[str, Worker] = {}
        for which in _shuffled(rng):
            sides[which] = stack.enter_context(opened(which, workload, versions[which], pinned))

        def replicate() -> Float64 | None:
            return _replicate(sides, workload.threads, rng, busy, times or Times())

        yield replicate


@contextmanager
def opened(which: str, workload: Workload, version: Version, cores: list[int]) -> Iterator[Worker]:
    """A process of the version on those cores, ready for the workload."""
    variables = dict(environment.clean(os.environ, workload.threads).variables)
    variables.pop("PYTHONPATH", None)
    if version.search:
        variables["PYTHONPATH"] = f"{version.search}{os.pathsep}{ROOT}"
    program = [version.python, "-P", str(Path(side.__file__).resolve())]
    with Worker(variables, cores, program=program, folder=version.folder) as worker:
        ask(which, worker, "open", **asdict(workload))
        yield worker


def _replicate(
    sides: dict[str, Worker], threads: int, rng: np.random.Generator, busy: float, times: Times
) -> Float64 | None:
    step_ns = {}
    for which in _shuffled(rng):  # one after the other: warming both at once can take very long with several threads
        slowed = busy if which == "head" else 0.0
        step_ns[which] = ask(which, sides[which], "fork", busy=slowed)["step_ns"]
    steps = _steps_per_turn(max(step_ns.values()))
    ratios = []
    waited, start = _waited(), time.monotonic()
    while time.monotonic() - start < SECONDS:
        turns = {which: ask(which, sides[which], "turn", steps=steps)["ns"] for which in _shuffled(rng)}
        times.base += turns["base"]
        times.head += turns["head"]
        ratios.append(np.log(min(turns["head"]) / min(turns["base"])))
    share = (_waited() - waited) / (time.monotonic() - start)
    for which, worker in sides.items():
        ask(which, worker, "done")
    return None if threads > 1 and share > BUSY else np.array(ratios)


def _steps_per_turn(step_ns: int) -> int:
    return 10 if step_ns < 1_000_000 else 3 if step_ns < 50_000_000 else 1


def _shuffled(rng: np.random.Generator) -> list[str]:
    return ["base", "head"] if rng.integers(2) else ["head", "base"]


def ask(which: str, worker: Worker, what: str, **fields: object) -> dict[str, Any]:
    """The answer of base or head; raises Failed with the reason if there is none."""
    try:
        return worker.ask(what, LIMIT, **fields)
    except WorkerFailed as error:
        raise Failed(which, str(error)) from error


def _waited() -> float:
    """Seconds in which some task waited for a core, since the start (PSI); 0 where the system does not say."""
    try:
        some = Path("/proc/pressure/cpu").read_text().splitlines()[0]
    except OSError:
        return 0.0
    return int(some.rpartition("total=")[2]) / 1e6
