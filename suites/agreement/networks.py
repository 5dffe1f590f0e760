"""Whole networks on several backends from the same parameters: one step's loss and gradients, and training beside each
other. The oracle is the NumPy backend in float64, in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mcnbench import network
from mcnbench.arrays import Array
from mcnbench.errors import BadInput
from reports.schema import StepAgreement, Trajectory
from suites.agreement import steps
from suites.agreement.blocks import pairs
from suites.agreement.judging import ORACLE
from suites.agreement.process import Failed, Process

BATCH = 4
"""Images of the step that is compared."""
DIGITS = 64
"""Images of each step of training."""
SHARE = 1e-2
"""How far a parameter's gradient may be from float64's, in relative 2-norm: in float32 a ReLU or a maximum may fall on
the other side of a kink, which is no error (as for a timed step, mcnbench/verification.py)."""


@contextmanager
def oracle() -> Iterator[Process]:
    process = Process("numpy")
    process.start()
    try:
        yield process
    finally:
        process.end()


def compare_step(processes: Sequence[Process], name: str, seed: int) -> list[StepAgreement]:
    """One step of the network on all backends."""
    found: dict[str, dict[str, Array]] = {}
    missing: dict[str, tuple[str, str]] = {}
    for key, got in _all(processes, name, seed):
        if isinstance(got, str):
            missing[key] = "UNSUPPORTED", got
        elif isinstance(got, Failed):
            forward_only = "forward-only" in str(got) or "has no block" in str(got)
            missing[key] = "UNSUPPORTED" if forward_only else "ERROR", str(got)
        else:
            found[key] = got
    return [_line(name, pair, found, missing) for pair in pairs([process.backend for process in processes])]


def _all(processes: Sequence[Process], name: str, seed: int) -> Iterator[tuple[str, dict[str, Array] | str | Failed]]:
    net = network.load(name)
    with tempfile.TemporaryDirectory() as folder, oracle() as exact:
        path = Path(folder) / "parameters.safetensors"
        steps.save_parameters(net, path, seed, scaled=True)
        for process in (exact, *processes):
            key, dtype = (ORACLE, "float64") if process is exact else (process.backend, "float32")
            try:
                process.ask(steps.begin, name, str(path), dtype, BATCH, None)
                yield key, process.ask(steps.one_step, BATCH, seed)
            except Failed as error:
                yield key, error


def _line(
    name: str, pair: tuple[str, str], found: dict[str, dict[str, Array]], missing: dict[str, tuple[str, str]]
) -> StepAgreement:
    line = StepAgreement(
        case=f"agree/{name}", network=name, backend=pair[0], other=pair[1], batch=BATCH, verdict="UNSUPPORTED"
    )
    for key in pair:
        if key in missing:
            word, why = missing[key]
            return line.model_copy(update={"verdict": word, "message": f"{key}: {why}"})
    a, b = (found[key] for key in pair)
    apart = {key: _relative(a[key], b[key]) for key in a}
    loss = apart.pop("loss")
    worst = max(apart, key=lambda key: apart[key])
    fine = max(loss, apart[worst]) <= SHARE
    seen = {"verdict": "AGREE" if fine else "DIFFER", "loss": loss, "gradient": apart[worst], "parameter": worst}
    return line.model_copy(update=seen)


def _relative(a: Array, b: Array) -> float:
    norm = float(np.linalg.norm(b.astype(np.float64)))
    apart = float(np.linalg.norm(a.astype(np.float64) - b.astype(np.float64)))
    return apart / norm if norm else float(apart > 0)


def refuse_untrainable(name: str) -> None:
    """Raises BadInput for a network that digits are not for."""
    net = network.load(name)
    if net.input != (1, 32, 32) or net.shapes()[net.layers[-1].maps[0]][1:] != (10, 1, 1):
        raise BadInput(f"network '{name}' does not take digits of 1x32x32 in ten classes: --train wants lenet-5")


def compare_training(
    processes: Sequence[Process], name: str, count: int, seed: int, on_step: Callable[[], None]
) -> list[Trajectory]:
    """So many steps on scikit-learn's digits on all backends that can train, step by step beside each other."""
    net = network.load(name)
    with tempfile.TemporaryDirectory() as folder, oracle() as exact:
        path = Path(folder) / "parameters.safetensors"
        steps.save_parameters(net, path, seed, scaled=True)
        exact.ask(steps.begin, name, str(path), "float64", DIGITS, steps.LR)
        running = {ORACLE: exact}
        for process in processes:
            try:
                process.ask(steps.begin, name, str(path), "float32", DIGITS, steps.LR)
                if isinstance(process.ask(steps.one_step, 1, seed), str):
                    continue
                process.ask(steps.begin, name, str(path), "float32", DIGITS, steps.LR)  # from the start again
            except Failed:
                continue  # the step's comparison has said why
            running[process.backend] = process
        compared = pairs([key for key in running if key != ORACLE])
        distances: dict[tuple[str, str], list[float]] = {pair: [] for pair in compared}
        for step in range(count):
            for process in running.values():
                process.send(steps.train, step, DIGITS, seed)
            at = {key: process.receive() for key, process in running.items()}
            for a, b in compared:
                distances[a, b].append(_relative(at[a], at[b]))
            on_step()
        accuracy = {key: process.ask(steps.accuracy) for key, process in running.items()}
    return [
        Trajectory(
            case=f"agree/{name}/training",
            network=name,
            backend=a,
            other=b,
            distance=distances[a, b],
            accuracy=accuracy[a],
            other_accuracy=accuracy[b],
        )
        for a, b in compared
    ]
