"""Judges what workers recorded, in a process of its own that is idle while others are timed.

It has the workers' allocator settings, without which checking large layers is mostly page faults, and it gives its
memory back before anything is timed. It judges one recorded step while the next worker records.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from mcnbench.measure.process import Worker, WorkerFailed
from reports.runfile import Verified


class Judge:
    """A worker that judges; it is started again when it dies, and that step is then not verified."""

    def __init__(self, start: Callable[[], Worker], threads: int, time_limit: float, share: float = 1.0) -> None:
        self._start, self._threads, self._time_limit, self._share = start, threads, time_limit, share
        self._worker = self._begin()

    def send(self, network_name: str, folder: Path, whole: bool) -> None:
        """Begins to judge the step of that network in the folder; `receive` has the result, in the order of sending."""
        fields = {"network_name": network_name, "folder": str(folder), "whole": whole, "share": self._share}
        self._attempt(lambda: self._worker.send("judge", **fields))

    def receive(self) -> Verified:
        """What was found; the verdict is `before`, and ERROR if the judge itself failed."""
        try:
            return Verified.model_validate(self._worker.receive(self._time_limit))
        except WorkerFailed as error:
            self._restart()
            return Verified(before="ERROR", message=f"could not be judged: {error}")

    def rest(self) -> None:
        """Returns when the judge holds little memory and does nothing."""
        self._attempt(lambda: self._worker.ask("rest", self._time_limit))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._worker.__exit__(kind, error, trace)

    def _attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except WorkerFailed:
            self._restart()

    def _restart(self) -> None:
        self._worker.__exit__(None, None, None)
        self._worker = self._begin()

    def _begin(self) -> Worker:
        """The oracle and the reference are PyTorch's."""
        worker = self._start()
        worker.ask("hello", self._time_limit, backend="torch", threads=self._threads)
        return worker
