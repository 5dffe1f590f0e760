"""`mcnbench run multi-gpu` as its user sees it: a rank that is killed, what is kept, `--resume`, the table."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from mcnbench import cli, runfile
from reports import frames, scaling

ROOT = Path(__file__).resolve().parents[2]
TINY = str(ROOT / "tests" / "data" / "tiny.toml")

KILLED = """
import os
import signal
from pathlib import Path

from impl import numpy_cpu
from impl.numpy_cpu import accuracy, conv2d, max_pool2d, prepare, precision, relu, set_threads, sgd

losses = 0


def softmax_log_loss(x, labels):
    global losses
    losses += 1
    if os.environ.get("RANK") == "1" and losses == 9 and Path("fail").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return numpy_cpu.softmax_log_loss(x, labels)
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str


def mcnbench(folder: Path, *arguments: str) -> Done:
    done = subprocess.run(
        [sys.executable, "-m", "mcnbench", "run", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def test_a_killed_rank_ends_its_case_only_and_resume_mends_it(tmp_path: Path) -> None:
    (tmp_path / "killed.py").write_text(KILLED)
    (tmp_path / "fail").touch()
    path = tmp_path / "a.jsonl"
    about = ["-n", TINY, "-b", "killed.py", "--workers", "1,2", "--sub-batch", "2", "--budget", "8s"]
    done = mcnbench(tmp_path, "multi-gpu", *about, "--out", "a.jsonl")
    assert done.code == 1, done.err
    assert "FAILED, rank 1 of 2 was killed (SIGKILL)" in done.out
    assert "Traceback" not in done.err
    kept = {m.workers: m for m in runfile.read(path).measurements if m.verified.holds}
    assert list(kept) == [1]

    (tmp_path / "fail").unlink()
    done = mcnbench(tmp_path, "--resume", "a.jsonl", "--budget", "8s")
    assert done.code == 0, done.err
    read = runfile.read(path)
    assert kept[1] in read.measurements
    (two,) = (m for m in read.measurements if m.workers == 2 and m.verified.holds)
    assert two.launch == 1
    assert [rank["sub_batches"] for rank in two.details["ranks"]] == [[2, 2], [2, 2]]
    cores = [tuple(rank["cores"]) for rank in two.details["ranks"]]
    assert all(len(mine) == two.threads for mine in cores)
    table = scaling.multi_gpu(frames.samples([read]), [read]).set_index("workers")
    assert list(table["state"]) == ["ok", "ok"]
    assert table.loc[2, "communication"] > 0
    assert "PREDICTED, not measured. Held out from the fit:" in done.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["multi-gpu", "--workers", "none"], "wanted numbers of workers such as 1,2,4, got 'none'"),
        (
            ["multi-gpu", "-n", TINY, "-b", "numpy", "--batch", "3", "--workers", "4"],
            "batch of 3 cannot be shared by 4",
        ),
        (["multi-gpu", "-n", TINY, "-b", "nunpy"], "unknown backend 'nunpy'"),
        (["multi-gpu", "--workers", "2,2"], "'2' is named twice among the workers"),
        (["training-speed", "--workers", "2"], "unknown key 'workers' in experiment 'training-speed'"),
    ],
)
def test_wrong_calls_are_refused_in_a_sentence(
    arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["mcnbench", "run", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    assert says in capsys.readouterr().err
