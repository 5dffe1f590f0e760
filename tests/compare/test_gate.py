"""The gate's schedule: when it stops, what it confirms, what it does on a busy machine. Replicates are made up here;
test_replay.py has recorded ones, test_against.py real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from mcnbench.arrays import Float64
from mcnbench.compare import gate
from mcnbench.compare.decision import Offsets

FOREVER = float("inf")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def launches_of(
    replicate: Callable[[int], Float64 | None], clock: Clock | None = None, seconds: float = 2.5
) -> tuple[gate.Launch, list[int]]:
    """A launch whose replicates are `replicate(number)`, and the list of the numbers at which each launch began."""
    began: list[int] = []
    count = 0

    @contextmanager
    def launch() -> Iterator[gate.Replicate]:
        began.append(count)

        def measure() -> Float64 | None:
            nonlocal count
            count += 1
            if clock:
                clock.now += seconds
            return replicate(count - 1)

        yield measure

    return launch, began


def noise(effect: float, deviation: float = 0.02, rounds: int = 60) -> Callable[[int], Float64]:
    return lambda number: np.random.default_rng(number).normal(effect, deviation, rounds)


def test_a_clear_slow_down_is_confirmed_in_a_fresh_launch() -> None:
    launch, began = launches_of(noise(0.08))
    found = gate.decide(launch, 0.05, Offsets(), FOREVER, most=6)
    assert (found.decision, found.reason) == ("REGRESSED", "confirmed on fresh rounds")
    assert began == [0, 2]  # two replicates raise the suspicion, the next launch confirms it
    assert len(found.evidence.replicates) == 4


def test_a_suspicion_that_does_not_show_again_is_not_reported() -> None:
    """The first launch happens to be 8% slower, as processes of identical code can be; later ones are not."""
    launch, _ = launches_of(lambda number: noise(0.08 if number < 2 else 0.0)(number))
    found = gate.decide(launch, 0.05, Offsets(), FOREVER, most=6)
    assert found.decision in ("AMBIGUOUS", "SAME")
    assert len(found.evidence.replicates) >= 4


def test_a_suspicion_is_confirmed_even_when_the_budget_ends_with_it() -> None:
    clock = Clock()
    launch, _ = launches_of(noise(0.08), clock)
    found = gate.decide(launch, 0.05, Offsets(), 5.0, most=60, clock=clock)
    assert found.decision == "REGRESSED"
    assert clock.now == 10.0


def test_the_budget_ends_what_cannot_be_decided() -> None:
    clock = Clock()
    launch, _ = launches_of(noise(0.024, deviation=0.6), clock)
    found = gate.decide(launch, 0.05, Offsets(), 15.0, most=60, clock=clock)
    assert found.decision == "AMBIGUOUS"
    assert clock.now <= 20.0


def test_each_launch_forks_three_replicates() -> None:
    launch, began = launches_of(noise(0.024, deviation=0.6))
    gate.decide(launch, 0.05, Offsets(), FOREVER, most=8)
    assert began[:3] == [0, 3, 6]


def test_a_machine_too_busy_is_ambiguous_and_ends() -> None:
    launch, _ = launches_of(lambda number: None)
    found = gate.decide(launch, 0.05, Offsets(), FOREVER, most=6)
    assert (found.decision, found.estimate) == ("AMBIGUOUS", None)
    assert "too busy" in found.reason
    assert gate.calibrate(launches_of(lambda number: np.zeros(3))[0], 4) is None  # replicates of too few rounds


def test_calibration_sees_the_offsets_of_processes() -> None:
    """Replicates that differ by 2% for their whole life: no number of rounds shows that, the calibration must."""
    offsets = np.random.default_rng(5).normal(0, 0.02, 12)
    launch, _ = launches_of(lambda number: noise(offsets[number], deviation=0.001)(number))
    calibrated = gate.calibrate(launch, 12)
    assert calibrated is not None
    found, floor = calibrated
    assert 0.01 < floor.replicate < 0.04
    assert found.sigma >= floor.replicate
    quiet, usual = gate.calibrate(launches_of(noise(0.0, deviation=0.01))[0], 12) or (None, None)
    assert quiet is not None
    assert quiet.sigma < 0.005
    assert usual == Offsets()
