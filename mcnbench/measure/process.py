"""A worker process as the harness sees it: requests and answers as JSON lines over a socket, a log, and how it ended.

What the worker prints goes to its log, whose last line is quoted when it dies. A worker that crashes, hangs or is
killed raises WorkerFailed with one sentence; the harness records it and goes on.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class WorkerFailed(Exception):
    """The worker cannot go on: what it reported, or how it ended."""


class Worker:
    """A fresh process that answers requests, a module of ours (worker.py) by default; leaving the context kills it.

    Another `program`, run in `folder`, gets the socket's number and the cores as its last two arguments.
    """

    def __init__(
        self,
        variables: Mapping[str, str],
        cores: list[int] | None = None,
        program: list[str] | None = None,
        folder: Path | None = None,
        module: str = "mcnbench.measure.worker",
    ) -> None:
        self._socket, theirs = socket.socketpair()
        self._unread = b""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the worker, see __exit__
        if program is None:
            # The worker must find the packages that this process finds, and nothing else: -P keeps its folder out.
            here = os.getcwd()
            variables = {**variables, "PYTHONPATH": os.pathsep.join(place or here for place in sys.path)}
            program = [sys.executable, "-P", "-m", module]
        arguments = [str(theirs.fileno()), ",".join(map(str, cores or []))]
        with theirs:
            self._process = subprocess.Popen(
                [*program, *arguments],
                cwd=folder,
                env=dict(variables),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the harness, which then ends its workers
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, what: str, limit: float, **fields: Any) -> dict[str, Any]:
        """Sends the request and waits for the answer, at most `limit` seconds."""
        self.send(what, **fields)
        return self.receive(limit)

    def send(self, what: str, **fields: Any) -> None:
        """Sends a request; `receive` waits for the answer."""
        self._request = what
        try:
            self._socket.sendall(json.dumps({"do": what, **fields}).encode() + b"\n")
        except OSError:
            raise WorkerFailed(self._how_it_ended()) from None

    def receive(self, limit: float) -> dict[str, Any]:
        """The answer to the last request; raises WorkerFailed if it is an error or does not come in `limit` seconds."""
        deadline = time.monotonic() + limit
        while b"\n" not in self._unread:
            ready, _, _ = select.select([self._socket], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                self.kill()
                raise WorkerFailed(f"gave no answer to '{self._request}' within {limit:.0f} s and was ended")
            try:
                part = self._socket.recv(1 << 16)
            except ConnectionResetError:
                part = b""
            if not part:
                raise WorkerFailed(self._how_it_ended())
            self._unread += part
        line, _, self._unread = self._unread.partition(b"\n")
        answer = json.loads(line)
        assert isinstance(answer, dict)
        if "error" in answer:
            raise WorkerFailed(answer["error"])
        return answer

    def kill(self) -> None:
        """Ends the process, and those that it forked, at once."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)  # it leads a session, and so a group, of its own
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._socket.close()
        self._log.close()

    def _how_it_ended(self) -> str:
        code = self._process.wait()
        if code >= 0:
            how = f"ended with exit code {code}"
        elif code == -signal.SIGKILL:
            how = "was killed (SIGKILL), most likely by the system for lack of memory"
        else:
            how = f"crashed ({signal.Signals(-code).name})"
        return f"{how} during '{self._request}'{self._last_words()}"

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return f"; the last it printed: {said[-1][:200]}" if said else ""
