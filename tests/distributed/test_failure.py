"""A rank that dies, hangs or diverges is named in one sentence, within the time-out, and no process is left."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from mcnbench.distributed.team import Local, RankFailed, Team
from mcnbench.measure import environment

TINY = str(Path(__file__).parents[1] / "data" / "tiny.toml")

LIMIT = 60.0  # seconds for what a sound rank does, on a busy machine
SHORT = 4.0  # seconds after which a hanging rank is ended

FAULTY = '''
"""NumPy's blocks, of which rank 1 does something else from its second step on."""

import os
import time

import numpy as np

from impl import numpy_cpu
from impl.numpy_cpu import accuracy, conv2d, max_pool2d, prepare, precision, relu, set_threads, sgd, softmax_log_loss

losses = 0


def softmax_log_loss(x, labels):
    global losses
    losses += 1
    y, pullback = numpy_cpu.softmax_log_loss(x, labels)
    if os.environ.get("RANK") == "1" and losses > 2:
        {fault}
    return y, pullback


def sgd(w, v, dw, **options):
    numpy_cpu.sgd(w, v, dw, **options)
    if os.environ.get("RANK") == "1" and losses > 2 and {drifts}:
        w += np.float32(1e-6)
'''


def faulty(folder: Path, fault: str = "pass", drifts: bool = False) -> str:
    path = folder / "faulty.py"
    path.write_text(FAULTY.format(fault=fault, drifts=drifts))
    return str(path)


@contextmanager
def trained(backend: str, ranks: int) -> Iterator[Team]:
    """Ranks that have taken two steps of a tiny network."""
    variables = environment.clean(os.environ, 1).variables

    def start(rank: int) -> Local:
        return Local(variables, [])

    with Team(start, ranks) as team:
        team.ask("hello", LIMIT, backend=backend, threads=1)
        port = team.ask_each([("open", {"address": "127.0.0.1"})], LIMIT)[0]["port"] if ranks > 1 else 0
        each = [{"rank": rank} for rank in range(ranks)]
        team.ask("join", LIMIT, each, ranks=ranks, address="127.0.0.1", port=port, device="cpu", seconds=LIMIT)
        about = {"network_name": TINY, "dtype": "float32", "seed": 0, "images": None, "variant": None}
        team.ask("share", LIMIT, **about, batch=2 * ranks, sub_batch=2)
        team.ask("steps", LIMIT, count=2)
        yield team


def ends(team: Team, action: Callable[[], object], limit: float = LIMIT) -> str:
    """What is said of a team that fails of the action; nothing of it may be left."""
    pids = [member.pid for member in team.members if isinstance(member, Local)]
    assert len(pids) == team.ranks
    began = time.monotonic()
    with pytest.raises(RankFailed) as failed:
        action()
    assert time.monotonic() - began < limit
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    sentence = str(failed.value)
    assert "\n" not in sentence
    return sentence


def signalled(team: Team, rank: int, what: signal.Signals) -> None:
    """Signals the rank a moment from now, in the middle of its steps."""
    member = team.members[rank]
    assert isinstance(member, Local)
    threading.Timer(0.3, os.kill, (member.pid, what)).start()


def test_a_rank_that_is_killed() -> None:
    """PyTorch's own way, that is; NumPy's is in test_run.py."""
    with trained("torch", 3) as team:
        signalled(team, 1, signal.SIGKILL)
        said = ends(team, partial(team.ask, "steps", LIMIT, count=1_000_000))
    assert said.startswith("rank 1 of 3 was killed (SIGKILL)")


def test_a_rank_that_is_stopped() -> None:
    with trained("numpy", 3) as team:
        signalled(team, 2, signal.SIGSTOP)
        said = ends(team, partial(team.ask, "steps", SHORT, count=1_000_000), SHORT + 30)
    assert said == "rank 2 of 3 gave no answer to 'steps' within 4 s: stopped from outside (SIGSTOP)"


def test_a_rank_that_hangs(tmp_path: Path) -> None:
    with trained(faulty(tmp_path, "time.sleep(1000)"), 2) as team:
        said = ends(team, partial(team.ask, "steps", SHORT, count=2), SHORT + 30)
    assert said == "rank 1 of 2 gave no answer to 'steps' within 4 s: the others wait for it"


def test_gradients_that_are_not_finite(tmp_path: Path) -> None:
    fault = "first = pullback; pullback = lambda dy: (first(dy)[0] * np.float32(np.nan), None)"
    with trained(faulty(tmp_path, fault), 2) as team:
        said = ends(team, partial(team.ask, "steps", LIMIT, count=2))
    assert said.startswith("rank 1 of 2 diverged: its gradient of ")
    assert said.endswith("is not finite")


def test_a_loss_that_is_not_finite(tmp_path: Path) -> None:
    with trained(faulty(tmp_path, "y = y * np.float32(np.inf)"), 2) as team:
        said = ends(team, partial(team.ask, "steps", LIMIT, count=2))
    assert said == "rank 1 of 2 diverged: its loss is not finite"


def test_parameters_that_differ(tmp_path: Path) -> None:
    with trained(faulty(tmp_path, drifts=True), 3) as team:
        team.agree("digest", LIMIT)
        team.ask("steps", LIMIT, count=1)
        said = ends(team, partial(team.agree, "digest", LIMIT))
    assert said == "rank 1 of 3 diverged: its parameters are not those of the other ranks after the same steps"


def test_an_exception_of_one_rank(tmp_path: Path) -> None:
    with trained(faulty(tmp_path, "raise RuntimeError('no more')"), 2) as team:
        said = ends(team, partial(team.ask, "steps", LIMIT, count=2))
    assert said == "rank 1 of 2 failed: RuntimeError: no more"
