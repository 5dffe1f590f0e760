"""`mcnbench compare --against`: every case of a gate experiment on two versions, measured in the same minutes.

For each case a version is first compared with itself (A/A): what that shows is the noise here and now, printed before
any verdict, and a threshold below what it allows is AMBIGUOUS, with the time it would take.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from mcnbench.compare import decision, gate
from mcnbench.compare.correctness import violation
from mcnbench.compare.decision import Calibration, Estimate
from mcnbench.compare.files import speed_comparison
from mcnbench.compare.interleave import SECONDS, Failed, Workload, launch
from mcnbench.compare.result import Comparison, Verdict
from mcnbench.compare.revisions import Version

CALIBRATING = 6
"""Replicates of A/A: their number makes the upper bound of the noise 1.9 times what was seen."""
FEWEST, MOST = 2, 60


def least_seconds(cases: int) -> float:
    """The smallest budget in which every case gets a look: calibration and two replicates, with their launches."""
    return cases * 2 * FEWEST * 2 * SECONDS


def compare(
    workloads: Sequence[Workload],
    base: Version,
    head: Version,
    max_slowdown: float,
    budget: float,
    seed: int,
    say: Callable[[str], None],
) -> list[Comparison]:
    """Measures every workload until it is decided, `budget` seconds in all, and returns a line for each."""
    rng = np.random.default_rng(seed)
    end = time.monotonic() + budget
    found: list[Comparison] = []
    outcomes: list[tuple[Workload, gate.Outcome]] = []
    for i, workload in enumerate(workloads):
        share = max(0.0, end - time.monotonic()) / (len(workloads) - i)
        try:
            outcome = _one(workload, base, head, max_slowdown, share, rng, say)
        except Failed as error:
            failed = {"base": base.name, "head": head.name}[error.which]
            verdict: Verdict = "MISSING" if error.which == "head" else "INCOMPARABLE"
            found.append(Comparison(workload.name, workload.backend, "speed", verdict, f"{failed} fails: {error}"))
            continue
        if isinstance(outcome, Comparison):
            found.append(outcome)
        else:
            outcomes.append((workload, outcome))
    return _corrected(outcomes, max_slowdown) + found


def _one(
    workload: Workload,
    base: Version,
    head: Version,
    max_slowdown: float,
    seconds: float,
    rng: np.random.Generator,
    say: Callable[[str], None],
) -> gate.Outcome | Comparison:
    key = (workload.name, workload.backend)
    start = time.monotonic()
    wrong = violation(workload, "head", head)
    if wrong:
        return Comparison(*key, "speed", "INCORRECT", f"{head.name} is wrong: {wrong}")
    begun = time.monotonic()
    calibrated = gate.calibrate(partial(launch, workload, base, base, rng), _calibrating(seconds))
    if calibrated is None:
        say(f"{workload.name}: too busy a machine to say anything")
        return Comparison(*key, "speed", "AMBIGUOUS", "the machine is too busy: hardly a replicate had rounds enough")
    noise, offsets = calibrated
    left = seconds - (time.monotonic() - start)
    replicates = max(FEWEST, min(MOST, int(left / _replicate_seconds(begun, noise))))
    say(_noise_line(workload, noise, replicates))
    if noise.smallest_threshold(replicates) > max_slowdown:
        needed = noise.replicates_for(max_slowdown) * _replicate_seconds(begun, noise)
        return Comparison(
            *key,
            "speed",
            "AMBIGUOUS",
            f"identical code differs so much here that {noise.smallest_threshold(replicates):.1%} is the smallest "
            f"honest threshold in the budget; {max_slowdown:.1%} would take about {needed:.0f} s for this case",
        )
    return gate.decide(partial(launch, workload, base, head, rng), max_slowdown, offsets, left, MOST)


def _calibrating(seconds: float) -> int:
    """Replicates for A/A: not more than half of the budget."""
    return max(FEWEST, min(CALIBRATING, int(seconds / 2 / SECONDS)))


def _replicate_seconds(start: float, noise: Calibration) -> float:
    """What a replicate took, its share of the launch and the warm-up included."""
    return (time.monotonic() - start) / noise.replicates


def _noise_line(workload: Workload, noise: Calibration, replicates: int) -> str:
    return (
        f"{workload.name} on {workload.backend}: identical code differs by {np.expm1(noise.sigma):.1%} a replicate "
        f"(upper bound from {noise.replicates}); the {replicates} replicates in the budget can show "
        f"{noise.detectable(replicates):.1%}"
    )


def _corrected(outcomes: Sequence[tuple[Workload, gate.Outcome]], max_slowdown: float) -> list[Comparison]:
    """The decisions, corrected for their number, as lines."""
    worst = Estimate(0.0, float("inf"))
    p = [decision.p_value(outcome.estimate or worst, max_slowdown) for _, outcome in outcomes]
    verdicts = decision.false_discoveries([outcome.decision for _, outcome in outcomes], p)
    lines = []
    for (workload, outcome), verdict in zip(outcomes, verdicts, strict=True):
        key = workload.name, workload.backend
        if outcome.estimate is None:
            lines.append(Comparison(*key, "speed", verdict, outcome.reason))
            continue
        line = speed_comparison(key, outcome.estimate, verdict, max_slowdown)
        rounds = f"{len(outcome.evidence.replicates)} replicates of {outcome.evidence.launches} launches"
        reason = outcome.reason if verdict == "AMBIGUOUS" and outcome.reason else line.reason
        confirmed = f", {outcome.reason}" if verdict in ("REGRESSED", "IMPROVED") else ""
        lines.append(
            Comparison(*key, "speed", verdict, f"{reason}{confirmed}; {rounds}", line.change, line.low, line.high)
        )
    return lines
