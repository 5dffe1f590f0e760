"""Worker processes that try properties: a crash, a hang or running out of memory in one is a verdict, and the rest
goes on in a new one."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import IO, Any

import psutil

from mcnbench import ROOT
from mcnbench.case import DTYPES
from mcnbench.errors import BadInput, unknown
from mcnbench.verdict import Verdict
from suites.properties import engine, strategies

START_SECONDS = 120.0
CASE_SECONDS = 20.0
"""A backend that says nothing for so long on one case hangs."""
STARVED_SECONDS = 600.0
"""So long a process may wait for a core before that counts as a hang, too."""
HANGS = 2
"""After so many hangs in one block its other properties are not tried."""


@dataclass(frozen=True)
class Request:
    """One property of one block to be tried in one dtype; or on one case, if `case` is its line."""

    block: str
    property: str
    dtype: str
    examples: int = 100
    seed: int = 0
    case: str | None = None

    def to_json(self) -> str:
        keys = {"block": self.block, "property": self.property, "dtype": self.dtype}
        keys |= {"case": self.case} if self.case else {"examples": str(self.examples), "seed": str(self.seed)}
        return json.dumps(keys)


class Worker:
    """One process with the backend in it; starts again after it had to be ended."""

    def __init__(self, backend: str, workers: int = 1, case_seconds: float = CASE_SECONDS, quiet: bool = True) -> None:
        """`quiet` keeps what the backend prints, and shows of it only the last words of a crash."""
        self.backend, self._workers, self.case_seconds, self._quiet = backend, workers, case_seconds, quiet
        self._printed: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer, self._warm = b"", False

    def start(self) -> dict[str, Any]:
        """What the worker says of the backend: its receipt ("ready") and its "blocks".

        Raises BadInput when the backend does not import or cannot run here.
        """
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        self._buffer, self._warm = b"", False
        self._printed = tempfile.TemporaryFile() if self._quiet else None  # noqa: SIM115  # lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "suites.properties.worker", self.backend, str(self._workers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            env=environment,
            start_new_session=True,
        )
        try:
            hello = self._read(START_SECONDS)
        except _Silence:
            self.end()
            raise BadInput(f"backend '{self.backend}' does not import within {START_SECONDS:g} s") from None
        if hello is None:
            raise BadInput(f"backend '{self.backend}' ends the process when it is imported: {self._death()}")
        if "refused" in hello:
            self.end()
            raise BadInput(hello["refused"])
        return hello

    def ask(self, request: Request) -> Verdict:
        """The verdict on the request, whatever happens to the process."""
        if self._process is None:
            self.start()
        assert self._process is not None
        assert self._process.stdin is not None
        began, case = monotonic(), ""
        cases: set[str] = set()
        try:
            if not self._warm:
                self._warm = self._read(START_SECONDS) is not None
            self._process.stdin.write(request.to_json().encode() + b"\n")
            self._process.stdin.flush()
            while (message := self._read(self.case_seconds)) is not None:
                if "verdict" in message:
                    return Verdict(**message["verdict"])
                case = str(message["case"])
                cases.add(case)
            why = self._death()
        except _Silence:
            self.end()
            why = f"hangs: no answer in {self.case_seconds:g} s"
        except BrokenPipeError:
            why = self._death()
        return Verdict(
            self.backend,
            request.block,
            request.property,
            request.dtype,
            "ERROR",
            examples=len(cases),
            message=why,
            reproduce=case or None,
            seconds=monotonic() - began,
        )

    def end(self) -> None:
        """Ends the process and whatever it started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout, self._printed):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
            self._process = None

    def _read(self, seconds: float) -> dict[str, Any] | None:
        """The next message; None at the end of the process. Raises _Silence after so many seconds."""
        assert self._process is not None
        assert self._process.stdout is not None
        stream = self._process.stdout.fileno()
        began, worked = monotonic(), self._cpu_seconds()
        while b"\n" not in self._buffer:
            if not select.select([stream], [], [], seconds)[0]:
                # On a busy machine a process may wait long for a core; that is not its fault.
                starved = self._cpu_seconds() - worked < seconds / 2 and self._wants_a_core()
                if not starved or monotonic() - began > STARVED_SECONDS:
                    raise _Silence
                continue
            more = os.read(stream, 1 << 16)
            if not more:
                return None
            self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def _cpu_seconds(self) -> float:
        assert self._process is not None
        try:
            times = psutil.Process(self._process.pid).cpu_times()
        except psutil.Error:
            return 0.0
        return float(times.user + times.system)

    def _wants_a_core(self) -> bool:
        """Whether a thread of the process could run, waits for the disk, or was stopped from outside."""
        assert self._process is not None
        states = []
        with contextlib.suppress(OSError):
            for stat in Path(f"/proc/{self._process.pid}/task").glob("*/stat"):
                states.append(stat.read_text().rpartition(")")[2].split()[0])
        return bool({"R", "D", "T"} & set(states))

    def _death(self) -> str:
        """How the process ended, in words."""
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.returncode
        last_words = self._last_words()
        self.end()
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            known = {
                "SIGSEGV": "a segmentation fault",
                "SIGKILL": "killed, as when memory runs out",
                "SIGABRT": "abort",
            }
            return f"crashes: {known.get(name, name)} ({name}){last_words}"
        return f"ends the process with exit status {code}{last_words}"

    def _last_words(self) -> str:
        """Where in the backend's code a crash was, or the last line printed."""
        if self._printed is None:
            return ""
        self._printed.seek(0)
        lines = self._printed.read().decode(errors="replace").splitlines()
        frames = [line.strip().removeprefix("File ") for line in lines if line.startswith("  File ")]
        ours = next((i for i, frame in enumerate(frames) if str(ROOT / "suites") in frame), len(frames))
        if 0 < ours < len(frames):
            return f", in {frames[ours - 1]}"  # the frame of the backend's function; the most recent call comes first
        said = [line.strip() for line in lines if line.strip()]
        return f"; it said: {said[-1][:200]}" if said else ""


class _Silence(Exception):
    """Nothing came in time."""


@dataclass
class Pool:
    """Several workers that take requests in order and hand out verdicts as futures."""

    backend: str
    workers: int
    first: Worker
    """A worker that was started already, to ask which blocks the backend has."""
    blocks: tuple[str, ...]
    receipt: str
    on_verdict: Callable[[Verdict], None] = lambda verdict: None
    _queue: queue.SimpleQueue[tuple[Request, Future[Verdict]] | None] = field(default_factory=queue.SimpleQueue)
    _hangs: dict[str, int] = field(default_factory=dict)
    _stop: bool = False
    _threads: list[threading.Thread] = field(default_factory=list)

    def submit(self, requests: Iterable[Request]) -> dict[Request, Future[Verdict]]:
        """A future for each request; as many workers as that needs are started, and kept until `close`."""
        futures = {request: Future[Verdict]() for request in requests}
        for item in futures.items():
            self._queue.put(item)
        for _ in range(min(self.workers, len(futures)) - len(self._threads)):
            worker = self.first if not self._threads else Worker(self.backend, self.workers, self.first.case_seconds)
            thread = threading.Thread(target=self._work, args=(worker,), daemon=True)
            thread.start()
            self._threads.append(thread)
        return futures

    def close(self) -> None:
        """Tries nothing further and ends the workers."""
        self._stop = True
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self.first.end()

    def _work(self, worker: Worker) -> None:
        try:
            while (item := self._queue.get()) is not None and not self._stop:
                request, future = item
                try:
                    verdict = self._ask(worker, request)
                except BaseException as error:  # a failure of the harness belongs to whoever waits for the verdict
                    future.set_exception(error)
                else:
                    self.on_verdict(verdict)
                    future.set_result(verdict)
        finally:
            worker.end()

    def _ask(self, worker: Worker, request: Request) -> Verdict:
        if request.block not in self.blocks:
            why = f"{self.backend} has no {request.block}"
            return Verdict(self.backend, request.block, request.property, request.dtype, "UNSUPPORTED", message=why)
        if self._hangs.get(request.block, 0) >= HANGS:
            why = f"not tried: {HANGS} other properties of {request.block} hung"
            return Verdict(self.backend, request.block, request.property, request.dtype, "ERROR", message=why)
        verdict = worker.ask(request)
        if verdict.message.startswith("hangs"):
            self._hangs[request.block] = self._hangs.get(request.block, 0) + 1
        return verdict


def start(backend: str, workers: int, case_seconds: float = CASE_SECONDS, quiet: bool = True) -> Pool:
    """A pool whose first worker has said that the backend runs here; raises BadInput if it does not."""
    first = Worker(backend, workers, case_seconds, quiet)
    hello = first.start()
    return Pool(backend, workers, first, tuple(hello["blocks"]), str(hello["ready"]))


def selected(
    blocks: Sequence[str], properties: Sequence[str], dtypes: Sequence[str], examples: int, seed: int
) -> list[Request]:
    """A request for each property that says something of a block, block by block; no blocks or properties mean all.

    Raises BadInput for a name that is not known.
    """
    known = {
        "block": (blocks, strategies.names()),
        "property": (properties, engine.PROPERTIES),
        "dtype": (dtypes, DTYPES),
    }
    for kind, (names, choices) in known.items():
        for name in names:
            if name not in choices:
                raise unknown(kind, name, choices)
    return [
        Request(block, property, dtype, examples, seed)
        for block in strategies.names()
        if not blocks or block in blocks
        for property in engine.PROPERTIES
        if not properties or property in properties
        for dtype in dtypes
        if property in engine.properties(block, dtype)
    ]
