"""One side of an interleaved comparison: a process of one version, which forks a replicate for each stretch of rounds.

Started by path with the Python of that version's environment, so that it imports the backends, networks and training
steps of the version that it measures. It answers JSON lines on a socket: `open` imports everything and builds nothing;
`fork` makes a replicate, which draws its memory afresh, warms up and answers `turn`s until `done`. A crash of the
replicate is answered as {"error": ...} and ends only that replicate. `record` keeps what it computes, to be judged.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import IO, Any

WARM_UP = 3
BUSY_UNIT = 2000
"""Additions per unit of the busy work that a test of the comparison itself adds to each step, some 20 us."""


def main() -> None:
    """Serves requests until the socket is closed."""
    connection, cores = int(sys.argv[1]), sys.argv[2]
    if cores:
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    opened: dict[str, Any] = {}
    stream: Any
    with socket.socket(fileno=connection) as channel, channel.makefile("rwb") as stream:
        for line in stream:
            request = json.loads(line)
            if request["do"] == "open":
                opened = request
                _answer(stream, _attempt(partial(_open, opened)))
            elif request["do"] == "record":
                _fork(stream, partial(_serve_record, stream, opened, request["folder"]))
            elif request["do"] == "fork":
                _fork(stream, partial(_serve_replicate, stream, opened, request.get("busy", 0.0)))


def _fork(stream: IO[bytes], serve: Callable[[], int]) -> None:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = serve()
        finally:
            os._exit(code)  # no cleaning up of what the parent still uses
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status):
        _answer(stream, {"error": f"its process ended with status {os.waitstatus_to_exitcode(status)}"})
    else:
        _answer(stream, {"done": True})


def _serve_replicate(stream: IO[bytes], opened: dict[str, Any], busy: float) -> int:
    ready: dict[str, Any] = {}
    step: Callable[[], None] = _nothing

    def start() -> dict[str, Any]:
        nonlocal step
        step = _step(opened)
        for _ in range(WARM_UP):
            step()
        gc.collect()
        gc.freeze()
        gc.disable()
        ns = min(_turn(step, 3))
        if busy:
            step = _slowed(step, busy, ns)
        return {"step_ns": ns}

    ready = _attempt(start)
    _answer(stream, ready)
    if "error" in ready:
        return 0
    for line in stream:
        request = json.loads(line)
        if request["do"] == "done":
            return 0
        _answer(stream, _attempt(lambda: {"ns": _turn(step, request["steps"])}))  # noqa: B023  # called at once
    return 0


def _serve_record(stream: IO[bytes], opened: dict[str, Any], folder: str) -> int:
    _answer(stream, _attempt(partial(_record, opened, Path(folder))))
    return 0


def _open(request: dict[str, Any]) -> dict[str, Any]:
    import mcnbench

    backend = mcnbench.backend(request["backend"])
    return {"receipt": backend.version(), "blocks": list(backend.blocks())}


def _step(opened: dict[str, Any]) -> Callable[[], None]:
    """What is timed: a training step of a network, or one block forward and backward."""
    import mcnbench

    backend = mcnbench.backend(opened["backend"])
    getattr(backend.implementation, "set_threads", _nothing)(opened["threads"])
    if opened["network"]:
        from mcnbench import network
        from mcnbench.training import Trainer

        trainer = Trainer(network.load(opened["network"]), backend, opened["batch"], seed=opened["seed"])
        return trainer.step
    from mcnbench.case import parse

    drawn = parse(opened["case"])
    block = backend.block(drawn.block)
    assert block is not None
    options = {field.name: getattr(drawn.options, field.name) for field in fields(drawn.options)}
    inputs = [None if a is None else backend.from_numpy(a) for a in drawn.inputs()]
    dy = backend.from_numpy(drawn.dy())

    def forward_and_backward() -> None:
        _, pullback = block(*inputs, **options)
        if pullback is not None:
            pullback(dy)
        backend.synchronize()

    return forward_and_backward


def _record(opened: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Keeps what the workload computes in the folder, and answers what it must be judged by."""
    import mcnbench

    backend = mcnbench.backend(opened["backend"])
    if opened["network"]:
        from mcnbench import network
        from mcnbench.recording import record
        from mcnbench.training import Trainer

        record(Trainer(network.load(opened["network"]), backend, 2, seed=opened["seed"]), folder, seed=opened["seed"])
        return {}
    from mcnbench.case import parse
    from mcnbench.measure import block_timing

    drawn = parse(opened["case"])
    block_timing.record(backend, drawn, "NCHW", folder)
    return {"precision": backend.precision(drawn.dtype), "normwise_factor": backend.normwise_factor}


def _turn(step: Callable[[], None], steps: int) -> list[int]:
    times = []
    for _ in range(steps):
        start = time.perf_counter_ns()
        step()
        times.append(time.perf_counter_ns() - start)
    return times


def _slowed(step: Callable[[], None], busy: float, step_ns: int) -> Callable[[], None]:
    """The step with real extra work that takes the fraction `busy` of it, to test whether a comparison notices."""
    unit_ns = min(_turn(_busy_unit, 20))
    units = round(busy * step_ns / unit_ns)

    def slowed() -> None:
        step()
        for _ in range(units):
            _busy_unit()

    return slowed


def _busy_unit() -> None:
    total = 0
    for i in range(BUSY_UNIT // 4):
        total += i


def _attempt(what: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return what()
    except Exception as error:  # whatever the version under test raises is its result
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}


def _answer(stream: IO[bytes], answer: dict[str, Any]) -> None:
    stream.write(json.dumps(answer).encode() + b"\n")
    stream.flush()


def _nothing(*_: Any) -> None:
    pass


if __name__ == "__main__":
    main()
