"""The decision rule: effect, evidence, threshold; when to stop, and what the machine allows to be seen at all.

Everything is in log-ratios, x = log(time of head / time of base) of one round: x > 0 is slower. Measurements of one
process share an offset that no number of rounds removes (page placement, heap), so the standard error has a floor per
forked replicate and per launch; and significance alone always alarms in the end, so the decision also needs an effect:
with a threshold L = log(1 + max slow-down), half of it is the boundary. A slow-down of the threshold is found,
identical code is silent, and what lies between half the threshold and the threshold may be reported either way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from mcnbench.arrays import Float64

Decision = Literal["REGRESSED", "IMPROVED", "SAME", "AMBIGUOUS"]

Z95 = float(stats.norm.ppf(0.95))
Z995 = float(stats.norm.ppf(0.995))
BATCH = 6
"""Rounds per batch: neighbours share the core's speed, and medians of a few keep that in the standard error."""
DISCOVERIES = 0.05
"""The share of false ones among the cases called REGRESSED or IMPROVED (Benjamini and Hochberg 1995)."""


@dataclass(frozen=True)
class Offsets:
    """Standard deviations of what all rounds of one replicate (a forked process), and of one launch, have in common."""

    replicate: float = 0.003
    launch: float = 0.003


@dataclass(frozen=True)
class Estimate:
    """The effect in log-ratio with its standard error."""

    effect: float
    error: float

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the log-ratio."""
        z = float(stats.norm.ppf(0.975))
        return self.effect - z * self.error, self.effect + z * self.error


def hodges_lehmann(x: Float64) -> float:
    """The median of the means of all pairs: efficient as the mean, unmoved by stalls (Hodges and Lehmann 1963)."""
    if len(x) > 1500:  # 10^6 pairs say no more
        x = x[np.random.default_rng(0).permutation(len(x))[:1500]]
    i, j = np.triu_indices(len(x))
    return float(np.median((x[i] + x[j]) / 2))


def estimate(replicates: Sequence[Float64], launches: int, offsets: Offsets) -> Estimate:
    """The effect over all replicates (one array of log-ratios each, in the order of time) of that many launches."""
    batches = np.concatenate([_batch_medians(x) for x in replicates])
    robust = 1.2533 * float(stats.median_abs_deviation(batches, scale="normal")) / np.sqrt(len(batches))
    plain = float(batches.std(ddof=1)) / np.sqrt(len(batches)) if len(batches) > 1 else np.inf
    within = max(robust, min(plain, 2 * robust))
    error = np.sqrt(within**2 + offsets.replicate**2 / len(replicates) + offsets.launch**2 / launches)
    return Estimate(hodges_lehmann(np.concatenate(replicates)), float(error))


def _batch_medians(x: Float64) -> Float64:
    whole = len(x) // BATCH * BATCH
    return np.median(x[:whole].reshape(-1, BATCH), axis=1) if whole else np.atleast_1d(np.median(x))


def look(found: Estimate, max_slowdown: float, last: bool) -> Decision | None:
    """What the estimate allows to be said; None: measure on. No correction for repeated looks is needed, since the
    boundary is half the threshold and not 0 (measured with all looks: false alarms below 0.1%)."""
    threshold = np.log1p(max_slowdown)
    boundary, (e, se) = threshold / 2, (found.effect, found.error)
    if e - Z95 * se > boundary:
        return "REGRESSED"
    if e + Z95 * se < -boundary:
        return "IMPROVED"
    if abs(e) + Z95 * se < boundary:
        return "SAME"
    if not last:
        return None
    if abs(e) > boundary and abs(e) > Z995 * se and se < boundary / Z95:
        return "REGRESSED" if e > 0 else "IMPROVED"
    if abs(e) < boundary and abs(e) + Z95 * se < threshold:
        return "SAME"
    return "AMBIGUOUS"


def p_value(found: Estimate, max_slowdown: float) -> float:
    """The probability of such an effect if the true one were a quarter of the threshold, which nobody would mind."""
    return float(stats.norm.sf((abs(found.effect) - np.log1p(max_slowdown) / 4) / found.error))


def false_discoveries(decisions: Sequence[Decision], p: Sequence[float]) -> list[Decision]:
    """A suite's decisions corrected for their number: a change without evidence enough becomes AMBIGUOUS."""
    if not decisions:
        return []
    q = stats.false_discovery_control(np.clip(p, 0, 1), method="bh")
    return [
        "AMBIGUOUS" if decision in ("REGRESSED", "IMPROVED") and q >= DISCOVERIES else decision
        for decision, q in zip(decisions, q, strict=True)
    ]


@dataclass(frozen=True)
class Calibration:
    """What comparing a version with itself (A/A) says about this machine now."""

    sigma: float
    """Upper 95% bound of the standard deviation of one replicate's effect, in log-ratio."""
    replicates: int

    def error(self, replicates: int) -> float:
        """The standard deviation of the effect of a comparison of that many replicates."""
        return self.sigma / float(np.sqrt(replicates))

    def detectable(self, replicates: int) -> float:
        """The smallest slow-down (0.05 = 5%) found in 95% of comparisons at 1% false alarms."""
        return float(np.expm1((stats.norm.ppf(0.99) + stats.norm.ppf(0.95)) * self.error(replicates)))

    def smallest_threshold(self, replicates: int) -> float:
        """The smallest --max-slowdown that keeps false alarms below 1%: its half is 2.33 standard deviations."""
        return float(np.expm1(2 * stats.norm.ppf(0.99) * self.error(replicates)))

    def replicates_for(self, max_slowdown: float) -> int:
        """How many replicates a comparison at that threshold needs."""
        return int(np.ceil((2 * stats.norm.ppf(0.99) * self.sigma / np.log1p(max_slowdown)) ** 2))


def calibrate(effects: Sequence[float]) -> Calibration:
    """From the effects of replicates of identical code. Few of them give a wide, so a careful, upper bound."""
    n = len(effects)
    mean_square = float(np.mean(np.square(effects)))
    return Calibration(float(np.sqrt(n * mean_square / stats.chi2.ppf(0.05, n))), n)
