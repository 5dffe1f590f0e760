"""The process in which a user's backend runs: reads requests from standard input, tries properties, answers.

One JSON object a line. In: {"block", "property", "dtype", "examples", "seed"} or {"case", "property"}. Out, on a copy
of standard output (what the backend prints goes to standard error): {"case": "..."} before each case that the backend
sees, so that the other side knows which case a crash or a hang belongs to, and {"verdict": {...}} at the end.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import resource
import sys
import warnings
from pathlib import Path
from typing import IO

import psutil

from mcnbench.backends import Backend, load
from mcnbench.case import Case, parse
from mcnbench.errors import BadInput
from mcnbench.verdict import Verdict
from suites.properties import engine

CASE_BYTES = 4 << 30
"""More than any case needs."""


def main(name: str, workers: int) -> None:
    """Serves until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    faulthandler.enable()  # the last words of a crash then say where in the user's file it was
    warnings.simplefilter("ignore")  # NaN and overflow are part of the cases
    try:
        backend = load(name)
        receipt = backend.version()
    except BadInput as error:
        _answer(answers, {"refused": str(error)})
        return
    except Exception as error:  # a receipt that cannot be given is the reason why the backend cannot run here
        _answer(answers, {"refused": f"backend '{name}' cannot run here: {type(error).__name__}: {error}"})
        return
    _answer(answers, {"ready": receipt, "blocks": backend.blocks()})
    _warm_up(workers)
    _answer(answers, {"warm": True})
    for line in sys.stdin:
        _answer(answers, {"verdict": json.loads(_serve(backend, json.loads(line), answers).to_json())})


def _serve(backend: Backend, request: dict[str, str], answers: IO[str]) -> Verdict:
    def on_case(case: Case) -> None:
        _answer(answers, {"case": str(case)})

    if "case" in request:
        case = parse(request["case"])
        on_case(case)
        return engine.replay(backend, case, request["property"])
    return engine.run(
        backend,
        request["block"],
        request["property"],
        request["dtype"],
        int(request["examples"]),
        int(request["seed"]),
        on_case=on_case,
    )


def _answer(answers: IO[str], message: dict[str, object]) -> None:
    answers.write(json.dumps(message) + "\n")


def _warm_up(workers: int) -> None:
    """What takes seconds and is no case's fault."""
    import torch

    # The oracle's sums are too small to share: torch's threads would only wait for one another. The backend keeps the
    # threads it has, unless it is torch itself.
    torch.set_num_threads(1)
    _limit_memory(workers)


def _limit_memory(workers: int) -> None:
    """Private memory up to 4 GiB more than the libraries took, and no more than this worker's share of the machine's;
    beyond it an allocation fails, and only here. Should the machine run out all the same, the kernel ends this process
    first."""
    share = min(int(psutil.virtual_memory().total * 0.8) // workers, psutil.Process().memory_info().data + CASE_BYTES)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (share, share))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
