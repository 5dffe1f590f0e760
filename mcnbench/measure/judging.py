"""Judges what workers recorded, in a process of its own that idles while others are timed.

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

    def __init__(self, start: Callable[[], Worker], time_limit: float) -> None:
        self._start, self._time_limit = start, time_limit
        self._worker = start()

    def send(self, network_name: str, folder: Path) -> None:
        """Begins to judge the step of that network in the folder; `receive` has the result, in the order of sending."""
        self._attempt(lambda: self._worker.send("judge", network_name=network_name, folder=str(folder)))

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
        self._worker = self._start()
