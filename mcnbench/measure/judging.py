"""Judges what workers recorded, in a process of its own that is idle while others are timed.

It has the workers' allocator settings, without which checking large layers is mostly page faults, and it gives its
memory back before anything is timed. It judges one recorded step while the next worker records.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from mcnbench.measure.process import Worker, WorkerFailed
from mcnbench.recording import BATCH
from reports.schema import Verified

LATE = "right before it was timed, wrong on fresh data after: "
"""Begins the message on a backend that went wrong while it was timed, or noticed that it was and skipped the work."""


class Check(BaseModel):
    """How much of a step is checked: all by default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: int = Field(default=BATCH, ge=1)
    """Of the step that is checked; two show whether images are kept apart."""
    share: float = Field(default=1.0, gt=0, le=1)
    """Of the filters and channels of each convolution, drawn anew for each check."""
    hasty: bool = False
    """Whether time is saved where it costs the least certainty: the check after the timing leaves out the whole step
    against float64; the one before takes the initial parameters for it, as weights and their gradients are recorded
    only where they are judged, and without PyTorch's error beside ours; variants (memory formats) are tried while other
    workers are checked, so that which one is taken is less sure; and workers that were right are used again."""


class Judge:
    """A worker that judges; when it dies, the step that it was judging is not verified, and it starts again."""

    def __init__(self, start: Callable[[], Worker], threads: int, time_limit: float, share: float = 1.0) -> None:
        self._start, self._threads, self._time_limit, self._share = start, threads, time_limit, share
        self._jobs: list[dict[str, Any]] = []
        self._begin()

    def send(self, network_name: str, folder: Path, whole: bool) -> None:
        """Begins to judge the step of that network in the folder; `receive` has the result, in the order of sending."""
        job = {"network_name": network_name, "folder": str(folder), "whole": whole, "share": self._share}
        self._jobs.append(job)
        self._hand_over(job)

    def receive(self) -> Verified:
        """What was found; the verdict is `before`, and ERROR if the judge itself failed."""
        del self._jobs[0]
        try:
            return Verified.model_validate(self._ready().receive(self._time_limit))
        except WorkerFailed as error:
            self._begin_again()
            return Verified(before="ERROR", message=f"could not be judged: {error}")

    def rest(self) -> None:
        """Returns when the judge holds little memory and does nothing."""
        try:
            self._ready().ask("rest", self._time_limit)
        except WorkerFailed:
            self._begin_again()

    def limit(self, threads: int, seconds: float, device: str) -> dict[str, Any]:
        """The matrix-product rate of the machine or its GPU: this process has the libraries at hand."""
        return self._ready().ask("limit", self._time_limit, threads=threads, seconds=seconds, device=device)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._worker.__exit__(kind, error, trace)

    def _begin(self) -> None:
        """The oracle and the reference are PyTorch's, which the worker begins to import."""
        self._worker = self._start()
        self._worker.send("hello", backend="torch", threads=self._threads)
        self._imported = False

    def _ready(self) -> Worker:
        if not self._imported:
            self._worker.receive(self._time_limit)
            self._imported = True
        return self._worker

    def _hand_over(self, job: dict[str, Any]) -> None:
        try:
            self._ready().send("judge", **job)
        except WorkerFailed:  # `receive` finds that it is dead
            self._imported = True

    def _begin_again(self) -> None:
        self._worker.__exit__(None, None, None)
        self._begin()
        for job in self._jobs:
            self._hand_over(job)


def both(so_far: Verified, found: Verified, fresh: bool) -> Verified:
    """A check whose verdict is `before`, added to what the check before the timing found if it was on fresh data."""
    late = fresh and found.before == "VIOLATED"
    return found.model_copy(
        update={
            "message": f"{LATE}{found.message}" if late else found.message,
            "before": so_far.before if fresh else found.before,
            "after": found.before if fresh else None,
            "error_ratio": _larger(so_far.error_ratio, found.error_ratio),
            "error_multiple": _larger(so_far.error_multiple, found.error_multiple),
        }
    )


def _larger(a: float | None, b: float | None) -> float | None:
    return max((x for x in (a, b) if x is not None), default=None)
