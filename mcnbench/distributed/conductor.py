"""The conductor: visits a network on a backend with all numbers of workers in lock step, and writes what it measures.

A visit: start a team of ranks for each number of workers; hold the first step of its rank 0 to the blocks' bounds, the
sum over its ranks to what one process finds, and its ranks' parameters to each other; warm up; then rounds, in each of
which every team has one turn, in random order; the checks again on fresh data; and last, with nothing to be kept right,
how long the sums take by themselves, and steps with and without them. Only one team works at a time.
A rank that fails ends its team, becomes the error of its case, and the other teams go on.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mcnbench import runfile
from mcnbench.distributed import pinning
from mcnbench.distributed.team import Member, RankFailed, Team
from mcnbench.measure import precision
from mcnbench.measure.budget import Budget
from mcnbench.measure.judging import Check, Judge
from mcnbench.measure.outcome import Outcome
from mcnbench.measure.progress import Report
from mcnbench.measure.rounds import in_rounds
from mcnbench.network import Network
from reports import schema
from reports.runfile import RunFile

SIZES = [1 << 12, 1 << 16, 1 << 20, 1 << 24, 1 << 26]
"""Bytes of the all-reduces from which latency and bandwidth are found."""

REPEATS = 5

PAIRS = 4
"""Steps with and without sums."""

WARM_STEPS = 1


@dataclass(frozen=True)
class Group:
    """One network at one batch on one backend, with all numbers of workers."""

    network_name: str
    network: Network
    backend: str
    batch: int
    sub_batch: int

    @property
    def name(self) -> str:
        return f"{self.network.name} on {self.backend}"

    def case(self, workers: int) -> str:
        return f"multi-gpu/{self.network.name}/{workers}"

    def of(self, begun: RunFile) -> list[schema.Measurement]:
        """Its measurements in a run file."""
        return [m for m in begun.measurements if (m.network, m.backend) == (self.network.name, self.backend)]


@dataclass
class Entry(Outcome):
    """One number of workers in a visit: its team, and what it did so far."""

    team: Team


@dataclass
class Conductor:
    """What all visits of a run share. `start(workers, rank)` starts a rank's process."""

    start: Callable[[int, int], Member]
    address: str
    workers: Sequence[int]
    threads: int
    device: Literal["cpu", "cuda"]
    dtype: str
    seed: int
    images: str | None
    time_limit: float
    check: Check
    judge: Judge
    precision: float
    writer: runfile.Writer
    budget: Budget
    report: Report
    variants: dict[str, str] = field(default_factory=dict)
    """The faster variant (memory format) of a backend on a network, once tried."""

    def visit(self, group: Group, launch: int) -> list[schema.Measurement]:
        """Measures the group once more; returns, and writes, one measurement for each number of workers."""
        order = random.Random(f"{self.seed} {group.name} {launch}")
        self._doing(group, "starting")
        with ExitStack() as stack:
            entries = []
            for n in self.workers:
                team = stack.enter_context(Team(partial(self.start, n), n))
                entries.append(Entry(team, launch=self._launch(group, n, launch)))
            for entry in entries:
                self._attempt(entry, partial(self._build, group))
            began = time.monotonic()
            self._verify(group, entries, fresh=False)
            closing = time.monotonic() - began
            for entry in entries:
                self.writer.write(entry.launch)
                self._attempt(entry, self._warm_up)
            turn = partial(self._turn, group)
            seconds, done = in_rounds(entries, turn, self._known, self.budget, order, closing)
            for entry in entries:
                self._attempt(entry, self._peak)
            self._verify(group, entries, fresh=True)
            for entry in entries:
                self._doing(group, f"{entry.team.ranks} workers: communication")
                self._attempt(entry, self._communication)
        measurements = [entry.measurement() for entry in entries]
        for measurement in measurements:
            self.writer.write(measurement)
        self.budget.leave(group.name, done, seconds)
        return measurements

    def leave_out(self, group: Group, launch: int, reason: str) -> None:
        """Writes that the group was not measured, so that it does not just look forgotten."""
        for n in self.workers:
            left_out = Outcome(launch=self._launch(group, n, launch), error=reason)
            self.writer.write(left_out.measurement())

    def _launch(self, group: Group, workers: int, launch: int) -> schema.Launch:
        return schema.Launch(
            case=group.case(workers),
            network=group.network.name,
            backend=group.backend,
            device=self.device,
            batch=group.batch,
            dtype=self.dtype,
            threads=self.threads,
            workers=workers,
            images=group.batch,
            flops=group.network.flops(group.batch),
            launch=launch,
        )

    def _build(self, group: Group, entry: Entry) -> None:
        """The ranks load the backend, meet, and make the network and their shares of the inputs."""
        team, ranks = entry.team, entry.team.ranks
        receipt = team.ask("hello", self.time_limit, backend=group.backend, threads=self.threads)[0]["receipt"]
        about: dict[str, Any] = {
            "network_name": group.network_name,
            "dtype": self.dtype,
            "seed": self.seed,
            "images": self.images,
        }
        if group.name not in self.variants:
            (found,) = team.ask_each([("choose", {**about, "batch": group.sub_batch})], self.time_limit)
            self.variants[group.name] = found["variant"]
        variant = self.variants[group.name]
        port = team.ask_each([("open", {"address": self.address})], self.time_limit)[0]["port"] if ranks > 1 else 0
        joined = team.ask(
            "join",
            self.time_limit,
            [{"rank": rank} for rank in range(ranks)],
            ranks=ranks,
            address=self.address,
            port=port,
            device=self.device,
            seconds=2 * self.time_limit,  # the harness ends a rank that hangs before the others give up
        )
        shared = team.ask(
            "share", self.time_limit, **about, batch=group.batch, sub_batch=group.sub_batch, variant=variant
        )
        entry.details = {
            "ranks": [a | b for a, b in zip(joined, shared, strict=True)],
            "notes": [note for note in (pinning.shared(_hosts(joined)), _dialect(group.network, ranks)) if note],
        }
        said = f"{receipt}, {variant}" if variant else receipt
        entry.launch = entry.launch.model_copy(update={"receipt": said})

    def _verify(self, group: Group, entries: Sequence[Entry], fresh: bool) -> None:
        """Holds every team to the blocks' bounds, to one process, and its ranks to each other."""
        with tempfile.TemporaryDirectory(prefix="mcnbench-") as scratch:
            recorded = []
            for entry in entries:
                if not entry.alive:
                    continue
                self._doing(group, f"checking {entry.team.ranks} workers{' again' if fresh else ''}")
                folder = Path(scratch, str(entry.team.ranks))
                folder.mkdir()
                self._attempt(entry, partial(self._checked, folder, self.seed + 1 + fresh))
                if entry.error is not None:
                    entry.conclude(schema.Verified(before="ERROR", message=entry.error), fresh)
                    continue
                self.judge.send(group.network_name, folder, whole=not (fresh and self.check.hasty))
                recorded.append(entry)
            for entry in recorded:
                entry.conclude(self.judge.receive(), fresh)
            self.judge.rest()

    def _checked(self, folder: Path, seed: int, entry: Entry) -> None:
        """Rank 0 records a step that all ranks take alone; then the sum over ranks; then whether all are equal."""
        team, about = entry.team, {"seed": seed, "images": self.check.images}
        others = [("follow", about)] * (team.ranks - 1)
        team.ask_each([("record", {**about, "folder": str(folder)}), *others], self.time_limit)
        if team.ranks > 1:
            found = team.ask("compare", self.time_limit, seed=seed)[0]
            entry.details.setdefault("compared", []).append(found)
        team.agree("digest", self.time_limit)

    def _warm_up(self, entry: Entry) -> None:
        answers = entry.team.ask("warm_steps", self.time_limit, count=WARM_STEPS)
        entry.warmup = _slowest([answer["ns"] for answer in answers])

    def _turn(self, group: Group, entry: Entry, number: int, steps: int) -> None:
        self._doing(group, f"round {number + 1}, {entry.team.ranks} workers")
        self._attempt(entry, partial(self._steps, number, steps))

    def _steps(self, number: int, steps: int, entry: Entry) -> None:
        answers = entry.team.ask("steps", self.time_limit, count=steps)
        for rank, answer in zip(entry.details["ranks"], answers, strict=True):
            rank.setdefault("samples_ns", []).extend(answer["ns"])
            rank.setdefault("sub_batch_ns", []).extend(answer["sub_batch_ns"])
        for ns in _slowest([answer["ns"] for answer in answers]):
            self.writer.write(entry.add(number, ns))

    def _known(self, entries: list[Entry]) -> bool:
        return width([entry.measurement() for entry in entries]) <= self.precision

    def _peak(self, entry: Entry) -> None:
        peaks = entry.team.ask("peak", self.time_limit)
        for rank, answer in zip(entry.details["ranks"], peaks, strict=True):
            rank["peak_bytes"] = answer["bytes"]
        entry.peak = max(answer["bytes"] for answer in peaks)

    def _communication(self, entry: Entry) -> None:
        """Sums by themselves, steps with and without them, all-reduces of several sizes; then the ranks part."""
        team = entry.team
        if not entry.alive:
            return
        if team.ranks > 1:
            ask = partial(team.ask, limit=self.time_limit)
            exchanged = ask("exchange", count=REPEATS)
            alone = ask("alone", count=PAIRS)
            reduced = ask("all_reduce", sizes=SIZES, count=REPEATS)
            entry.details["communication"] = {
                "bytes": exchanged[0]["bytes"],
                "buckets": exchanged[0]["buckets"],
                "exchange_ns": _slowest([answer["ns"] for answer in exchanged]),
                "whole_ns": _slowest([answer["whole_ns"] for answer in alone]),
                "alone_ns": _slowest([answer["alone_ns"] for answer in alone]),
                "all_reduce": [
                    {"bytes": size, "ns": _slowest([answer["ns"][i] for answer in reduced])}
                    for i, size in enumerate(SIZES)
                ],
            }
        team.ask("leave", self.time_limit)

    def _attempt(self, entry: Entry, action: Callable[[Entry], None]) -> None:
        """Does it if nothing failed yet, and records the failure if a rank fails."""
        if not entry.alive:
            return
        try:
            action(entry)
        except RankFailed as error:
            entry.error = str(error)
            self.report.say(f"{entry.launch.case} on {entry.launch.backend}: {error}")

    def _doing(self, group: Group, what: str) -> None:
        self.report.doing(f"{group.name}, batch {group.batch}: {what}", self.budget.left())


def width(measurements: Sequence[schema.Measurement]) -> float:
    """How well the ratios of time to that of the fewest workers are known: the relative half width of the widest."""
    fewest = min((m.workers for m in measurements), default=0)
    beside = [m for m in measurements if m.workers == fewest]
    more = {m.workers for m in measurements} - {fewest}
    if not more:
        return precision.width(np.array(list(precision.times(beside).values())))
    return max(precision.width(precision.ratios([m for m in measurements if m.workers == n], beside)) for n in more)


def _slowest(by_rank: Sequence[Sequence[int]]) -> list[int]:
    """A step is as long as its slowest rank's."""
    return [max(ns) for ns in zip(*by_rank, strict=True)]


def _hosts(joined: Sequence[dict[str, Any]]) -> dict[str, list[list[int]]]:
    """The cores of each rank, by host."""
    hosts: dict[str, list[list[int]]] = {}
    for answer in joined:
        hosts.setdefault(answer["host"], []).append(answer["cores"])
    return hosts


def _dialect(network: Network, workers: int) -> str | None:
    if workers == 1 or not any(layer.block == "batch_norm" for layer in network.layers):
        return None
    return "batch normalisation takes its moments over each worker's sub-batch, as MatConvNet and PyTorch do"
