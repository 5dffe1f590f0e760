"""The workers of the next visit, a fresh one for each backend, which import their backends before they are needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from mcnbench.errors import BadInput
from mcnbench.measure.process import Worker, WorkerFailed


@dataclass
class Member:
    """A worker that was sent its "hello", and its answer once it is there."""

    backend: str
    worker: Worker
    answer: dict[str, Any] | None = None
    ahead: str | None = None
    """The case that it was told to build before its visit; the answer is to be received."""

    def hello(self, limit: float) -> dict[str, Any]:
        """What the worker says of its backend; raises WorkerFailed if it cannot use it."""
        if self.answer is None:
            self.answer = self.worker.receive(limit)
        return self.answer


class Crew:
    """Starts workers ahead; leaving the context ends those that nobody took."""

    def __init__(self, backends: Sequence[str], start: Callable[[], Worker], threads: int) -> None:
        self._backends, self._start, self._threads = backends, start, threads
        self._ready: list[Member] = []

    def prepare(self) -> None:
        """Starts a worker for each backend, unless they are there already."""
        if self._ready:
            return
        self._ready = [Member(backend, self._start()) for backend in self._backends]
        for member in self._ready:
            with suppress(WorkerFailed):  # `hello` finds that it is dead
                member.worker.send("hello", backend=member.backend, threads=self._threads)

    def check(self, limit: float) -> None:
        """Waits for all; raises BadInput for a backend that does not exist or cannot run here."""
        self.prepare()
        for member in self._ready:
            try:
                member.hello(limit)
            except WorkerFailed as error:
                raise BadInput(f"backend '{member.backend}' cannot run here: {error}") from error

    def take(self) -> list[Member]:
        """The workers in the order of the backends; they are the caller's to end."""
        self.prepare()
        taken, self._ready = self._ready, []
        return taken

    def keep(self, members: list[Member]) -> None:
        """Takes workers back, for the next visit to use as they are."""
        self._ready = members

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self._ready:
            member.worker.__exit__(kind, error, trace)
