"""Medians with 95% intervals, and ratios paired by round: what every table and figure says of a set of samples.

A median's interval is the percentile bootstrap of scipy; from 200 values on, where a bootstrap would only cost time,
it is the interval between order statistics whose ranks are binomial, to which the bootstrap converges.

Of n values below six both are the range of the values, which holds the true median with probability 1 - 2^(1-n) only:
50% for two, 75% for three, 94% for five. Tables therefore say of how many rounds an interval is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95
MANY = 200


class Estimate(NamedTuple):
    """A median, its 95% interval, and of how many rounds. Of a single round the interval is NaN."""

    median: float
    low: float
    high: float
    rounds: int


NOTHING = Estimate(np.nan, np.nan, np.nan, 0)


def estimate(values: NDArray[np.floating]) -> Estimate:
    """The median of one value per round with its 95% interval; the same for the same values (fixed seed)."""
    n = len(values)
    if n == 0:
        return NOTHING
    median = float(np.median(values))
    if n == 1:
        return Estimate(median, np.nan, np.nan, 1)
    if n >= MANY:
        first, last = stats.binom.interval(LEVEL, n, 0.5)
        low, high = np.sort(values)[[int(first) - 1, int(last)]]
    elif np.ptp(values) == 0:  # scipy warns of a degenerate distribution
        low = high = median
    else:
        sampled = stats.bootstrap(
            (values,), np.median, confidence_level=LEVEL, method="percentile", rng=np.random.default_rng(0)
        )
        low, high = sampled.confidence_interval.low, sampled.confidence_interval.high
    return Estimate(median, float(low), float(high), n)


def by_round(samples: pd.DataFrame) -> pd.Series[float]:
    """Seconds per round, indexed by (launch, round): the median of the round's samples, which depend on each other.

    `samples` has the columns `launch`, `round` and `seconds`; rows without a time are left out.
    """
    timed = samples.loc[samples["seconds"].notna(), ["launch", "round", "seconds"]]
    return timed.groupby(["launch", "round"], observed=True)["seconds"].median()


def time(samples: pd.DataFrame) -> Estimate:
    """Seconds per sample: the median over rounds."""
    return estimate(by_round(samples).to_numpy(np.float64))


def ratio(ours: pd.DataFrame, peer: pd.DataFrame) -> Estimate:
    """How many times as fast `ours` is as `peer` per sample: the median, over the rounds that both have, of the peer's
    time over ours in the same round. Above 1 ours is faster. Without a common round there is nothing to say (NaN)."""
    if peer.empty:
        return NOTHING
    both = pd.concat([by_round(peer), by_round(ours)], axis=1, join="inner", keys=["peer", "ours"])
    return estimate((both["peer"] / both["ours"]).to_numpy(np.float64))
