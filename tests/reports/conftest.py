"""Run files for the tests of reports, written by the real writer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcnbench.runfile import Writer
from reports import schema

Made = Callable[..., Path]

RUN = schema.Run(
    experiment="training-speed",
    command="mcnbench run training-speed",
    started="2026-01-02T03:04:05Z",
    machine={"cpu": "Example CPU, 2 cores"},
    versions={"numpy": "2.4.6", "torch": "2.13.0"},
    git={"commit": "0123456789abcdef"},
)

HOLDS = schema.Verified(before="HOLDS", after="HOLDS", error_ratio=0.25, error_multiple=1.5)


def measurement(network: str, backend: str, seconds: list[float], **changes: Any) -> schema.Measurement:
    """A verified measurement of a step of ten images and 3e9 operations, one sample per round."""
    content: dict[str, Any] = {
        "case": f"training-speed/{network}",
        "network": network,
        "backend": backend,
        "device": "cpu",
        "batch": 10,
        "dtype": "float32",
        "threads": 2,
        "images": 10,
        "flops": 3_000_000_000,
        "launch": 0,
        "samples_ns": [round(1e9 * s) for s in seconds],
        "round": list(range(len(seconds))),
        "verified": HOLDS,
        "peak_bytes": 2_000_000_000,
    }
    return schema.Measurement(**(content | changes))


def agreement(backend: str, other: str, worst: float = 0.5, **changes: Any) -> schema.Agreement:
    """Two backends, or one and float64, that agree in twelve cases of softmax."""
    content: dict[str, Any] = {
        "case": f"agree/softmax/{backend}/{other}",
        "block": "softmax",
        "direction": "forward",
        "backend": backend,
        "other": other,
        "dtype": "float32",
        "verdict": "AGREE",
        "examples": 12,
        "worst_ratio": worst,
        "median_ratio": worst / 2,
        "worst_bits": 20.0,
        "equal": 3,
        "reproduce": "softmax x=1x3x1x1 seed=1",
    }
    return schema.Agreement(**(content | changes))


def training(backend: str, distance: float, network: str = "lenet-5", **changes: Any) -> list[schema.Line]:
    """A step of a network beside float64, and three steps of training that end at that distance."""
    who = {"case": f"agree/{network}", "network": network, "backend": backend, "other": "float64"}
    step: dict[str, Any] = {
        "batch": 8,
        "verdict": "AGREE",
        "loss": 0.0,
        "gradient": 1e-4,
        "parameter": "c1.w",
    } | changes
    way = schema.Trajectory(**who, distance=[distance / 4, distance / 2, distance], accuracy=0.9, other_accuracy=0.9)
    return [schema.StepAgreement(**who, **step), way]


@pytest.fixture
def make_run(tmp_path: Path) -> Made:
    """make_run(*lines, name="run", status="complete", **changes of the first line) -> the path of a new run file."""

    def make(*lines: schema.Line, name: str = "run", status: Any = "complete", **changes: Any) -> Path:
        path = tmp_path / "runs" / f"{name}.jsonl"
        with Writer.create(path, RUN.model_copy(update=changes)) as writer:
            for line in lines:
                writer.write(line)
            writer.end(status)
        return path

    return make
