"""One backend in a process of its own: JAX, TensorFlow and PyTorch bring thread pools, allocators and settings of the
whole process, so none shares one. A crash or a hang costs that answer, and the next request starts a new process."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any

from mcnbench.backends import Backend, load
from mcnbench.errors import BadInput

START_SECONDS = 120.0
Task = Callable[..., Any]
"""A function of a module, called in the process as task(backend, *arguments)."""


class Failed(Exception):
    """The process gave no answer: how it ended."""


class Process:
    """Answers one request at a time; `send` and `receive` apart let several backends work at once."""

    def __init__(self, backend: str, threads: int = 1, limit: float = 120.0) -> None:
        self.backend, self._threads, self._limit = backend, threads, limit
        self.hello: dict[str, Any] = {}
        self._process: Any = None

    def start(self) -> dict[str, Any]:
        """What the backend says of itself; raises BadInput if it does not import or cannot run here."""
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(self.backend, self._threads, theirs), daemon=True)
        self._process.start()
        theirs.close()
        try:
            self.hello = self._read(START_SECONDS)
        except Failed as error:
            raise BadInput(f"backend '{self.backend}' {error} when it is imported") from error
        if "refused" in self.hello:
            self.end()
            raise BadInput(self.hello["refused"])
        return self.hello

    def send(self, task: Task, *arguments: Any) -> None:
        if self._process is None:
            self.start()
        self._connection.send((task, arguments))

    def receive(self) -> Any:
        """The answer; raises Failed if the process crashed or hangs."""
        answer, error = self._read(self._limit)
        if error is not None:
            raise Failed(error)
        return answer

    def ask(self, task: Task, *arguments: Any) -> Any:
        self.send(task, *arguments)
        return self.receive()

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = None

    def _read(self, seconds: float) -> Any:
        connection: Connection[Any, Any] = self._connection
        try:
            if connection.poll(seconds):
                return connection.recv()
            how = f"gave no answer within {seconds:g} s"
        except (EOFError, ConnectionResetError):
            self._process.join(5)
            how = f"ended with exit code {self._process.exitcode}"
        self.end()
        raise Failed(how)


def serve(name: str, threads: int, connection: Connection[Any, Any]) -> None:
    """Runs in the process: loads the backend, then calls tasks until the other side closes."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    warnings.simplefilter("ignore")  # overflow and NaN are part of the cases
    began = perf_counter()
    try:
        backend = load(name)
        getattr(backend.implementation, "set_threads", _nothing)(threads)
        hello: dict[str, Any] = {"receipt": backend.version(), "blocks": backend.blocks()}
    except Exception as error:  # whatever a framework raises on import is the reason why it cannot run here
        said = str(error) if isinstance(error, BadInput) else f"{type(error).__name__}: {error}"
        connection.send({"refused": said if name in said else f"backend '{name}' cannot run here: {said}"})
        return
    connection.send({**hello, **_arithmetic(backend), "seconds": perf_counter() - began})
    while True:
        try:
            task, arguments = connection.recv()
        except EOFError:
            return
        try:
            connection.send((task(backend, *arguments), None))
        except Exception as error:  # an exception of the backend's is the answer to that request
            connection.send((None, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"))


def _arithmetic(backend: Backend) -> dict[str, Any]:
    return {
        "precision": {dtype: backend.precision(dtype) for dtype in ("float32", "float64", "float16")},
        "factor": backend.normwise_factor,
    }


def _nothing(threads: int) -> None:
    pass
