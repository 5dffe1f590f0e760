"""The decision rule, its correction for many cases, and what an A/A calibration says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mcnbench.compare import decision
from mcnbench.compare.decision import Calibration, Estimate, Offsets


@pytest.mark.parametrize(
    ("percent", "error", "last", "says"),
    [
        # threshold 5%: the boundary is log(1.05) / 2 = 2.44%; 1.645 standard errors must lie beyond it
        (5.0, 0.5, False, "REGRESSED"),
        (-5.0, 0.5, False, "IMPROVED"),
        (0.0, 0.5, False, "SAME"),
        (2.0, 0.5, False, None),
        (3.0, 0.5, False, None),
        (3.5, 1.3, True, "REGRESSED"),
        (3.5, 1.4, True, "AMBIGUOUS"),  # 2.5 standard errors from 0 only
        (2.0, 1.0, True, "SAME"),
        (2.0, 2.0, True, "AMBIGUOUS"),
        (20.0, 5.0, True, "REGRESSED"),
    ],
)
def test_what_an_estimate_allows_to_be_said(percent: float, error: float, last: bool, says: str | None) -> None:
    assert decision.look(Estimate(percent / 100, error / 100), 0.05, last) == says


def test_significance_without_effect_is_no_regression() -> None:
    """One per cent slower, known to a hundredth of a per cent: within the threshold all the same."""
    assert decision.look(Estimate(0.01, 0.0001), 0.05, last=True) == "SAME"


def test_hodges_lehmann_is_unmoved_by_stalls() -> None:
    x = np.random.default_rng(0).normal(0.02, 0.01, 100)
    x[::10] += 5.0
    assert decision.hodges_lehmann(x) == pytest.approx(0.02, abs=0.005)
    assert decision.hodges_lehmann(np.array([1.0, 2.0, 6.0])) == 2.75  # of the pair means 1, 1.5, 2, 3.5, 4, 6


def test_the_standard_error_covers_the_truth() -> None:
    """With offsets of 0.3% a replicate and 0.3% a launch, |effect| / error is below 1.96 in about 95% of trials."""
    rng = np.random.default_rng(1)
    z = []
    for _ in range(300):
        offsets = np.repeat(rng.normal(0, 0.003, 2), 3) + rng.normal(0, 0.003, 6)
        found = decision.estimate([rng.normal(offset, 0.05, 60) for offset in offsets], 2, Offsets())
        z.append(found.effect / found.error)
    assert 0.90 <= np.mean(np.abs(z) < 1.96) <= 0.99


def test_the_floor_of_the_error_does_not_shrink_with_rounds() -> None:
    many = [np.zeros(10_000) + 1e-6 * np.arange(10_000) % 1e-5] * 2
    assert decision.estimate(many, 1, Offsets(0.004, 0.003)).error == pytest.approx(
        np.hypot(0.004 / 2**0.5, 0.003), rel=0.01
    )


def test_many_cases_raise_what_evidence_is_needed() -> None:
    """Of 40 quiet cases and one with p = 0.01, which alone would count, none is a discovery; a clear one still is."""
    rng = np.random.default_rng(2)
    quiet = list(rng.uniform(0.3, 1, 39))
    assert decision.false_discoveries(["REGRESSED"], [0.01]) == ["REGRESSED"]
    corrected = decision.false_discoveries(["SAME"] * 39 + ["REGRESSED"], [*quiet, 0.01])
    assert corrected == ["SAME"] * 39 + ["AMBIGUOUS"]
    assert decision.false_discoveries(["SAME"] * 39 + ["IMPROVED"], [*quiet, 1e-6])[-1] == "IMPROVED"
    assert decision.false_discoveries([], []) == []


def test_p_is_of_an_effect_beyond_what_nobody_minds() -> None:
    at_a_quarter = np.log(1.05) / 4
    assert decision.p_value(Estimate(at_a_quarter, 0.01), 0.05) == pytest.approx(0.5)
    assert decision.p_value(Estimate(-at_a_quarter - 0.02, 0.01), 0.05) == pytest.approx(stats.norm.sf(2))


def test_a_calibration_knows_what_it_can_detect() -> None:
    noise = Calibration(sigma=0.01, replicates=6)
    assert noise.detectable(4) == pytest.approx(np.expm1(3.971 * 0.005), rel=1e-3)  # 3.97 = 2.326 + 1.645
    assert noise.smallest_threshold(4) == pytest.approx(np.expm1(4.653 * 0.005), rel=1e-3)
    needed = noise.replicates_for(0.02)
    assert noise.smallest_threshold(needed) <= 0.02 < noise.smallest_threshold(needed - 1)


def test_a_calibration_of_few_replicates_is_careful() -> None:
    """The upper 95% bound: the true deviation of 1% lies below it in about 95 of 100 calibrations."""
    rng = np.random.default_rng(3)
    below = [decision.calibrate(list(rng.normal(0, 0.01, 6))).sigma >= 0.01 for _ in range(400)]
    assert 0.92 <= np.mean(below) <= 0.98
