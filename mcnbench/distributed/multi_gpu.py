"""The experiment kind "multi-gpu": data-parallel training steps by several numbers of workers, every time verified.

`run` begins one, `resume` goes on with what is missing in a run file; both end with the table on standard output.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Self

import click

from mcnbench import backends, duration, images, machine, network, runfile, training
from mcnbench.distributed import pinning
from mcnbench.distributed.conductor import Conductor, Group, width
from mcnbench.distributed.settings import Settings, read
from mcnbench.distributed.shares import shares
from mcnbench.distributed.team import Local, Member
from mcnbench.distributed.torchrun import Stations, joined
from mcnbench.errors import BadInput, NothingDone
from mcnbench.measure import environment, surroundings
from mcnbench.measure.budget import ROUNDS, Budget
from mcnbench.measure.judging import Judge
from mcnbench.measure.process import Worker
from mcnbench.measure.progress import Report
from mcnbench.measure.settings import some_time
from reports import schema
from reports.runfile import RunFile

KIND = "multi-gpu"

LOCALHOST = "127.0.0.1"


def run(name: str, content: dict[str, Any], given: dict[str, Any], quick: bool, path: Path) -> None:
    """Runs the experiment of that name and file content, changed by what the command line gave, into a new run file."""
    began = time.monotonic()
    place = joined()
    if place is not None and place.rank > 0:
        from mcnbench.distributed import station  # which needs torch

        station.serve()
        return
    settings = read(name, content, given, quick, place)
    groups = _groups(settings)
    runfile.refuse_existing(path)
    _refuse(settings, groups)
    workers = environment.clean(os.environ, settings.threads, settings.inherit_env)
    first = surroundings.first_line(KIND, workers, settings.threads, settings.model_dump())
    first = first.model_copy(update={"environment": first.environment | {"cores": pinning.allowed()}})
    with surroundings.interruptible(path), Report(settings.budget) as report:
        surroundings.say_what_is_odd(workers, first.machine, report)
        with Hall(settings, place) as hall, _judge(settings) as judge, runfile.Writer.create(path, first) as writer:
            _measure(settings, groups, {}, hall, judge, writer, report, began)
    _conclude(path)


def resume(begun: RunFile, given: dict[str, Any]) -> None:
    """Goes on with the groups of which a case is missing or failed, within the budget of the run or the one given."""
    began = time.monotonic()
    settings = Settings.model_validate(begun.run.settings)
    every = _groups(settings)
    groups = [group for group in every if not _complete(group, begun, settings)]
    if not groups:
        raise NothingDone(f"nothing left to run: '{begun.path}' has all of its {len(every)} networks and backends")
    surroundings.refuse_another_machine(begun)
    if "budget" in given:
        settings.budget = some_time(duration.seconds(given["budget"]))
    else:
        settings.budget *= len(groups) / len(every)
    workers = environment.clean(os.environ, settings.threads, settings.inherit_env)
    launches = {group.name: max((m.launch + 1 for m in group.of(begun)), default=0) for group in groups}
    with surroundings.interruptible(begun.path), Report(settings.budget) as report:
        surroundings.say_what_is_odd(workers, machine.describe(), report)
        with (
            Hall(settings, joined()) as hall,
            _judge(settings) as judge,
            runfile.Writer.resume(begun.path, runfile.command()) as writer,
        ):
            _measure(settings, groups, launches, hall, judge, writer, report, began)
    _conclude(begun.path)


class Hall:
    """Where the ranks are started: on this machine, or by the stations that torchrun started; these go on leaving."""

    def __init__(self, settings: Settings, place: Stations | None) -> None:
        self._about = (settings.threads, settings.device, settings.inherit_env)
        self._place, self._post = place, None
        self.address = LOCALHOST
        if place is not None:
            from mcnbench.distributed import station  # which needs torch

            self._post = station.Post(station.meet(), place)
            self._station = station
            self.address = place.address

    def start(self, workers: int, rank: int) -> Member:
        """A rank's process, one of so many workers."""
        if self._place is None or self._post is None:
            return Local.of(rank, workers, *self._about)
        if rank == 0:
            return Local.of(self._place.local_rank, self._place.local_ranks, *self._about)
        return self._station.Remote(self._post, rank, *self._about)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._post is not None:
            self._post.part()


def _groups(settings: Settings) -> list[Group]:
    found = []
    for name, backend in itertools.product(settings.networks, settings.backends):
        net = network.load(name)
        found.append(Group(name, net, backend, settings.batch_of(net), settings.sub_batch_of(net)))
    return found


def _refuse(settings: Settings, groups: list[Group]) -> None:
    """Raises BadInput for what the ranks would all fail of, before there is a file."""
    for backend in settings.backends:
        backends.receipt(backend)
    available = machine.memory_available()
    for group in groups:
        training.refuse_without_loss(group.network)
        images.crops(1, group.network.input, training.seeded(settings.seed, network.IMAGES), settings.images)
        needed = 0
        for workers in settings.workers:
            mine = min(group.sub_batch, shares(group.batch, workers)[0].stop)
            needed += workers * (group.network.step_bytes(mine) + surroundings.WORKER_BYTES)
        if settings.device == "cpu" and needed > available:
            raise BadInput(
                f"{group.network.name} with {' and '.join(map(str, settings.workers))} workers needs about "
                f"{needed / machine.GIB:.1f} GiB of memory, but {available / machine.GIB:.1f} GiB are available; give "
                "a smaller --sub-batch or fewer --workers"
            )


@contextmanager
def _judge(settings: Settings) -> Iterator[Judge]:
    """It has all cores: it judges while the ranks wait."""
    cores = machine.cores_allowed()
    variables = environment.clean(os.environ, cores, settings.inherit_env).variables
    with Judge(partial(Worker, variables), cores, settings.time_limit, settings.check.share) as judge:
        yield judge


def _measure(
    settings: Settings,
    groups: list[Group],
    launches: dict[str, int],
    hall: Hall,
    judge: Judge,
    writer: runfile.Writer,
    report: Report,
    began: float,
) -> None:
    """Visits every group once, then again where the efficiency is least known, until the budget is spent."""
    found = judge.limit(settings.threads, surroundings.LIMIT_SECONDS, settings.device)
    rate = found["flops_per_second"]
    writer.write(schema.Limit(device=settings.device, dtype=settings.dtype, threads=settings.threads, **found))
    predicted = {group.name: _predicted_seconds(group, settings, rate) for group in groups}
    budget = Budget(settings.budget - surroundings.END_SECONDS - (time.monotonic() - began), predicted)
    report.say(
        f"{len(groups)} group{'s' * (len(groups) > 1)} of {', '.join(map(str, settings.workers))} workers with "
        f"{settings.threads} thread{'s' * (settings.threads > 1)} each"
    )
    conductor = Conductor(
        start=hall.start,
        address=hall.address,
        workers=settings.workers,
        threads=settings.threads,
        device=settings.device,
        dtype=settings.dtype,
        seed=settings.seed,
        images=settings.images,
        time_limit=settings.time_limit,
        check=settings.check,
        judge=judge,
        precision=settings.precision,
        writer=writer,
        budget=budget,
        report=report,
    )
    done: dict[str, list[schema.Measurement]] = {group.name: [] for group in groups}

    def visit(group: Group) -> None:
        launch = launches.get(group.name, 0)
        launches[group.name] = launch + 1
        done[group.name] += conductor.visit(group, launch)
        report.done(_summary(group, done[group.name]), budget.left())

    def leave_out(group: Group) -> None:
        conductor.leave_out(group, launches.get(group.name, 0), surroundings.NOT_REACHED)

    missing = budget.spend(groups, visit, leave_out, lambda: _widths(done, settings))
    if missing:
        needed = duration.written(sum(budget.shortest(group.name) for group in missing))
        names = ", ".join(group.name for group in missing)
        report.say(f"no time was left for {names}, about {needed} more: mcnbench run --resume")


def _predicted_seconds(group: Group, settings: Settings, rate: float) -> float:
    """Of the shortest visit: starting, two checks, warm-up, two rounds, and steps alone, at half the machine's rate."""
    step = group.network.flops(group.batch) / (0.5 * rate)
    return surroundings.START_SECONDS + sum(
        surroundings.START_SECONDS + (3 + ROUNDS) * step / n for n in settings.workers
    )


def _widths(done: Mapping[str, list[schema.Measurement]], settings: Settings) -> dict[str, float]:
    """The groups whose efficiency is not known well enough, and how well it is; without those that failed."""
    widths = {}
    for name, found in done.items():
        good = [m for m in found if m.verified.holds and m.error is None]
        if good and len(good) == len(found):
            widths[name] = width(good)
    return {name: value for name, value in widths.items() if value > settings.precision}


def _summary(group: Group, measurements: list[schema.Measurement]) -> str:
    parts = []
    for workers in dict.fromkeys(m.workers for m in measurements):
        ours = [m for m in measurements if m.workers == workers]
        samples = [ns for m in ours if m.verified.holds and m.error is None for ns in m.samples_ns]
        if samples:
            parts.append(f"{workers}: {group.batch / median(samples) * 1e9:.2f} images/s")
        else:
            parts.append(f"{workers}: {ours[-1].error or f'WRONG: {ours[-1].verified.message}'}")
    return f"{group.name}, batch {group.batch}, workers {'; '.join(parts)}"


def _complete(group: Group, begun: RunFile, settings: Settings) -> bool:
    """Whether every number of workers was measured; what failed is tried again."""
    found = {m.workers for m in group.of(begun) if not m.interrupted and m.error is None}
    return found.issuperset(settings.workers)


def _conclude(path: Path) -> None:
    """Prints the table; exits with 1 if a case failed or was wrong, with 3 if none has a time."""
    from reports import frames, scaling, text
    from reports.parts import devices

    begun = runfile.read(path)
    table = scaling.multi_gpu(frames.samples([begun]), [begun])
    click.echo(text.as_text(table))
    for sentence in scaling.notes([begun]):
        click.echo(f"\n{sentence}")
    further = scaling.predictions([begun])
    if len(further):
        click.echo(f"\nPREDICTED, not measured. {devices.headline(further)}\n")
        click.echo(text.as_text(further))
    surroundings.conclude(path, table.loc[table["backend"].notna(), "state"] == "ok")
