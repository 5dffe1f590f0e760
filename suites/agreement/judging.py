"""How far two results are from each other and from float64, in units of the bound and in bits.

The bound is the a-priori one of the block's description (`mcnbench.bounds`): two right results differ by at most the
sum of theirs. They agree in b bits where |a - b| <= 2^-b times the largest magnitude of the float64 result, the array
over; bits are counted up to the digits of the dtype.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

import numpy as np

from mcnbench import blocks
from mcnbench.arrays import Array, Float64
from mcnbench.bounds import PRECISIONS, error_ratio
from mcnbench.case import Case
from suites.properties.trial import bounds

ORACLE = "float64"
"""The name of the oracle among the backends that are compared."""
Direction = Literal["forward", "backward"]
DIRECTIONS: tuple[Direction, ...] = ("forward", "backward")

Values = Mapping[str, Array]
"""y ("y") and the gradients ("dx", ...)."""


def direction(name: str) -> str:
    return "forward" if name == "y" else "backward"


@dataclass(frozen=True)
class Right:
    """What the oracle says of a case, and how far an implementation may be from it."""

    case: Case
    values: dict[str, Float64]
    dy: Array

    def bounds(self, precision: str, factor: float | None) -> dict[str, Float64]:
        """`factor` is that of a normwise algorithm, None for a componentwise one."""
        inputs, options = self.case.inputs(), self.case.options
        return bounds(self.case.block, inputs, options, self.dy, PRECISIONS[precision], self._factor(factor))

    def _factor(self, factor: float | None) -> float | None:
        return factor if "w" in self.case.names else None


def right(case: Case) -> Right:
    inputs, dy = case.inputs(), case.dy()
    y, pullback = blocks.block(case.block).oracle(inputs, case.options)
    gradients = zip(case.names, pullback(dy.astype(np.float64)), strict=False)
    return Right(case, {"y": np.asarray(y)} | {f"d{name}": g for name, g in gradients if g is not None}, dy)


@dataclass
class Difference:
    """Two backends, or one and the oracle, in one block and direction, over the cases seen so far."""

    ratios: list[float] = field(default_factory=list)
    """Of each case the largest difference over the bound."""
    bits: list[float] = field(default_factory=list)
    equal: int = 0
    """Cases in which they agree bit for bit."""
    worst_case: str = ""
    worst_quantity: str = ""

    def add(self, case: Case, ratios: Mapping[str, float], bits: float, equal: bool) -> None:
        name = max(ratios, key=lambda key: ratios[key])
        if not self.ratios or ratios[name] > max(self.ratios):
            self.worst_case, self.worst_quantity = str(case), name
        self.ratios.append(ratios[name])
        self.bits.append(bits)
        self.equal += equal

    @property
    def worst(self) -> float:
        return max(self.ratios)

    @property
    def median(self) -> float:
        return median(self.ratios)


def compare(
    right: Right, a: Values, b: Values | None, a_bounds: Values, b_bounds: Values | None
) -> dict[str, tuple[dict[str, float], float, bool]]:
    """By direction: each quantity's largest difference over the bound, the bits of the worst, whether all are equal.

    With None for b, a is compared with the oracle.
    """
    found: dict[str, tuple[dict[str, float], float, bool]] = {}
    for which in DIRECTIONS:
        names = [n for n in right.values if direction(n) == which and n in a and (b is None or n in b)]
        if not names:
            continue
        ratios, bits, same = {}, [], True
        for name in names:
            bound = a_bounds[name] + (0 if b_bounds is None else b_bounds[name])
            other = right.values[name] if b is None else b[name]
            ratio = error_ratio(a[name].astype(np.float64), other.astype(np.float64), bound)
            ratios[name] = float(ratio.max(initial=0.0))
            bits.append(_bits(a[name], other, right.values[name], bound, right.case.dtype))
            same &= _equal(a[name], other.astype(right.case.dtype))
        found[which] = ratios, min(bits), same
    return found


def _bits(a: Array, b: Array, exact: Float64, bound: Array, dtype: str) -> float:
    digits = float(np.finfo(dtype).nmant + 1)
    with np.errstate(all="ignore"):
        use = np.isfinite(bound) & np.isfinite(exact)
        apart = np.abs(a.astype(np.float64) - b.astype(np.float64))[use]
        scale = np.abs(exact[use]).max(initial=0.0)
        largest = apart.max(initial=0.0)
        if largest == 0:
            return digits
        return max(0.0, min(digits, float(np.log2(scale) - np.log2(largest)))) if scale > 0 else 0.0


def _equal(a: Array, b: Array) -> bool:
    """The same bits, but for the bits of a NaN."""
    return a.dtype == b.dtype and bool(
        ((a == b) & (np.signbit(a) == np.signbit(b)) | (np.isnan(a) & np.isnan(b))).all()
    )
