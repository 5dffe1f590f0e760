"""Is what a version computes right? Judged before it is timed: a fast wrong answer must not pass as an improvement."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mcnbench.compare.interleave import LIMIT, Workload, ask, opened
from mcnbench.compare.revisions import Version


def violation(workload: Workload, which: str, version: Version) -> str | None:
    """What is wrong with the version's results on the workload, in a few words; None if they are within their bounds.

    A block is held to its bounds on the case that is timed, a network layer by layer and as a whole on two images.
    Raises Failed if the version cannot run it.
    """
    with (
        TemporaryDirectory(prefix="mcnbench-") as folder,
        opened(which, workload, version, sorted(os.sched_getaffinity(0))) as worker,
    ):
        answer = ask(which, worker, "record", folder=folder)
        worker.receive(LIMIT)
        if workload.network:
            return _network(workload.network, Path(folder))
        return _case(workload.case, Path(folder), answer)


def _network(name: str, folder: Path) -> str | None:
    from mcnbench import network, verification

    found = verification.judge(network.load(name), folder)
    return found.message if found.verdict == "VIOLATED" else None


def _case(line: str, folder: Path, answer: dict[str, Any]) -> str | None:
    from mcnbench.case import parse
    from mcnbench.measure.block_timing import Judged

    error_ratio, where = Judged(parse(line), answer["precision"]).worst(folder, answer["normwise_factor"])
    return None if error_ratio <= 1 else f"{where} is off by {error_ratio:.3g} times its bound"
