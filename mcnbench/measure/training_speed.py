"""The experiment kind "training-speed": training steps of networks on several backends, every time verified.

`run` begins one, `resume` goes on with what is missing in a run file; both end with the table on standard output.
"""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click

from mcnbench import duration, images, machine, network, runfile, training
from mcnbench.errors import BadInput, NothingDone
from mcnbench.measure import environment, precision, surroundings
from mcnbench.measure.budget import FIRST_SHARE, ROUNDS, Budget
from mcnbench.measure.crew import Crew
from mcnbench.measure.driver import Case, Driver
from mcnbench.measure.judging import Judge
from mcnbench.measure.process import Worker
from mcnbench.measure.progress import Report
from mcnbench.measure.settings import Settings, read, some_time
from reports import schema
from reports.runfile import RunFile
from reports.statistics import estimate

KIND = "training-speed"

LAST_SHARE = 0.7
"""Of the time predicted: what the last case of a hasty run takes, after which no other is built."""

CHECK_SECONDS = 4e-8
"""For each parameter: of checking the workers of a case once, before anything was measured here."""


def run(name: str, content: dict[str, Any], given: dict[str, Any], quick: bool, path: Path) -> None:
    """Runs the experiment of that name and file content, changed by what the command line gave, into a new run file."""
    began = time.monotonic()
    settings = read(name, content, given, quick)
    cases = _cases(settings)
    runfile.refuse_existing(path)
    if settings.images is not None:
        _refuse_unreadable(settings, cases)
    _refuse_too_large(settings, cases)
    workers = environment.clean(os.environ, settings.threads, settings.inherit_env)
    first = surroundings.first_line(KIND, workers, settings.threads, settings.model_dump())
    with surroundings.interruptible(path), Report(settings.budget) as report:
        surroundings.say_what_is_odd(workers, first.machine, report)
        with _staff(settings, workers) as (crew, judge), runfile.Writer.create(path, first) as writer:
            _measure(settings, cases, {}, crew, judge, writer, report, began)
    _conclude(path, settings.peer)


def resume(begun: RunFile, given: dict[str, Any]) -> None:
    """Goes on with the cases missing in a run file, in the part of its budget that is theirs, or the one given."""
    began = time.monotonic()
    settings = Settings.model_validate(begun.run.settings)
    every = _cases(settings)
    cases = [case for case in every if not _complete(case, begun, settings)]
    if not cases:
        failed = sum(m.error is not None for m in begun.measurements)
        counted = f", {failed} results of which are failures; a new run would try these again" if failed else ""
        raise NothingDone(f"nothing left to run: '{begun.path}' has all of its {len(every)} cases{counted}")
    surroundings.refuse_another_machine(begun)
    if "budget" in given:
        settings.budget = some_time(duration.seconds(given["budget"]))
    else:
        settings.budget *= sum(case.flops for case in cases) / sum(case.flops for case in every)
    workers = environment.clean(os.environ, settings.threads, settings.inherit_env)
    launches = {m.case: m.launch + 1 for m in sorted(begun.measurements, key=lambda m: m.launch)}
    with surroundings.interruptible(begun.path), Report(settings.budget) as report:
        surroundings.say_what_is_odd(workers, machine.describe(), report)
        with (
            _staff(settings, workers) as (crew, judge),
            runfile.Writer.resume(begun.path, runfile.command()) as writer,
        ):
            _measure(settings, cases, launches, crew, judge, writer, report, began)
    _conclude(begun.path, settings.peer)


def _cases(settings: Settings) -> list[Case]:
    cases = []
    for name, multiple in itertools.product(settings.networks, settings.batch_multiples):
        net = network.load(name)
        batch = multiple * settings.batch_of(net)
        build = {
            "network_name": name,
            "batch": batch,
            "dtype": settings.dtype,
            "seed": settings.seed,
            "images": settings.images,
        }
        case = f"{KIND}/{net.name}" if multiple == 1 else f"{KIND}/{net.name}/x{multiple}"
        cases.append(Case(case, net, batch, net.flops(batch), build))
    return cases


def _refuse_unreadable(settings: Settings, cases: list[Case]) -> None:
    """Draws the images that the workers will draw; raises BadInput for a folder or an image that cannot be read."""
    for case in cases:
        images.crops(case.batch, case.network.input, training.seeded(settings.seed, network.IMAGES), settings.images)


def _refuse_too_large(settings: Settings, cases: list[Case]) -> None:
    """All backends' workers of a case live at the same time. What does not fit a GPU is the error of that case."""
    if settings.device != "cpu":
        return
    available = machine.memory_available()
    for case in cases:
        needed = len(settings.backends) * (case.network.step_bytes(case.batch) + surroundings.WORKER_BYTES)
        if needed > available:
            raise BadInput(
                f"{case.network.name} at batch {case.batch} needs about {needed / machine.GIB:.1f} GiB of memory for "
                f"{len(settings.backends)} backends, but {available / machine.GIB:.1f} GiB are available; "
                "give a smaller --batch"
            )


@contextmanager
def _staff(settings: Settings, workers: environment.Environment) -> Iterator[tuple[Crew, Judge]]:
    """The judge, and the first worker of every backend: an unknown or broken one is refused before there is a file."""
    cores = surroundings.cores(settings.threads)
    start = partial(Worker, workers.variables, cores)
    # The judge shares the cores with workers that build or record: its threads must not wait by spinning.
    start_judge = partial(Worker, {**workers.variables, "OMP_WAIT_POLICY": "passive"}, cores)
    with (
        Judge(start_judge, settings.threads, settings.time_limit, settings.check.share) as judge,
        Crew(settings.backends, start, settings.threads) as crew,
    ):
        crew.check(settings.time_limit)
        yield crew, judge


def _measure(
    settings: Settings,
    cases: list[Case],
    launches: dict[str, int],
    crew: Crew,
    judge: Judge,
    writer: runfile.Writer,
    report: Report,
    began: float,
) -> None:
    """Visits every case once, then again where it is least known, until the budget is spent."""
    seconds = surroundings.LIMIT_SECONDS / (4 if settings.check.hasty else 1)
    found = judge.limit(settings.threads, seconds, settings.device)
    rate = found["flops_per_second"]
    writer.write(schema.Limit(device=settings.device, dtype=settings.dtype, threads=settings.threads, **found))
    predicted = {case.name: _predicted_seconds(case, len(settings.backends), rate) for case in cases}
    if settings.check.hasty and len(cases) > 1:
        predicted[cases[-1].name] *= LAST_SHARE
    budget = Budget(
        settings.budget - surroundings.END_SECONDS - (time.monotonic() - began),
        predicted,
        first_share=0.0 if settings.check.hasty else FIRST_SHARE,
    )
    report.say(
        f"{len(cases)} network{'s' * (len(cases) > 1)} on {', '.join(settings.backends)}, "
        f"{settings.threads} thread{'s' * (settings.threads != 1)}; matrix products reach {rate / 1e9:.0f} GFLOP/s"
    )
    done: dict[str, list[schema.Measurement]] = {case.name: [] for case in cases}
    coming = {case.name: following for case, following in itertools.pairwise(cases)}
    driver = Driver(
        backends=settings.backends,
        crew=crew,
        judge=judge,
        threads=settings.threads,
        device=settings.device,
        dtype=settings.dtype,
        seed=settings.seed,
        time_limit=settings.time_limit,
        check=settings.check,
        peer=settings.peer,
        precision=settings.precision,
        writer=writer,
        budget=budget,
        report=report,
        coming=coming,
    )

    def visit(case: Case) -> None:
        launch = launches.get(case.name, 0)
        launches[case.name] = launch + 1
        done[case.name] += driver.visit(case, launch)
        coming.pop(case.name, None)
        report.done(_summary(case, done[case.name], settings.peer), budget.left())

    def leave_out(case: Case) -> None:
        driver.leave_out(case, launches.get(case.name, 0), surroundings.NOT_REACHED)

    missing = budget.spend(cases, visit, leave_out, lambda: _widths(done, settings))
    if missing:
        needed = duration.written(sum(budget.shortest(case.name) for case in missing))
        names = ", ".join(case.network.name for case in missing)
        report.say(f"no time was left for {names}, which would take about {needed} more: mcnbench run --resume")


def _predicted_seconds(case: Case, backends: int, rate: float) -> float:
    """Of the shortest visit: starting and two checks, and warm-up and two rounds at half the machine's rate."""
    steps = backends * (2 + ROUNDS) * case.flops / (0.5 * rate)
    return surroundings.START_SECONDS + 2 * CHECK_SECONDS * case.network.parameter_count + steps


def _widths(done: Mapping[str, list[schema.Measurement]], settings: Settings) -> dict[str, float]:
    """The cases that are not known well enough, and how well they are."""
    widths = {case: precision.least_known(_verified(found), settings.peer) for case, found in done.items()}
    return {case: width for case, width in widths.items() if width > settings.precision}


def _verified(measurements: list[schema.Measurement]) -> list[schema.Measurement]:
    return [m for m in measurements if m.verified.holds]


def _summary(case: Case, measurements: list[schema.Measurement], peer: str) -> str:
    """One line for a case: images per second of each backend, the ratio to the peer, or what went wrong."""
    parts = []
    good = _verified(measurements)
    beside = [m for m in good if m.backend == peer]
    for backend in dict.fromkeys(m.backend for m in measurements):
        ours = [m for m in good if m.backend == backend]
        if not ours:
            last = [m for m in measurements if m.backend == backend][-1]
            parts.append(f"{backend} {last.error or f'WRONG: {last.verified.message}'}")
            continue
        text = f"{backend} {case.batch / statistics.median(precision.times(ours).values()) * 1e9:.1f} images/s"
        ratios = precision.ratios(ours, beside)
        if backend != peer and len(ratios):
            found = estimate(ratios)
            text += f" ({found.median:.2f} of {peer} [{found.low:.2f}, {found.high:.2f}], {found.rounds} rounds)"
        parts.append(text)
    return f"{case.network.name}, batch {case.batch}: {'; '.join(parts)}"


def _complete(case: Case, begun: RunFile, settings: Settings) -> bool:
    """Whether every backend has a result of the case in the file; a failure is a result."""
    found = {
        m.backend
        for m in begun.measurements
        if m.case == case.name and not m.interrupted and m.error != surroundings.NOT_REACHED
    }
    return found.issuperset(settings.backends)


def _conclude(path: Path, peer: str) -> None:
    """Prints the table; exits with 1 if a case failed or was wrong, with 3 if none has a time."""
    from reports import frames, tables, text

    frame = frames.samples([runfile.read(path)])
    table = tables.training_speed(frame, peer)
    click.echo(text.as_text(table))
    good = table["state"] == "ok"
    compared = table[good & (table["backend"] != peer) & table["ratio_low"].notna()]
    if len(compared):
        half = 50 * (compared["ratio_high"] - compared["ratio_low"]) / compared["ratio"]
        click.echo(
            f"\nThe ratios to {peer} are known to ±{half.min():.1f}% to ±{half.max():.1f}% (95% intervals), "
            f"from {compared['rounds'].min()} to {compared['rounds'].max()} rounds."
        )
    surroundings.conclude(path, good)
