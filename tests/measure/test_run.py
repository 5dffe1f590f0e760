"""`mcnbench run` as its user sees it: the table, bad input in one sentence, interruption, `--resume`, exit codes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from mcnbench import cli, runfile
from tests.measure.conftest import Faulty

ROOT = Path(__file__).resolve().parents[2]

EXPERIMENT = """
kind = "training-speed"
networks = ["{network}"]
backends = ["numpy", "{backend}"]
peer = "numpy"
budget = "{budget}"
time_limit = "20s"
precision = 1e-9
threads = 1
"""


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """The last line of standard error."""
        return self.err.strip().splitlines()[-1]


Mcnbench = Callable[..., Done]


@pytest.fixture
def mcnbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Mcnbench:
    """Runs the command line in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["mcnbench", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return Done(int(exit_.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def experiment(tmp_path: Path, tiny: str, faulty: Faulty) -> Path:
    """An experiment of a tiny network on two backends that are right, for a long time."""
    path = tmp_path / "small.toml"
    path.write_text(EXPERIMENT.format(network=tiny, backend=faulty("nothing"), budget="60s"))
    return path


def test_a_run_prints_the_table_and_its_file_is_complete(mcnbench: Mcnbench, experiment: Path, faulty: Faulty) -> None:
    done = mcnbench("run", experiment, "--budget", "8s", "--out", "a.jsonl")
    assert done.code == 0
    assert done.out.count("yes") == 2
    assert "Tiny" in done.out or "tiny" in done.out
    read = runfile.read("a.jsonl")
    assert read.status == "complete"
    assert {m.backend for m in read.measurements} == {"numpy", faulty("nothing")}
    assert read.run.environment["set"]["OMP_NUM_THREADS"] == "1"
    assert read.run.settings["budget"] == 8
    assert (read.limit or 0) > 1e9


def test_a_wrong_backend_has_no_number_and_the_exit_code_is_1(
    mcnbench: Mcnbench, experiment: Path, faulty: Faulty
) -> None:
    done = mcnbench("run", experiment, "-b", "numpy", "-b", faulty("wrong"), "--budget", "8s", "--out", "a.jsonl")
    assert done.code == 1
    (row,) = (line for line in done.out.splitlines() if "WRONG" in line and faulty("wrong")[-20:] in line)
    assert not any(cell.replace(".", "").isdigit() and "." in cell for cell in row.split()[1:4])


def test_nothing_measured_is_not_success(mcnbench: Mcnbench, experiment: Path, faulty: Faulty) -> None:
    done = mcnbench("run", experiment, "-b", faulty("exception"), "--budget", "8s", "--out", "a.jsonl")
    assert done.code == 3
    assert "no more ReLU today" in done.out + done.err
    assert "nothing was measured" in done.said


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["run"], 2, r"which experiment\? known: .*training-speed"),
        (["run", "trainingspeed"], 2, "unknown experiment 'trainingspeed'; did you mean 'training-speed'"),
        (["run", "none.toml"], 2, "experiment file 'none.toml' cannot be read"),
        (["run", "training-speed", "-n", "alxnet"], 2, "unknown network 'alxnet'; did you mean 'alexnet'"),
        (["run", "training-speed", "-b", "nunpy"], 2, "unknown backend 'nunpy'; did you mean 'numpy'"),
        (["run", "training-speed", "-b", "none.py"], 2, "backend file 'none.py' does not exist"),
        (["run", "training-speed", "--budget", "soon"], 2, "'soon' is no duration"),
        (["run", "training-speed", "--budget", "0"], 3, "budget of 0"),
        (["run", "training-speed", "--batch", "0"], 3, "batch of 0"),
        (["run", "training-speed", "--batch", "-2"], 2, "at least 1 image, got -2"),
        (["run", "training-speed", "--batch", "1000000"], 2, "alexnet at batch 1000000 needs about .* GiB .* smaller"),
        (["run", "training-speed", "--threads", "0"], 2, "at least 1 thread"),
        (["run", "training-speed", "--threads", "1000"], 2, "a core for each, got 1000"),
        (["run", "multi-gpu", "--threads", "1000"], 2, "a core for each, got 1000"),
        (["run", "training-speed", "--device", "tpu"], 2, "Input should be 'cpu' or 'cuda'"),
        (["run", "training-speed", "--bugdet", "3m"], 2, "No such option.*--budget"),
        (["run", "training-speed", "-n", "alexnet", "-n", "alexnet"], 2, "'alexnet' is named twice"),
        (["run", "training-speed", "--images", "no_such_folder"], 2, "image folder 'no_such_folder' cannot be read"),
        (["run", "training-speed", "--out", "exists.jsonl"], 2, "'exists.jsonl' exists already"),
        (["run", "training-speed", "--out", "exists.jsonl/x.jsonl"], 2, "cannot write 'exists.jsonl/x.jsonl'"),
        (["run", "--resume", "none.jsonl"], 2, "cannot read run file 'none.jsonl'"),
        (["run", "--resume", "exists.jsonl"], 2, "run file 'exists.jsonl', line 1: not JSON"),
    ],
)
def test_bad_input_is_one_sentence(mcnbench: Mcnbench, arguments: list[str], code: int, says: str) -> None:
    Path("exists.jsonl").write_text("precious\n")
    done = mcnbench(*arguments)
    assert done.code == code
    assert done.out == ""
    assert re.search(says, done.said)
    assert "Traceback" not in done.err
    assert Path("exists.jsonl").read_text() == "precious\n"
    assert not list(Path("runs").glob("*")), "a run that did not begin leaves no file"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind = ", "is not TOML"),
        ("title = 'x'", "has no 'kind'"),
        ("kind = 'training-sped'", "unknown kind 'training-sped'.*did you mean 'training-speed'"),
        ("kind = 'training-speed'\nnetwroks = []", "unknown key 'netwroks' in .*did you mean 'networks'"),
        ("kind = 'training-speed'\nnetworks = []", "key 'networks'"),
        ("kind = 'training-speed'\nnetworks = ['alexnet']\nbackends = ['numpy']", "key 'peer'"),
        ("kind = 'training-speed'\nbudget = 'soon'", "'soon' is no duration|key"),
    ],
)
def test_a_bad_experiment_file_is_named_with_its_key(mcnbench: Mcnbench, text: str, says: str) -> None:
    Path("bad.toml").write_text(text)
    done = mcnbench("run", "bad.toml")
    assert done.code == 2
    assert "bad" in done.said
    assert re.search(says, done.said)


def test_a_backend_file_that_does_not_import_is_refused_before_anything_is_timed(mcnbench: Mcnbench) -> None:
    Path("broken.py").write_text("import no_such_module_anywhere\n")
    done = mcnbench("run", "training-speed", "-b", "broken.py")
    assert done.code == 2
    assert re.search("backend file 'broken.py' does not import: ModuleNotFoundError", done.said)


def _start(experiment: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mcnbench", "run", str(experiment), "--out", "a.jsonl"],
        cwd=experiment.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell lets its background jobs ignore an interrupt, and so whatever they start, these tests among them.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def _samples(path: Path) -> int:
    return path.read_text().count('"kind":"sample"') if path.exists() else 0


def _wait_for_samples(process: subprocess.Popen[str], path: Path, count: int = 40) -> None:
    deadline = time.monotonic() + 60
    while _samples(path) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_kill_9_loses_nothing_leaves_no_worker_and_resume_goes_on(
    mcnbench: Mcnbench, experiment: Path, tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    process = _start(experiment)
    _wait_for_samples(process, path)
    workers = psutil.Process(process.pid).children()
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert len(workers) >= 2
    assert alive == []
    counted = path.read_text().rpartition("\n")[0].count('"kind":"sample"')
    killed = runfile.read(path)
    assert killed.status == "interrupted"
    assert sum(len(m.samples_ns) for m in killed.measurements) == counted >= 40
    assert all(m.interrupted and not m.verified.holds for m in killed.measurements)

    done = mcnbench("run", "--resume", path, "--budget", "8s")
    assert done.code == 0
    read = runfile.read(path)
    assert read.status == "complete"
    assert sum(m.verified.holds for m in read.measurements) >= 2
    interrupted = [m for m in read.measurements if m.interrupted]
    assert sum(len(m.samples_ns) for m in interrupted) == counted
    assert {m.launch for m in interrupted} == {0}
    assert mcnbench("run", "--resume", path).code == 3, "nothing left to run"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_one_line_and_closes_the_file(experiment: Path, tmp_path: Path, sent: signal.Signals) -> None:
    path = tmp_path / "a.jsonl"
    process = _start(experiment)
    _wait_for_samples(process, path)
    workers = psutil.Process(process.pid).children()
    process.send_signal(sent)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err.strip().splitlines()[-1] == "mcnbench: interrupted; go on with: mcnbench run --resume a.jsonl"
    assert "Traceback" not in err
    assert out == ""
    assert psutil.wait_procs(workers, timeout=60)[1] == []
    assert runfile.read(path).status == "interrupted"
    assert '"kind":"end"' in path.read_text().splitlines()[-1]


def test_resuming_takes_no_other_options(mcnbench: Mcnbench, tmp_path: Path) -> None:
    from reports import schema

    run = schema.Run(
        experiment="training-speed", command="", started="", machine={}, versions={}, git={}, settings={"name": "small"}
    )
    with runfile.Writer.create(tmp_path / "a.jsonl", run):
        pass
    done = mcnbench("run", "--resume", "a.jsonl", "-n", "alexnet", "--quick")
    assert done.code == 2
    assert "leave out --network, --quick" in done.said
    assert "is a run of small, not of other" in mcnbench("run", "other", "--resume", "a.jsonl").said


def test_help_needs_no_heavy_import() -> None:
    program = (
        "import sys\nsys.argv = ['mcnbench', '--help']\nfrom mcnbench.cli import main\ntry:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "print(sorted({'torch', 'pandas', 'matplotlib', 'scipy', 'numpy', 'pydantic'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert "run" in done.stdout
