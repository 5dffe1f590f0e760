"""What `mcnbench faults` does: tries the planted faults in worker processes and shows what became of each."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mcnbench import ROOT, output_file, runfile
from mcnbench.backends import Backend, load
from mcnbench.errors import BadInput, NothingDone
from suites.faults.catalogue import FAULTS, selected
from suites.faults.plant import Outcome, attempt
from suites.progress import progress_bar
from suites.properties import engine

STYLES = {"KILLED": "green", "SURVIVED": "bold red", "UNSUPPORTED": "dim"}
WIDTH = 120


@dataclass(frozen=True)
class Settings:
    """What was asked for; empty tuples mean all."""

    backend: str = "numpy"
    blocks: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    examples: int = engine.EXAMPLES
    seed: int = 0
    workers: int = 2
    json: Path | None = None


def run(settings: Settings) -> int:
    """Tries what was asked for, prints the table, and returns the exit code of the command."""
    began = monotonic()
    chosen = selected(settings.blocks, settings.faults)
    if not chosen:
        raise NothingDone("no planted fault is of that name and of that block, so nothing was tried")
    backend = load(settings.backend)
    outcomes = _in_workers([fault.name for fault in chosen if backend.block(fault.block)], settings)
    outcomes += [attempt(backend, fault) for fault in chosen if not backend.block(fault.block)]
    order = {fault.name: i for i, fault in enumerate(chosen)}
    outcomes.sort(key=lambda outcome: order[outcome.fault])
    seconds = monotonic() - began
    if settings.json:
        output_file.write_json(settings.json, content(outcomes, settings, seconds))
    show(outcomes, settings, seconds)
    if all(outcome.word == "UNSUPPORTED" for outcome in outcomes):
        raise NothingDone(f"backend '{settings.backend}' has none of those blocks, so no fault could be planted")
    return int(any(outcome.word == "SURVIVED" for outcome in outcomes))


def _in_workers(names: Sequence[str], settings: Settings) -> list[Outcome]:
    if not names:
        return []
    with (
        _found_by_the_workers(),
        progress_bar() as progress,
        ProcessPoolExecutor(
            min(settings.workers, len(names)), multiprocessing.get_context("spawn"), _prepare, (settings.backend,)
        ) as workers,
    ):
        task = progress.add_task("", total=len(names))
        futures = [workers.submit(_attempt, name, settings.examples, settings.seed) for name in names]
        outcomes = []
        try:
            for future in as_completed(futures):
                outcomes.append(future.result())
                progress.update(task, advance=1, description=outcomes[-1].fault)
        except BrokenProcessPool as error:
            workers.shutdown(cancel_futures=True)
            raise BadInput(
                f"backend '{settings.backend}' ends the process in which faults are planted; "
                f"`mcnbench check {settings.backend}` says on which case"
            ) from error
        except BaseException:
            workers.shutdown(wait=False, cancel_futures=True)
            raise
    return outcomes


@contextmanager
def _found_by_the_workers() -> Iterator[None]:
    """New processes find these modules wherever the command was called."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *([before] if before else [])])
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


_backend: Backend | None = None
"""Of this worker process."""


def _prepare(name: str) -> None:
    import torch

    global _backend
    torch.set_num_threads(1)  # the oracle's sums are too small to share
    warnings.simplefilter("ignore")  # NaN and overflow are part of the cases
    _backend = load(name)


def _attempt(name: str, examples: int, seed: int) -> Outcome:
    assert _backend is not None
    return attempt(_backend, FAULTS[name], examples, seed)


def show(outcomes: Sequence[Outcome], settings: Settings, seconds: float) -> None:
    """Prints the table, what survived, and one line that counts it all, on standard output."""
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, WIDTH)
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for heading in ("fault", "killed by", "dtype", "verdict"):
        table.add_column(heading, no_wrap=True)
    table.add_column("examples", justify="right")
    table.add_column("seconds", justify="right")
    tried = [outcome for outcome in outcomes if outcome.word != "UNSUPPORTED"]
    for o in tried:
        by = o.property if o.word == "KILLED" else Text(o.word, STYLES[o.word])
        table.add_row(o.fault, by, o.dtype, o.verdict, str(o.examples), f"{o.seconds:.1f}")
    if tried:
        console.print(table)
    for o in outcomes:
        if o.word == "SURVIVED":
            console.print(Text.assemble("\n", ("SURVIVED", STYLES["SURVIVED"]), f" {o.fault}: {o.what}\n  {o.message}"))
    lacking: dict[str, int] = {}
    for o in outcomes:
        if o.word == "UNSUPPORTED":
            lacking[o.message] = lacking.get(o.message, 0) + 1
    for reason, count in lacking.items():
        console.print(Text.assemble("\n", ("UNSUPPORTED", "dim"), f" {count} fault{'s' * (count != 1)}: {reason}"))
    killed = [outcome for outcome in tried if outcome.word == "KILLED"]
    if tried:
        median = ""
        if killed:
            median = f", median time to kill {_median(killed, 'seconds')} ({_median(killed, 'cpu_seconds')} on a core)"
        console.print(
            f"\n{settings.backend}: {len(killed)} of {len(tried)} faults killed ({100 * len(killed) / len(tried):.1f}%)"
            f"{median}; {settings.examples} examples, seed {settings.seed}; {seconds:.0f} s"
        )


def _median(killed: Sequence[Outcome], what: str) -> str:
    return f"{statistics.median(getattr(o, what) for o in killed):.2f} s"


def content(outcomes: Sequence[Outcome], settings: Settings, seconds: float) -> dict[str, Any]:
    """What --json asks for."""
    return {
        "command": runfile.command(),
        "started": runfile.now(),
        "backend": settings.backend,
        "examples": settings.examples,
        "seed": settings.seed,
        "seconds": seconds,
        "load": os.getloadavg()[0],
        "faults": [asdict(outcome) for outcome in outcomes],
    }
