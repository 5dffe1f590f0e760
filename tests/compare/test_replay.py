"""The gate on real noise: recordings of two processes of identical code on a shared 2-core machine, replayed.

`tests/data/gate-noise.csv.gz` holds, per round of the recording, launch, fork and log(min of B's turn / min of A's)
in parts per million, for a single-threaded convolutional network in PyTorch (t1) and a NumPy network (np), with other
load coming and going; allocator settings and pinning as the gate has them. A slow-down of d adds log(1 + d).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mcnbench.arrays import Float64
from mcnbench.compare import gate
from mcnbench.compare.decision import Offsets

NOISE = Path(__file__).parents[1] / "data" / "gate-noise.csv.gz"
SECONDS = 2.5  # of a replicate
MOST = 6  # replicates: 15 s


def recorded(workload: str) -> list[list[Float64]]:
    """Replicates by launch."""
    table = pd.read_csv(NOISE)
    table = table[table["workload"] == workload]
    return [
        [fork["ppm"].to_numpy(np.float64) / 1e6 for _, fork in launch.groupby("fork")]
        for _, launch in table.groupby("launch")
    ]


def trial(launches: list[list[Float64]], slowdown: float, rng: np.random.Generator) -> gate.Outcome:
    """A run of the gate whose replicates are drawn from the recording, either side being called head."""

    @contextmanager
    def launch() -> Iterator[gate.Replicate]:
        forks = launches[rng.integers(len(launches))]
        sign = rng.choice([-1, 1])

        def replicate() -> Float64:
            return sign * forks[rng.integers(len(forks))] + np.log1p(slowdown)

        yield replicate

    return gate.decide(launch, 0.05, Offsets(), seconds=float("inf"), most=MOST)


def rates(workload: str, slowdown: float, trials: int, seed: int) -> Counter[str]:
    rng = np.random.default_rng(seed)
    launches = recorded(workload)
    return Counter(trial(launches, slowdown, rng).decision for _ in range(trials))


@pytest.mark.parametrize("workload", ["t1", "np"])
def test_identical_code_is_not_called_slower(workload: str) -> None:
    found = rates(workload, 0.0, 300, seed=1)
    assert found["REGRESSED"] + found["IMPROVED"] <= 2  # below 1 in 100
    assert found["SAME"] >= 270


@pytest.mark.parametrize("workload", ["t1", "np"])
def test_a_slow_down_of_the_threshold_is_found(workload: str) -> None:
    found = rates(workload, 0.05, 200, seed=2)
    assert found["REGRESSED"] >= 190  # 95%
    assert found["SAME"] == 0


def test_a_speed_up_is_found_too() -> None:
    found = rates("np", -0.05, 100, seed=3)
    assert found["IMPROVED"] >= 90
    assert found["REGRESSED"] == 0


def test_a_tenth_is_never_missed() -> None:
    assert rates("t1", 0.10, 100, seed=4) == {"REGRESSED": 100}
