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
from types import TracebackType
from typing import Any, Self


class WorkerFailed(Exception):
    """The worker cannot go on: what it reported, or how it ended."""


class Worker:
    """A fresh Python process that runs `mcnbench.measure.worker`; leaving the context kills it."""

    def __init__(self, variables: Mapping[str, str], cores: list[int] | None = None) -> None:
        self._socket, theirs = socket.socketpair()
        self._unread = b""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the worker, see __exit__
        here = os.getcwd()
        # The worker must find the packages that this process finds, and nothing else: -P keeps its folder out.
        path = os.pathsep.join(folder or here for folder in sys.path)
        arguments = [str(theirs.fileno()), ",".join(map(str, cores or []))]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "mcnbench.measure.worker", *arguments],
                env={**variables, "PYTHONPATH": path},
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
        """Ends the process at once."""
        self._process.kill()
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
