"""A-priori rounding-error bounds: |y - y64| <= bound, element by element, computed in float64 from the inputs alone.

A sum of n products in arithmetic with unit roundoff u is off by at most c(n, u) times the sum of the absolute values,
whatever the order of summation, where c is the smaller of the certain n u / (1 - n u) and the probable
exp(lambda sqrt(n) u + n u^2 / (1 - u)) - 1 with lambda = 7.5 (Higham and Mary 2019, SIAM J. Sci. Comput. 41(5)).
The probable one assumes independent roundings, so sums of more than 57 repeated or hardly varying summands get the
certain one (`sum_coefficient`). Beside sums, an implementation may use + - * / and the square root rounded to within u,
and elementary functions to within `ELEMENTARY` and powers to within `POWER` u: that is all that the bounds assume.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcnbench.arrays import Float64

ELEMENTARY = 8  # exp, log, tanh, 1/sqrt: a relative error of at most 8 u (4 units in the last place)
POWER = 16  # pow: a relative error of at most 16 u (8 units in the last place)
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


def sum_coefficient(summands: Float64, extra: int, u: float, axis: tuple[int, ...] | None = None) -> Float64:
    """The coefficient of sums over `axis` (all axes by default) of these summands, with `extra` further roundings each.

    The probable coefficient where at most 57 summands are added (there it is no smaller than the certain one), or where
    the summands spread by more than they can lose (n u mean|a| <= std(a) / 4) and half of the nonzero ones differ; else
    the certain one: in a sequential sum of equal summands every addition is rounded the same way (measured: a million
    equal summands exceed the probable bound 26 times).
    """
    axes = tuple(range(summands.ndim)) if axis is None else axis
    rest = tuple(i for i in range(summands.ndim) if i not in axes)
    rows = summands.transpose(*rest, *axes).reshape(*(summands.shape[i] for i in rest), -1)
    n = rows.shape[-1]
    if n <= 57:
        return np.broadcast_to(coefficient(n + extra, u), rows.shape[:-1])
    ordered = np.sort(rows, axis=-1)
    changes = (np.diff(ordered, axis=-1) != 0) & (ordered[..., 1:] != 0)
    distinct = changes.sum(axis=-1) + (ordered[..., 0] != 0)
    spread = n * u * np.abs(rows).mean(axis=-1) <= rows.std(axis=-1) / 4
    independent = spread & (2 * distinct >= np.count_nonzero(rows, axis=-1))
    return np.where(independent, coefficient(n + extra, u), certain(n + extra, u))


def product_coefficient(n: float | Float64, u: float, *factors: Float64) -> Float64:
    """The coefficient of sums of n products of elements of the factors: `sum_coefficient`'s rule for many sums at once.

    The probable one if the nonzero elements of one of the factors spread and differ enough, for then so do the
    products; else the certain one.
    """
    largest = float(np.max(n, initial=0))
    if largest <= 57 or any(_varies(factor, largest, u) for factor in factors):
        return coefficient(n, u)
    return certain(n, u)


def convolution_coefficient(n: float | Float64, precision: Precision, *factors: Float64) -> Float64:
    """The coefficient of sums of n products as a convolution computes them: `product_coefficient`, but for TF32.

    TF32 rounds the factors alone, once each, perhaps toward zero (at most 2u), and sums in float32. Tensor cores
    truncate inside a sum, so all of its errors may have one sign: the certain coefficient, with 2u of float32 (Fasi,
    Higham, Mikaitis, Pranesh 2021, PeerJ Comput. Sci. 7:e330).
    """
    if precision.name != "tf32":
        return product_coefficient(n, precision.u, *factors)
    return (1 + 2 * precision.u) ** 2 * (1 + certain(2 * np.asarray(n, np.float64), 2.0**-24)) - 1


def _varies(a: Float64, n: float, u: float) -> bool:
    values = a[a != 0]
    if values.size < 2:
        return False
    spread = n * u * np.abs(values).mean() <= values.std() / 4
    return bool(spread and 2 * np.unique(values).size >= values.size)


def power_error(base: Float64, error: Float64, exponent: float, u: float) -> Float64:
    """The relative error of the computed base ** exponent when the base is known to within `error`.

    inf (not judged) where the base may be zero and the exponent is negative; 0 for the exponent 0.
    """
    if exponent == 0:
        return np.zeros_like(base)
    with np.errstate(all="ignore"):
        low = np.abs((np.maximum(base - error, 0) / base) ** exponent - 1)
        high = np.abs(((base + error) / base) ** exponent - 1)
        inherited = np.maximum(low, high)
        own = 2 * u * np.abs(exponent * np.log(base)) + POWER * u  # the exponent and its product are rounded as well
        return inherited + own + inherited * own


def judged(bound: Float64, value: Float64, precision: Precision, *intermediates: Float64) -> Float64:
    """The bound on an error relative to `value`, as it can be judged.

    inf where the value or one of the intermediate magnitudes may overflow, and where the bound is NaN. In float64 it
    is doubled, because the oracle computes in float64 as well and is off by as much as the implementation may be.
    """
    with np.errstate(all="ignore"):
        fits = np.abs(value) + bound <= precision.big * (1 - 4 * precision.u)
        for magnitude in intermediates:
            fits = fits & (magnitude <= precision.big)
        return np.where(fits, bound * (2 if precision.u <= 2.0**-53 else 1), np.inf)


def error_ratio(got: Float64, wanted: Float64, bound: Float64) -> Float64:
    """Error / bound, element by element: above 1 is a violation.

    0 where the two are equal (NaN equals NaN, an infinity itself) and where the bound is inf: not judged. inf where one
    is NaN or infinite and the other is not, and where they differ although the bound is 0.
    """
    got = np.asarray(got, np.float64)
    with np.errstate(all="ignore"):
        ratio = np.abs(got - wanted) / bound
    equal = (got == wanted) | (np.isnan(got) & np.isnan(wanted)) | np.isinf(bound)
    return np.where(equal, 0.0, np.where(np.isfinite(ratio), ratio, np.inf))
