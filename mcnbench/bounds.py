"""A-priori rounding-error bounds: |y - y64| <= bound, element by element, computed in float64 from the inputs alone.

A sum of n products in arithmetic with unit roundoff u is off by at most c(n, u) times the sum of the absolute values,
whatever the order of summation, where c is the smaller of the certain n u / (1 - n u) and the probable
exp(lambda sqrt(n) u + n u^2 / (1 - u)) - 1 with lambda = 7.5 (Higham and Mary 2019, SIAM J. Sci. Comput. 41(5)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcnbench.arrays import Float64

LAMBDA = 7.5  # the probable bound then fails about n times in 1e12 (Higham and Mary 2019)


@dataclass(frozen=True)
class Precision:
    """An arithmetic: unit roundoff u, smallest subnormal eta, smallest normal tiny, largest number big."""

    name: str
    u: float
    eta: float
    tiny: float
    big: float


def _ieee(name: str, digits: int, least_exponent: int, big: float) -> Precision:
    return Precision(name, 2.0**-digits, 2.0 ** (least_exponent - digits + 1), 2.0**least_exponent, big)


PRECISIONS = {
    p.name: p
    for p in (
        _ieee("float64", 53, -1022, float(np.finfo(np.float64).max)),
        _ieee("float32", 24, -126, float(np.finfo(np.float32).max)),
        # TF32 rounds the factors to 11 bits and keeps float32's exponents; its sums are float32's.
        Precision("tf32", 2.0**-11, 2.0**-149, 2.0**-126, float(np.finfo(np.float32).max)),
        _ieee("float16", 11, -14, float(np.finfo(np.float16).max)),
        _ieee("bfloat16", 8, -126, 3.3895313892515355e38),
    )
}


def certain(n: float | Float64, u: float) -> Float64:
    """n u / (1 - n u), the coefficient that no order of n roundings exceeds; inf where n u >= 1."""
    nu = np.asarray(n, np.float64) * u
    return np.where(nu < 1, nu / np.where(nu < 1, 1 - nu, 1), np.inf)


def coefficient(n: float | Float64, u: float) -> Float64:
    """The smaller of the certain and the probable coefficient of a sum of n products (notes: cs(n))."""
    n = np.asarray(n, np.float64)
    return np.minimum(certain(n, u), np.expm1(LAMBDA * np.sqrt(n) * u + n * u * u / (1 - u)))
