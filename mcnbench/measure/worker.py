"""The worker: one backend in a process of its own, doing what the harness asks, one JSON line a request.

Started by `mcnbench.measure.process` as `python -m mcnbench.measure.worker SOCKET CORES`. What the backend raises is
answered as {"error": ...}; the worker ends with the harness, however that ends.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mcnbench.errors import BadInput

PR_SET_PDEATHSIG = 1


def main() -> None:
    """What the harness starts."""

    def work() -> Any:
        from mcnbench.measure.work import Work

        return Work()

    serve(work)


def serve(make: Callable[[], Any]) -> None:
    """Answers requests until the harness closes the socket, each by the method of that name of what `make` makes."""
    connection, cores = int(sys.argv[1]), sys.argv[2]
    _end_with_the_harness()
    if cores:
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    work = make()
    with socket.socket(fileno=connection) as channel, channel.makefile("rwb") as stream:
        for line in stream:
            request: dict[str, Any] = json.loads(line)
            try:
                answer = getattr(work, request.pop("do"))(**request)
            except MemoryError as error:
                traceback.print_exc()
                answer = {"error": f"ran out of memory: {error}" if str(error) else "ran out of memory"}
            except BadInput as error:
                answer = {"error": str(error)}
            except Exception as error:  # whatever the backend raises is its result, and the run goes on
                traceback.print_exc()
                answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
            stream.write(json.dumps(answer).encode() + b"\n")
            stream.flush()


def _end_with_the_harness() -> None:
    """The system kills the worker when the harness dies, and, when memory runs out, the worker before the harness."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    main()
