"""How well a ratio is known: paired by launch and round, and honest about few rounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mcnbench.measure import precision
from reports.schema import Measurement


def measured(backend: str, samples: list[int], rounds: list[int], launch: int = 0) -> Measurement:
    fields: dict[str, Any] = {
        "case": "c", "network": "n", "backend": backend, "device": "cpu", "batch": 1, "dtype": "float32",
        "threads": 1, "images": 1, "flops": 1, "launch": launch,
    }  # fmt: skip
    return Measurement(**fields, samples_ns=samples, round=rounds)


def test_ratios_are_paired_by_launch_and_round() -> None:
    ours = [measured("a", [10, 20, 30], [0, 1, 2]), measured("a", [50], [0], launch=1)]
    peer = [measured("b", [40, 20], [1, 0]), measured("b", [25], [0], launch=1)]
    assert sorted(precision.ratios(ours, peer)) == [0.5, 2, 2]  # round 2 of launch 0 has no peer


def test_samples_of_one_round_count_once() -> None:
    assert precision.times([measured("a", [10, 90, 20], [0, 0, 0])]) == {(0, 0): 20}


def test_the_width_is_that_of_students_interval() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        values = np.exp(rng.normal(0, 0.05, 3))
        covered += abs(np.log(values).mean()) <= np.log1p(precision.width(values))
    assert covered / 2000 == pytest.approx(0.95, abs=0.015)
    assert precision.width(np.array([1.0])) == np.inf


def test_what_is_least_known_counts() -> None:
    peer = measured("b", [10, 10, 10], [0, 1, 2])
    close, wide = measured("a", [10, 11, 10], [0, 1, 2]), measured("c", [10, 30, 20], [0, 1, 2])
    found = precision.least_known([close, wide, peer], "b")
    assert (
        found == precision.width(precision.ratios([wide], [peer])) > precision.width(precision.ratios([close], [peer]))
    )


def test_without_a_peer_the_times_themselves_count() -> None:
    alone = measured("a", [10, 30, 20], [0, 1, 2])
    assert precision.least_known([alone], "b") == precision.width(np.array([10.0, 30.0, 20.0]))
    assert precision.least_known([], "b") == 0
