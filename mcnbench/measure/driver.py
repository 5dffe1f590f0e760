"""The driver: visits a case with a fresh worker of every backend, in lock step, and writes all to the run file.

A visit: start all workers; hold each one's first result on a small batch to the blocks' bounds; warm up one after the
other; then rounds, in each of which every backend has one turn, in random order, so that drift of a shared machine hits
all alike; peak memory; and the check again on fresh data. Only one worker works at a time while anything is timed.
What a worker does wrong ends that worker, becomes the error of its measurement, and the others go on.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mcnbench import runfile
from mcnbench.measure import device, precision
from mcnbench.measure.budget import Budget
from mcnbench.measure.crew import Crew, Member
from mcnbench.measure.judging import Check, Judge, both
from mcnbench.measure.process import Worker, WorkerFailed
from mcnbench.measure.progress import Report
from mcnbench.network import Network
from reports import runfile as schema

STEPS_A_TURN = ((50e6, 1), (1e6, 3), (0.0, 10))
"""Steps of at least so many ns: so many a turn. A turn's first step finds cold caches; of several it is the odd one."""

ROUNDS_BETWEEN_LOOKS = 10
"""Whether a case is known well enough is asked after so many rounds, as often looking finds luck."""


@dataclass(frozen=True)
class Case:
    """One network at one batch size, and what its workers are told."""

    name: str
    network: Network
    batch: int
    flops: int
    build: Mapping[str, Any]
    """The fields of the workers' "build" request."""


@dataclass
class Contestant:
    """One backend in a visit: its worker and what it did so far."""

    launch: schema.Launch
    worker: Worker
    member: Member
    samples: list[int] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    warmup: list[int] = field(default_factory=list)
    verified: schema.Verified = field(default_factory=schema.Verified)
    peak: int | None = None
    details: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    """What the worker failed of."""
    wrong: bool = False
    several: bool = False
    """Whether the backend has variants (memory formats), of which the faster one is found by trying."""
    building: bool = False

    def conclude(self, found: schema.Verified, fresh: bool) -> None:
        """Adds what a check found, whose verdict is `before`, to what the check before the timing found."""
        self.wrong = found.before != "HOLDS"
        self.verified = both(self.verified, found, fresh)

    def measurement(self) -> schema.Measurement:
        return schema.Measurement(
            **_fields(self.launch),
            samples_ns=self.samples,
            round=self.rounds,
            warmup_ns=self.warmup,
            verified=self.verified,
            peak_bytes=self.peak,
            details=self.details,
            error=self.error,
        )


@dataclass
class Driver:
    """What all visits of a run share."""

    backends: Sequence[str]
    crew: Crew
    judge: Judge
    threads: int
    device: str
    dtype: str
    seed: int
    time_limit: float
    """Seconds that a worker may take for one answer."""
    check: Check
    peer: str
    precision: float
    """Relative half width of an interval at which a ratio is known well enough."""
    writer: runfile.Writer
    budget: Budget
    report: Report
    variants: dict[tuple[str, str], str] = field(default_factory=dict)
    """The faster variant (memory format) of a backend on a case, once tried."""

    def visit(self, case: Case, launch: int) -> list[schema.Measurement]:
        """Measures the case once more; returns, and writes, one measurement for each backend."""
        order = random.Random(f"{self.seed} {case.name} {launch}")
        self._doing(case, "starting")
        with ExitStack() as stack:
            contestants = [
                Contestant(self._launch(case, member.backend, launch), stack.enter_context(member.worker), member)
                for member in self.crew.take()
            ]
            self._build(case, contestants)
            began = time.monotonic()
            self._verify(case, _alive(contestants), fresh=False)
            closing = time.monotonic() - began
            for contestant in contestants:
                self.writer.write(contestant.launch)
            for contestant in _alive(contestants):
                self._doing(case, f"warming up {contestant.launch.backend}")
                self._attempt(contestant, self._warm_up)
            seconds, done = self._rounds(case, contestants, order, closing)
            for contestant in _alive(contestants):
                self._attempt(contestant, self._peak)
            self.crew.prepare()
            self._verify(case, _alive(contestants), fresh=True)
        measurements = [contestant.measurement() for contestant in contestants]
        for measurement in measurements:
            self.writer.write(measurement)
        self.budget.leave(case.name, done, seconds)
        return measurements

    def leave_out(self, case: Case, launch: int, reason: str) -> None:
        """Writes that the case was not measured, so that it does not just look forgotten."""
        for backend in self.backends:
            self.writer.write(
                schema.Measurement(
                    **_fields(self._launch(case, backend, launch)), samples_ns=[], round=[], error=reason
                )
            )

    def _launch(self, case: Case, backend: str, launch: int) -> schema.Launch:
        return schema.Launch(
            case=case.name,
            network=case.network.name,
            backend=backend,
            device=self.device,
            batch=case.batch,
            dtype=self.dtype,
            threads=self.threads,
            images=case.batch,
            flops=case.flops,
            launch=launch,
        )

    def _build(self, case: Case, contestants: list[Contestant]) -> None:
        """All begin to build at once, but those that time their variants (memory formats): these build alone, after the
        others are done. Only a hasty check lets them build while others are recorded and judged."""
        self._doing(case, "building")
        alone = []
        for contestant in contestants:
            self._attempt(contestant, self._greet)
            key = case.name, contestant.launch.backend
            if contestant.several and key not in self.variants and not self.check.hasty:
                alone.append(contestant)
            elif contestant.error is None:
                self._attempt(contestant, partial(self._begin_to_build, case))
        if self.check.hasty:
            return
        for contestant in _alive(contestants):
            if contestant not in alone:
                self._attempt(contestant, partial(self._built, case))
        for contestant in _alive(alone):
            self._attempt(contestant, partial(self._begin_to_build, case))
            self._attempt(contestant, partial(self._built, case))

    def _greet(self, contestant: Contestant) -> None:
        answer = contestant.member.hello(self.time_limit)
        contestant.several = answer["several"]
        contestant.launch = contestant.launch.model_copy(update={"receipt": answer["receipt"]})

    def _begin_to_build(self, case: Case, contestant: Contestant) -> None:
        variant = self.variants.get((case.name, contestant.launch.backend))
        contestant.worker.send("build", **case.build, variant=variant)
        contestant.building = True

    def _built(self, case: Case, contestant: Contestant) -> None:
        if not contestant.building:
            return
        contestant.building = False
        answer = contestant.worker.receive(self.time_limit)
        if answer["variant"] is not None:
            self.variants[case.name, contestant.launch.backend] = answer["variant"]
            receipt = f"{contestant.launch.receipt}, {answer['variant']}"
            contestant.launch = contestant.launch.model_copy(update={"receipt": receipt})

    def _verify(self, case: Case, contestants: list[Contestant], fresh: bool) -> None:
        """Holds every worker's step on a small batch to the bounds; a wrong or failing worker goes no further.
        One step is judged while the next is recorded."""
        again = " again" if fresh else ""
        with tempfile.TemporaryDirectory(prefix="mcnbench-") as scratch:
            recorded = []
            for number, contestant in enumerate(contestants):
                self._doing(case, f"checking {contestant.launch.backend}{again}")
                folder = Path(scratch, str(number))
                folder.mkdir()
                self._attempt(contestant, partial(self._built, case))
                if contestant.error is not None:
                    continue
                try:
                    self._ask(
                        contestant, "record", folder=str(folder), seed=self.seed + 1 + fresh, images=self.check.images
                    )
                except WorkerFailed as error:
                    contestant.error = str(error)
                    contestant.conclude(schema.Verified(before="ERROR", message=str(error)), fresh)
                    continue
                self.judge.send(case.build["network_name"], folder, whole=not (fresh and self.check.hasty))
                recorded.append(contestant)
            for contestant in recorded:
                contestant.conclude(self.judge.receive(), fresh)
            self.judge.rest()

    def _warm_up(self, contestant: Contestant) -> None:
        contestant.warmup = self._ask(contestant, "warm_up")["ns"]

    def _turn(self, number: int, steps: int, contestant: Contestant) -> None:
        launch = contestant.launch
        for ns in self._ask(contestant, "steps", count=steps)["ns"]:
            contestant.samples.append(ns)
            contestant.rounds.append(number)
            sample = schema.Sample(case=launch.case, backend=launch.backend, launch=launch.launch, round=number, ns=ns)
            self.writer.write(sample)

    def _peak(self, contestant: Contestant) -> None:
        answer = self._ask(contestant, "peak")
        contestant.peak, contestant.details = answer["bytes"], answer["details"]
        if reasons := device.slowed(contestant.details.get("device", {})):
            self.report.say(f"note: {contestant.launch.backend} ran with clocks held back: {', '.join(reasons)}")

    def _rounds(
        self, case: Case, contestants: list[Contestant], order: random.Random, closing: float
    ) -> tuple[float, int]:
        """Round after round while there is time; the seconds of the last one and their number."""
        steps = steps_a_turn([c.warmup[-1] for c in _alive(contestants)])
        done, seconds = 0, 0.0
        while _alive(contestants) and self.budget.another_round(done, seconds, closing):
            began = time.monotonic()
            turns = _alive(contestants)
            order.shuffle(turns)
            for contestant in turns:
                self._doing(case, f"round {done + 1}, {contestant.launch.backend}")
                self._attempt(contestant, partial(self._turn, done, steps))
            seconds, done = time.monotonic() - began, done + 1
            if done % ROUNDS_BETWEEN_LOOKS == 0 and self._known(contestants):
                break
        return seconds, done

    def _known(self, contestants: list[Contestant]) -> bool:
        found = [contestant.measurement() for contestant in _alive(contestants)]
        return precision.least_known(found, self.peer) <= self.precision

    def _ask(self, contestant: Contestant, what: str, **fields: Any) -> dict[str, Any]:
        return contestant.worker.ask(what, self.time_limit, **fields)

    def _attempt(self, contestant: Contestant, action: Callable[[Contestant], None]) -> None:
        """Does it, and records the failure if the worker fails."""
        try:
            action(contestant)
        except WorkerFailed as error:
            contestant.error = str(error)

    def _doing(self, case: Case, what: str) -> None:
        self.report.doing(f"{case.network.name}, batch {case.batch}: {what}", self.budget.left())


def _fields(launch: schema.Launch) -> dict[str, Any]:
    return launch.model_dump(exclude={"kind"})


def _alive(contestants: list[Contestant]) -> list[Contestant]:
    return [contestant for contestant in contestants if contestant.error is None and not contestant.wrong]


def steps_a_turn(warm: list[int]) -> int:
    """How many steps of so many nanoseconds are taken in a row."""
    shortest = min(warm, default=0)
    return next(steps for ns, steps in STEPS_A_TURN if shortest >= ns)
