"""How well the ratio of a backend to its peer is known from the rounds so far.

While rounds are few, the bootstrap's interval is only their range and too narrow; what to measure next is therefore
decided by Student's interval of the mean log ratio, which is honest from two rounds on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy import stats

from mcnbench.arrays import Float64
from reports.schema import Measurement
from reports.statistics import LEVEL


def ratios(ours: Iterable[Measurement], peer: Iterable[Measurement]) -> Float64:
    """The peer's time over ours, one value for each round that both were timed in: above 1, ours is faster."""
    a, b = times(ours), times(peer)
    return np.array([b[key] / a[key] for key in a if key in b])


def width(values: Float64) -> float:
    """The relative half width of the 95% interval of times or ratios; infinite for fewer than two rounds."""
    n = len(values)
    if n < 2:
        return np.inf
    quantile = stats.t.ppf((1 + LEVEL) / 2, n - 1)
    return float(np.expm1(quantile * np.std(np.log(values), ddof=1) / np.sqrt(n)))


def least_known(measurements: Sequence[Measurement], peer: str) -> float:
    """The widest of the intervals of all backends' ratios to the peer; of their times where the peer has none. Nothing
    measured counts as 0: there is nothing to know."""
    beside = [m for m in measurements if m.backend == peer]
    widths = []
    for backend in {m.backend for m in measurements}:
        ours = [m for m in measurements if m.backend == backend]
        if not beside:
            widths.append(width(np.array(list(times(ours).values()))))
        elif backend != peer:
            widths.append(width(ratios(ours, beside)))
    return max(widths, default=0.0)


def times(measurements: Iterable[Measurement]) -> dict[tuple[int, int], float]:
    """The median time of each (launch, round) in ns; the samples of a round are not independent of each other."""
    samples: dict[tuple[int, int], list[int]] = {}
    for m in measurements:
        for number, ns in zip(m.round, m.samples_ns, strict=True):
            samples.setdefault((m.launch, number), []).append(ns)
    return {key: float(np.median(ns)) for key, ns in samples.items()}
