"""The gate: replicate after replicate of two versions, until the decision rule can tell, or the budget is spent.

A launch starts both versions afresh; each launch forks a few replicates; a replicate is some seconds of rounds; a
round is one turn of each version in random order, a turn a few steps of which the fastest counts (the first of a turn
is cold, and a minimum of few hides sporadic stalls). The log-ratio of the two turns is the datum.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np

from mcnbench.arrays import Float64
from mcnbench.compare import decision
from mcnbench.compare.decision import Calibration, Decision, Estimate, Offsets

PER_LAUNCH = 3
"""Replicates forked by one launch: a launch costs seconds, a fork tenths."""
CONFIRMING = 2
"""Fresh replicates that must show a suspected change again."""
FEWEST_ROUNDS = 12
"""A replicate of fewer rounds is not counted."""
TRIES = 8
"""Replicates of a case that may fail to count before the machine is called too busy."""

Replicate = Callable[[], Float64 | None]
"""Measures one replicate: the log-ratios of its rounds; None if it does not count, the machine being too busy."""
Launch = Callable[[], AbstractContextManager[Replicate]]
"""Starts both versions afresh."""


@dataclass
class Evidence:
    """All replicates of one case, in the order of time."""

    launch: Launch
    replicates: list[Float64] = field(default_factory=list)
    launches: int = 0
    refused: int = 0

    def gather(self, wanted: Callable[[], bool]) -> None:
        """Measures replicates while `wanted`, in as many launches as that takes, the first of them fresh."""
        while wanted() and self.refused < TRIES:
            with self.launch() as measure:
                self.launches += 1
                for _ in range(PER_LAUNCH):
                    if not wanted() or self.refused >= TRIES:
                        return
                    replicate = measure()
                    if replicate is None or len(replicate) < FEWEST_ROUNDS:
                        self.refused += 1
                    else:
                        self.replicates.append(replicate)

    def estimate(self, offsets: Offsets, since: int = 0) -> Estimate:
        """Over the replicates from number `since` on."""
        chosen = self.replicates[since:]
        return decision.estimate(chosen, -(-len(chosen) // PER_LAUNCH), offsets)


@dataclass(frozen=True)
class Outcome:
    """What was decided, on what evidence; `reason` is empty where the numbers say it."""

    decision: Decision
    estimate: Estimate | None
    evidence: Evidence
    reason: str = ""


def decide(
    launch: Launch,
    max_slowdown: float,
    offsets: Offsets,
    seconds: float,
    most: int,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Measures until the rule can tell, `seconds` are spent, or `most` replicates are measured.

    A suspected change must show again in two replicates of a fresh launch, by themselves and together with all others;
    these are measured even if the budget ends with the suspicion.
    """
    evidence, end = Evidence(launch), clock() + seconds

    def within_budget() -> bool:
        return len(evidence.replicates) < most and (clock() < end or not evidence.launches)

    def undecided() -> bool:
        if len(evidence.replicates) < 2:
            return within_budget()
        return within_budget() and decision.look(evidence.estimate(offsets), max_slowdown, last=False) is None

    while True:
        evidence.gather(undecided)
        if len(evidence.replicates) < 2:
            busy = "the machine is too busy: hardly a replicate had rounds enough"
            reason = busy if evidence.refused else "the budget allows too few rounds"
            return Outcome("AMBIGUOUS", None, evidence, reason)
        says = decision.look(evidence.estimate(offsets), max_slowdown, last=True)
        if says not in ("REGRESSED", "IMPROVED"):
            return Outcome(says or "AMBIGUOUS", evidence.estimate(offsets), evidence)
        before = len(evidence.replicates)
        evidence.gather(lambda before=before: len(evidence.replicates) < before + CONFIRMING)  # type: ignore[misc]
        found = evidence.estimate(offsets)
        if len(evidence.replicates) >= before + CONFIRMING:
            fresh = evidence.estimate(offsets, since=before).effect * (1 if says == "REGRESSED" else -1)
            if fresh > np.log1p(max_slowdown) / 2 and decision.look(found, max_slowdown, last=True) == says:
                return Outcome(says, found, evidence, "confirmed on fresh rounds")
        if not within_budget() or evidence.refused >= TRIES:
            reason = f"suspected to have {says.lower()}, but fresh rounds did not confirm it"
            return Outcome("AMBIGUOUS", found, evidence, reason)


def calibrate(launch: Launch, replicates: int) -> tuple[Calibration, Offsets] | None:
    """Compares a version with itself: how far apart identical code lies in a replicate here and now.

    None if the machine is so busy that hardly a replicate counts.
    """
    evidence = Evidence(launch)
    evidence.gather(lambda: len(evidence.replicates) < replicates)
    if len(evidence.replicates) < 2:
        return None
    single = [decision.estimate([x], 1, Offsets(0.0, 0.0)) for x in evidence.replicates]
    effects = [found.effect for found in single]
    # What the rounds of a replicate do not explain of its effect is its offset.
    unexplained = float(np.mean(np.square(effects)) - np.mean([found.error**2 for found in single]))
    usual = Offsets()
    return decision.calibrate(effects), Offsets(
        max(usual.replicate, float(np.sqrt(max(0.0, unexplained)))), usual.launch
    )
