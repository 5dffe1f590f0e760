"""The driver: visits a case with a fresh worker of every backend, in lock step, and writes all to the run file.

A visit: start all workers; hold each one's first result on a small batch to the blocks' bounds; warm up one after the
other; then rounds, in each of which every backend has one turn, in random order, so that drift of a shared machine hits
all alike; peak memory; and the check again on fresh data. Only one worker works at a time while anything is timed.
What a worker does wrong ends that worker, becomes the error of its measurement, and the others go on.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mcnbench import runfile
from mcnbench.measure import device, precision
from mcnbench.measure.budget import Budget
from mcnbench.measure.crew import Crew, Member
from mcnbench.measure.judging import Check, Judge
from mcnbench.measure.outcome import Outcome
from mcnbench.measure.process import Worker, WorkerFailed
from mcnbench.measure.progress import Report
from mcnbench.measure.rounds import in_rounds
from mcnbench.network import Network
from reports import schema

IN_MEMORY = "/dev/shm"
"""A folder whose files are in memory, on Linux."""


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
class Contestant(Outcome):
    """One backend in a visit: its worker and what it did so far."""

    worker: Worker
    member: Member
    several: bool = False
    """Whether the backend has variants (memory formats), of which the faster one is found by trying."""
    building: bool = False


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
    coming: Mapping[str, Case] = field(default_factory=dict)
    """The case that is visited after the one of that name: workers begin to build it while a hasty check is judged."""
    _parameters: dict[str, tempfile.TemporaryDirectory[str]] = field(default_factory=dict)
    """The initial parameters of a case that is being built, which are drawn once for all workers if they fit there."""

    def visit(self, case: Case, launch: int) -> list[schema.Measurement]:
        """Measures the case once more; returns, and writes, one measurement for each backend."""
        order = random.Random(f"{self.seed} {case.name} {launch}")
        self._doing(case, "starting")
        with ExitStack() as stack:
            contestants = [
                Contestant(
                    stack.enter_context(member.worker), member, launch=self._launch(case, member.backend, launch)
                )
                for member in self.crew.take()
            ]
            self._build(case, contestants)
            began = time.monotonic()
            self._verify(case, _alive(contestants), fresh=False)
            if drawn := self._parameters.pop(case.name, None):
                drawn.cleanup()
            closing = time.monotonic() - began
            for contestant in contestants:
                self.writer.write(contestant.launch)
            for contestant in _alive(contestants):
                self._doing(case, f"warming up {contestant.launch.backend}")
                self._attempt(contestant, self._warm_up)
            turn = partial(self._turn, case)
            seconds, done = in_rounds(contestants, turn, self._known, self.budget, order, closing)
            for contestant in _alive(contestants):
                self._attempt(contestant, self._peak)
            if not self.check.hasty:
                self.crew.prepare()
            self._verify(case, _alive(contestants), fresh=True)
            if self.check.hasty and all(contestant.verified.holds for contestant in contestants):
                stack.pop_all()
                self.crew.keep([contestant.member for contestant in contestants])
        measurements = [contestant.measurement() for contestant in contestants]
        for measurement in measurements:
            self.writer.write(measurement)
        self.budget.leave(case.name, done, seconds)
        return measurements

    def leave_out(self, case: Case, launch: int, reason: str) -> None:
        """Writes that the case was not measured, so that it does not just look forgotten."""
        for backend in self.backends:
            left_out = Outcome(launch=self._launch(case, backend, launch), error=reason)
            self.writer.write(left_out.measurement())

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
        ahead, contestant.member.ahead = contestant.member.ahead, None
        if ahead not in (None, case.name):
            with suppress(WorkerFailed):
                contestant.worker.receive(self.time_limit)
        if ahead != case.name:
            self._send_build(case, contestant)
        contestant.building = True

    def _build_ahead(self, contestant: Contestant) -> None:
        following = self.coming.get(contestant.launch.case)
        if following is not None:
            with suppress(WorkerFailed):  # the next visit finds that it is dead
                self._send_build(following, contestant)
                contestant.member.ahead = following.name

    def _send_build(self, case: Case, contestant: Contestant) -> None:
        variant = self.variants.get((case.name, contestant.launch.backend))
        if case.name not in self._parameters and (place := self._place(case)) is not None:
            self._parameters[case.name] = tempfile.TemporaryDirectory(prefix="mcnbench-", dir=place)
        shared = self._parameters[case.name].name if case.name in self._parameters else None
        contestant.worker.send("build", **case.build, variant=variant, shared=shared)

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
        One step is judged while the next is recorded. After a hasty check they build what comes next meanwhile."""
        again = " again" if fresh else ""
        with tempfile.TemporaryDirectory(prefix="mcnbench-", dir=self._place(case)) as scratch:
            recorded = []
            places = [(contestant, Path(scratch, str(i))) for i, contestant in enumerate(contestants)]
            together = places if fresh and self.check.hasty else []
            for contestant, folder in together:
                self._begin_to_record(contestant, folder, fresh)
            for contestant, folder in places:
                self._doing(case, f"checking {contestant.launch.backend}{again}")
                self._attempt(contestant, partial(self._built, case))
                if contestant.error is not None:
                    continue
                try:
                    if not together:
                        self._begin_to_record(contestant, folder, fresh)
                    contestant.worker.receive(self.time_limit)
                except WorkerFailed as error:
                    contestant.error = str(error)
                    contestant.conclude(schema.Verified(before="ERROR", message=str(error)), fresh)
                    continue
                self.judge.send(case.build["network_name"], folder, whole=not (fresh and self.check.hasty))
                recorded.append(contestant)
                if fresh and self.check.hasty:
                    self._build_ahead(contestant)
            for contestant in recorded:
                contestant.conclude(self.judge.receive(), fresh)
            if not (fresh and self.check.hasty):  # then nothing is timed next
                self.judge.rest()

    def _begin_to_record(self, contestant: Contestant, folder: Path, fresh: bool) -> None:
        folder.mkdir()
        check = self.check
        with suppress(WorkerFailed):  # whoever receives the answer finds that it is dead
            contestant.worker.send(
                "record",
                folder=str(folder),
                seed=self.seed + 1 + fresh,
                images=check.images,
                share=check.share,
                sparse=check.hasty,
            )

    def _place(self, case: Case) -> str | None:
        """Where steps are recorded. Of a hasty check in memory, if there is room: a disk that is still being written to
        takes seconds to delete from."""
        needed = (1 + len(self.backends)) * case.network.step_bytes(self.check.images) // 2
        roomy = self.check.hasty and os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free > needed
        return IN_MEMORY if roomy else None

    def _warm_up(self, contestant: Contestant) -> None:
        contestant.warmup = self._ask(contestant, "warm_up")["ns"]

    def _turn(self, case: Case, contestant: Contestant, number: int, steps: int) -> None:
        self._doing(case, f"round {number + 1}, {contestant.launch.backend}")
        self._attempt(contestant, partial(self._steps, number, steps))

    def _steps(self, number: int, steps: int, contestant: Contestant) -> None:
        for ns in self._ask(contestant, "steps", count=steps)["ns"]:
            self.writer.write(contestant.add(number, ns))

    def _peak(self, contestant: Contestant) -> None:
        answer = self._ask(contestant, "peak")
        contestant.peak, contestant.details = answer["bytes"], answer["details"]
        if reasons := device.slowed(contestant.details.get("device", {})):
            self.report.say(f"note: {contestant.launch.backend} ran with clocks held back: {', '.join(reasons)}")

    def _known(self, contestants: list[Contestant]) -> bool:
        found = [contestant.measurement() for contestant in contestants]
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


def _alive(contestants: list[Contestant]) -> list[Contestant]:
    return [contestant for contestant in contestants if contestant.alive]
