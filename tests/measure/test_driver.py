"""Visits with real workers: what one backend does wrong is recorded, and the other is measured all the same."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import mcnbench
from mcnbench import network, runfile
from mcnbench.measure import environment
from mcnbench.measure.budget import Budget
from mcnbench.measure.crew import Crew
from mcnbench.measure.driver import Case, Driver
from mcnbench.measure.judging import Check, Judge
from mcnbench.measure.process import Worker
from mcnbench.measure.progress import Report
from mcnbench.measure.work import timed_network
from mcnbench.training import Trainer
from reports import schema
from tests.measure.conftest import Faulty

Visit = Callable[..., dict[str, schema.Measurement]]

RUN = schema.Run(experiment="t", command="", started=runfile.now(), machine={}, versions={}, git={})

ALL = Check()

LATE = '''
"""NumPy's convolution and update, of which one goes wrong after the first step."""

from impl import numpy_cpu
from impl.numpy_cpu import max_pool2d, prepare, relu, set_threads, softmax_log_loss

calls = 0


def version():
    return "late"


def conv2d(*inputs, **options):
    global calls
    calls += 1
    y, pullback = numpy_cpu.conv2d(*inputs, **options)
    late = calls > 2  # the tiny network has two
    if late and "{fault}" == "y":
        y = y * y.dtype.type(1.01)

    def changed(dy):
        dx, dw, db = pullback(dy)
        return (dx, dw * dw.dtype.type(1.01), db) if late and "{fault}" == "gradient" else (dx, dw, db)

    return y, changed


def sgd(w, v, dw, *, lr, momentum, weight_decay):
    if not (calls > 2 and "{fault}" == "update"):
        numpy_cpu.sgd(w, v, dw, lr=lr, momentum=momentum, weight_decay=weight_decay)
'''

LATER = 4  # the ReLU is called once for the check and once a step, so this is in the warm-up or the rounds


@pytest.fixture(scope="module")
def start() -> Callable[[], Worker]:
    return partial(Worker, environment.clean(os.environ, threads=1).variables)


@pytest.fixture(scope="module")
def judge(start: Callable[[], Worker]) -> Iterator[Judge]:
    with Judge(start, 1, 60.0) as judge:
        yield judge


@pytest.fixture
def visit(tmp_path: Path, tiny: str, start: Callable[[], Worker], judge: Judge) -> Iterator[Visit]:
    """Visits a tiny case with these backends; the first is the peer. Returns the measurements by backend. At another
    batch it is another case; of several cases, one after the other, the last one's measurements are returned."""
    net = network.load(tiny)

    def of(batch: int) -> Case:
        build = {"network_name": tiny, "batch": batch, "dtype": "float32", "seed": 0, "images": None}
        return Case(f"t/tiny/{batch}", net, batch, net.flops(batch), build)

    with runfile.Writer.create(tmp_path / "run.jsonl", RUN) as writer:

        def run(
            *backends: str,
            seconds: float = 1.0,
            time_limit: float = 20.0,
            check: Check = ALL,
            batches: tuple[int, ...] = (4,),
            start: Callable[[], Worker] = start,
        ) -> dict[str, schema.Measurement]:
            cases = [of(batch) for batch in batches]
            budget = Budget(seconds, {case.name: 1.0 for case in cases})
            with Crew(backends, start, threads=1) as crew:
                driver = Driver(
                    backends=backends,
                    crew=crew,
                    judge=judge,
                    threads=1,
                    device="cpu",
                    dtype="float32",
                    seed=0,
                    time_limit=time_limit,
                    check=check,
                    peer=backends[0],
                    precision=0.01,
                    writer=writer,
                    budget=budget,
                    report=Report(seconds),
                    coming={case.name: following for case, following in pairwise(cases)},
                )
                found: list[schema.Measurement] = []
                for case in cases:
                    assert budget.enter(case.name) or found
                    found = driver.visit(case, 0)
                return {m.backend: m for m in found}

        yield run


def test_two_right_backends_are_timed_round_by_round_and_verified_twice(
    visit: Visit, faulty: Faulty, tmp_path: Path
) -> None:
    found = visit("numpy", faulty("nothing"))
    for measurement in found.values():
        assert measurement.error is None
        assert (measurement.verified.before, measurement.verified.after) == ("HOLDS", "HOLDS"), measurement.verified
        assert 0 < (measurement.verified.error_ratio or 0) < 1
        assert len(measurement.samples_ns) == len(measurement.round) >= 2
        assert min(measurement.samples_ns) > 0
        assert (measurement.peak_bytes or 0) > 2**20
    first, second = (set(m.round) for m in found.values())
    assert first == second
    read = runfile.read(tmp_path / "run.jsonl")
    assert read.measurements == tuple(found.values())


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("crash", r"crashed \(SIGABRT\) during"),
        ("killed", r"killed \(SIGKILL\), most likely by the system for lack of memory"),
        ("memory", "ran out of memory"),
        ("exception", "RuntimeError: no more ReLU today"),
        ("printing", "crashed .* the last it printed: about to abort"),
    ],
)
def test_a_worker_that_fails_is_an_error_of_its_case_and_the_other_goes_on(
    visit: Visit, faulty: Faulty, fault: str, says: str
) -> None:
    backend = faulty(fault, LATER)
    found = visit("numpy", backend)
    assert found["numpy"].verified.holds
    assert len(set(found["numpy"].round)) >= 2
    failed = found[backend]
    assert failed.error is not None
    assert re.search(says, failed.error)
    assert not failed.verified.holds


def test_a_worker_that_fails_in_its_check_is_recorded_as_an_error_there(visit: Visit, faulty: Faulty) -> None:
    backend = faulty("exit")
    found = visit("numpy", backend)
    assert found["numpy"].verified.holds
    assert found[backend].verified.before == "ERROR"
    assert found[backend].samples_ns == []
    assert "ended with exit code 7 during 'record'" in (found[backend].error or "")


def test_a_worker_that_hangs_is_ended_after_its_time(visit: Visit, faulty: Faulty) -> None:
    backend = faulty("hang", LATER)
    found = visit("numpy", backend, time_limit=5.0)
    assert found["numpy"].verified.holds
    assert "gave no answer" in (found[backend].error or "")
    assert "within 5 s and was ended" in (found[backend].error or "")


def test_a_wrong_backend_is_not_timed(visit: Visit, faulty: Faulty) -> None:
    backend = faulty("wrong")
    found = visit("numpy", backend)
    assert found["numpy"].verified.holds
    assert found[backend].verified.before == "VIOLATED"
    assert (found[backend].verified.error_ratio or 0) > 1
    assert "relu1" in (found[backend].verified.message or "")
    assert found[backend].samples_ns == []
    assert found[backend].error is None


@pytest.mark.parametrize("fault", ["wrong", "lazy"])
def test_a_backend_that_becomes_wrong_while_it_is_timed_is_found_out(visit: Visit, faulty: Faulty, fault: str) -> None:
    """As one does that notices that it is being timed, and returns what it computed before."""
    backend = faulty(fault, LATER)
    found = visit("numpy", backend)
    assert found["numpy"].verified.holds
    assert (found[backend].verified.before, found[backend].verified.after) == ("HOLDS", "VIOLATED")
    assert not found[backend].verified.holds
    message = found[backend].verified.message or ""
    assert message.startswith("right before it was timed, wrong on fresh data after: ")
    assert "relu1" in message


def test_a_hasty_check_verifies_twice_too_and_finds_what_is_wrong(visit: Visit, faulty: Faulty) -> None:
    hasty = Check(images=1, share=0.5, hasty=True)
    found = visit("numpy", faulty("wrong"), faulty("nothing"), check=hasty)
    right = found["numpy"].verified
    assert (right.before, right.after) == ("HOLDS", "HOLDS")
    assert found[faulty("nothing")].verified.holds
    assert found[faulty("wrong")].verified.before == "VIOLATED"


@pytest.mark.parametrize("fault", ["nothing", "wrong"])
def test_after_a_hasty_check_workers_that_were_right_go_on(
    fault: str, visit: Visit, faulty: Faulty, start: Callable[[], Worker], tmp_path: Path
) -> None:
    """To a case that they built while the judge was busy. If one was wrong, all are new."""
    started: list[Worker] = []

    def counted() -> Worker:
        started.append(start())
        return started[-1]

    hasty = Check(images=1, share=0.5, hasty=True)
    backends = "numpy", faulty(fault, LATER)
    found = visit(*backends, check=hasty, batches=(4, 2, 3), start=counted)
    read = runfile.read(tmp_path / "run.jsonl").measurements
    assert [(m.batch, m.backend) for m in read] == [(batch, name) for batch in (4, 2, 3) for name in backends]
    assert all(m.verified.holds and len(m.samples_ns) >= 2 for m in read if m.backend == "numpy")
    right = fault == "nothing"
    assert {m.verified.after for m in read if m.backend != "numpy"} == {"HOLDS" if right else "VIOLATED"}
    assert len(started) == (2 if right else 6)
    assert found["numpy"].images == 3


@pytest.mark.parametrize("fault", ["y", "gradient", "update"])
def test_a_hasty_check_finds_what_becomes_wrong_while_it_is_timed(fault: str, visit: Visit, tmp_path: Path) -> None:
    backend = tmp_path / f"late_{fault}.py"
    backend.write_text(LATE.format(fault=fault))
    found = visit("numpy", str(backend), check=Check(images=1, share=0.1, hasty=True))
    assert found["numpy"].verified.holds
    assert (found[str(backend)].verified.before, found[str(backend)].verified.after) == ("HOLDS", "VIOLATED")
    assert not found[str(backend)].verified.holds


def test_a_backend_without_a_block_of_the_network_is_unsupported(visit: Visit, tmp_path: Path) -> None:
    backend = tmp_path / "only_relu.py"
    backend.write_text("from impl.numpy_cpu import relu\n")
    found = visit("numpy", str(backend))
    assert found["numpy"].verified.holds
    assert "has no block conv2d" in (found[str(backend)].error or "")


def test_a_judge_that_dies_leaves_one_step_unverified_and_judges_the_next(
    start: Callable[[], Worker], tiny: str, tmp_path: Path
) -> None:
    with start() as worker, Judge(start, 1, 60.0) as judge:
        worker.ask("hello", 60.0, backend="numpy", threads=1)
        worker.ask("build", 60.0, network_name=tiny, batch=2, dtype="float32", seed=0, images=None, variant=None)
        worker.ask("record", 60.0, folder=str(tmp_path), seed=1, images=2)
        judge.send(str(tmp_path / "none.toml"), tmp_path, whole=True)
        judge.send(tiny, tmp_path, whole=True)
        first, second = judge.receive(), judge.receive()
        assert first.before == "ERROR"
        assert "could not be judged" in (first.message or "")
        assert second.before == "HOLDS"


def test_steps_over_and_over_on_the_same_images_do_not_diverge() -> None:
    """At VGG-F's own learning rate NaN comes within 16 steps."""
    trainer = Trainer(timed_network("vgg-f"), mcnbench.backend("numpy"), 2)
    for _ in range(16):
        trainer.step()
    losses: list[float] = []
    trainer.observed(1, 1, lambda name, array: losses.append(float(array)) if name == "loss" else None)
    assert losses[0] == pytest.approx(np.log(1000), rel=0.5)
