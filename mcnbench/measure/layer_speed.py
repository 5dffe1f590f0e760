"""The experiment kind "layer-speed": every layer of a network by itself, forward and backward, ours beside torch's.

One worker per backend takes all layers in turn, in lock step as training-speed does, with inputs drawn at random and
the memory layout (NCHW or NHWC) that suits each backend's block. Each result is held to the block's bounds on one
image, before and, on fresh data, after the timing. Backward is all gradients of the block, also those of the images.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from mcnbench import blocks, network, runfile
from mcnbench.case import Case
from mcnbench.errors import BadInput
from mcnbench.measure import block_timing, environment, layers, surroundings
from mcnbench.measure.budget import ROUNDS
from mcnbench.measure.crew import Crew, Member
from mcnbench.measure.judging import LATE
from mcnbench.measure.process import Worker, WorkerFailed
from mcnbench.measure.progress import Report
from mcnbench.measure.settings import Settings, read
from reports import schema
from reports.runfile import RunFile

KIND = "layer-speed"
SECONDS_A_TURN = 0.02
"""Short layers are timed several times a turn, so that a turn is not over before the caches are warm."""


@dataclass
class Contestant:
    """One backend on one layer."""

    member: Member
    samples: dict[str, list[int]] = field(default_factory=lambda: {d: [] for d in block_timing.DIRECTIONS})
    rounds: dict[str, list[int]] = field(default_factory=lambda: {d: [] for d in block_timing.DIRECTIONS})
    layout: str = ""
    normwise_factor: float | None = None
    precision: str = "float32"
    worst: list[tuple[float, str]] = field(default_factory=list)
    """Of the check before and the check after: the worst error over its bound, and of which array."""
    error: str | None = None

    def verified(self) -> schema.Verified:
        words: list[schema.Verdict | None] = ["HOLDS" if ratio <= 1 else "VIOLATED" for ratio, _ in self.worst]
        before, after, *_ = [*words, None, None]
        bad = [f"{name}: error / bound {ratio:.3g}" for ratio, name in self.worst if not ratio <= 1]
        ratio = max((ratio for ratio, _ in self.worst), default=None)
        message = f"{LATE if before == 'HOLDS' else ''}{bad[0]}" if bad else None
        return schema.Verified(before=before, after=after, error_ratio=ratio, message=message)


def run(name: str, content: dict[str, Any], given: dict[str, Any], quick: bool, path: Path) -> None:
    """Measures all layers of the networks into a new run file, and prints the table."""
    settings = read(name, content, given, quick)
    if settings.device != "cpu":
        raise BadInput(f"device '{settings.device}' is not available: layer-speed measures on 'cpu' only so far")
    for each in settings.networks:
        network.load(each)  # a mistake is told before anything is measured
    runfile.refuse_existing(path)
    workers = environment.clean(os.environ, settings.threads, settings.inherit_env)
    start = partial(Worker, workers.variables, surroundings.cores(settings.threads))
    first = surroundings.first_line(KIND, workers, settings.threads, settings.model_dump())
    with (
        surroundings.interruptible(path),
        Report(settings.budget) as report,
        Crew(settings.backends, start, settings.threads) as crew,
    ):
        surroundings.say_what_is_odd(workers, first.machine, report)
        crew.check(settings.time_limit)
        with runfile.Writer.create(path, first) as writer:
            _measure(settings, crew, start, writer, report)
    _conclude(path, settings.peer)


def resume(begun: RunFile, given: dict[str, Any]) -> None:
    """Layers are measured in minutes, and all in one run so that they can be compared: there is nothing to resume."""
    raise BadInput(f"'{begun.path}' is a run of {KIND}, which is not resumed; start a new run")


def _measure(settings: Settings, crew: Crew, start: Any, writer: runfile.Writer, report: Report) -> None:
    with start() as worker:
        limit = worker.ask(
            "limit", settings.time_limit, threads=settings.threads, seconds=surroundings.LIMIT_SECONDS, device="cpu"
        )
        limit |= worker.ask(
            "memory_limit", settings.time_limit, threads=settings.threads, seconds=surroundings.LIMIT_SECONDS / 4
        )
    writer.write(schema.Limit(device="cpu", dtype=settings.dtype, threads=settings.threads, **limit))
    product, memory = limit["flops_per_second"] / 1e9, limit["bytes_per_second"] / 1e9
    report.say(f"matrix products reach {product:.0f} GFLOP/s, copies of large arrays {memory:.0f} GB/s")
    every = [
        (network.load(name), layer, case)
        for name in settings.networks
        for layer, case in layers.cases(
            network.load(name), settings.batch_of(network.load(name)), settings.dtype, settings.seed
        ).items()
    ]
    end = time.monotonic() + settings.budget
    with ExitStack() as stack:
        members = crew.take()
        for member in members:
            stack.enter_context(member.worker)
        for i, (net, layer, case) in enumerate(every):
            share = (end - time.monotonic()) / (len(every) - i)
            report.doing(f"{net.name}/{layer}", end - time.monotonic())
            _layer(settings, [Contestant(member) for member in members], net, layer, case, share, writer, report)


def _layer(
    settings: Settings,
    contestants: list[Contestant],
    net: network.Network,
    layer: str,
    case: Case,
    seconds: float,
    writer: runfile.Writer,
    report: Report,
) -> None:
    """Checks, times and checks again one layer on all backends, in about so many seconds, two rounds at least."""
    end = time.monotonic() + seconds
    for contestant in contestants:
        _attempt(contestant, partial(_prepare, settings, case))
    _check(settings, contestants, case, seed=settings.seed + 1)
    checking = max(0.0, seconds - (end - time.monotonic())) / 2
    order = np.random.default_rng([settings.seed, *f"{net.name} {layer}".encode()])
    done = 0
    while _alive(contestants) and (done < ROUNDS or time.monotonic() < end - checking):
        turns = _alive(contestants)
        for place in order.permutation(len(turns)):
            _attempt(turns[place], partial(_turn, settings, done))
        done += 1
    _check(settings, _alive(contestants), case, seed=settings.seed + 2)
    for direction in block_timing.DIRECTIONS:
        for contestant in contestants:
            writer.write(_measurement(settings, contestant, net, layer, case, direction))
    report.done(f"{net.name}/{layer}: {done} rounds", 0.0)


def _prepare(settings: Settings, case: Case, contestant: Contestant) -> None:
    answer = contestant.member.worker.ask("block", settings.time_limit, case=str(case))
    contestant.layout, contestant.precision = answer["layout"], answer["precision"]
    contestant.normwise_factor = answer["normwise_factor"]


def _turn(settings: Settings, number: int, contestant: Contestant) -> None:
    answer = contestant.member.worker.ask("block_turn", settings.time_limit, seconds=SECONDS_A_TURN)
    for direction in block_timing.DIRECTIONS:
        contestant.samples[direction] += answer[direction]
        contestant.rounds[direction] += [number] * len(answer[direction])


def _check(settings: Settings, contestants: Sequence[Contestant], case: Case, seed: int) -> None:
    """Holds y and the gradients of one image to the bounds; the oracle is computed once for all backends."""
    one = block_timing.with_images(Case(case.block, case.shapes, case.given, case.dtype, case.data, seed), 1)
    judged: dict[str, block_timing.Judged] = {}
    for contestant in [c for c in contestants if c.error is None]:
        with tempfile.TemporaryDirectory(prefix="mcnbench-") as folder:

            def look(contestant: Contestant, folder: str = folder) -> None:
                contestant.member.worker.ask("block_record", settings.time_limit, case=str(one), folder=folder)
                if contestant.precision not in judged:
                    judged[contestant.precision] = block_timing.Judged(one, contestant.precision)
                found = judged[contestant.precision].worst(Path(folder), contestant.normwise_factor)
                contestant.worst.append(found)

            _attempt(contestant, look)


def _attempt(contestant: Contestant, action: Any) -> None:
    if contestant.error is None:
        try:
            action(contestant)
        except WorkerFailed as error:
            contestant.error = str(error)


def _alive(contestants: Sequence[Contestant]) -> list[Contestant]:
    return [c for c in contestants if c.error is None and all(ratio <= 1 for ratio, _ in c.worst)]


def _measurement(
    settings: Settings, contestant: Contestant, net: network.Network, layer: str, case: Case, direction: str
) -> schema.Measurement:
    work = blocks.block(case.block).work(case.shapes, case.options)
    images = case.shapes[0][0] if case.shapes[0] else 0
    member = contestant.member
    receipt = f"{member.answer['receipt'] if member.answer else ''}, {contestant.layout} in memory"
    forward_only = contestant.error is None and not contestant.samples[direction] and direction == "backward"
    return schema.Measurement(
        case=f"{KIND}/{net.name}/{layer}/{direction}",
        network=net.name,
        backend=member.backend,
        device="cpu",
        batch=images,
        dtype=settings.dtype,
        threads=settings.threads,
        images=images,
        flops=work.forward_flops if direction == "forward" else work.backward_flops,
        launch=0,
        receipt=receipt,
        samples_ns=contestant.samples[direction],
        round=contestant.rounds[direction],
        verified=contestant.verified(),
        details={"bytes": work.forward_bytes if direction == "forward" else work.backward_bytes},
        error="the backend is forward only" if forward_only and not contestant.worst else contestant.error,
    )


def _conclude(path: Path, peer: str) -> None:
    from reports import frames, layers, text

    table = layers.layer_speed(frames.samples([runfile.read(path)]), peer)
    click.echo(text.as_text(table))
    surroundings.conclude(path, table["state"] == "ok", what="layer")
