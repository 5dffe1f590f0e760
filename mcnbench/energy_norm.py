"""y = x (kappa + a S)^-beta, S being the sum of x^2 over a window: local response and spatial normalisation alike.

Oracle and bound of both (notation of the MatConvNet manual, section 6.5): D = kappa + a S, P = D^-beta,
Q = D^(-beta-1), dx = dy P - 2 beta x sum over the windows j that see the element of a_j dy_j x_j Q_j.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mcnbench.arrays import Array, Float64
from mcnbench.bounds import Precision, judged, power_error, product_coefficient
from mcnbench.oracle import Pullback


@dataclass(frozen=True)
class EnergyNorm:
    """The normalisation at given sizes: `gather` sums over each element's window, `scatter` is its adjoint."""

    kappa: float
    scale: Float64
    """a: alpha everywhere, or alpha divided by the pixels of each window."""
    beta: float
    gather: Callable[[Float64], Float64]
    scatter: Callable[[Float64], Float64]
    summands: int
    """How many squares a window sums at the most."""
    overlap: int
    """How many windows see an element at the most."""

    def oracle(self, x: Float64) -> tuple[Array, Pullback]:
        with np.errstate(all="ignore"):
            d = self.kappa + self.scale * self.gather(x * x)
            p, q = d**-self.beta, d ** (-self.beta - 1)

        def pullback(dy: Array) -> tuple[Array]:
            with np.errstate(all="ignore"):
                # x last: if it is subnormal, a product with the factors before the sum would lose digits
                return (dy * p - (2 * self.beta * self.scatter(self.scale * dy * x * q)) * x,)

        with np.errstate(all="ignore"):
            return x * p, pullback

    def bound(self, x: Float64, dy: Float64, precision: Precision, extra: int) -> dict[str, Float64]:
        """`extra` counts the roundings of a term of S beside its additions, such as the square and the factor a.

        D has a small relative error, for all its terms are positive; powers pass it on; the sum in dx is bounded like
        any sum. Not judged where D is no more than its error, or where a product that some right way of computing dx
        forms on its way may overflow.
        """
        u, eta, tiny = precision.u, precision.eta, precision.tiny
        x, dy = np.abs(x), np.abs(dy)
        y, _ = self.oracle(x)
        with np.errstate(all="ignore"):
            energy = self.gather(x * x)
            d = self.kappa + self.scale * energy
            dd = self.scale * energy * product_coefficient(self.summands + extra, u, x) + 2 * u * d
            dd = dd + 2 * (self.summands * self.scale + 1) * eta
            p, q = d**-self.beta, d ** (-self.beta - 1)
            flushed = np.minimum(p, q) < tiny
            floor = np.where(flushed, tiny, eta)
            by_p = power_error(d, dd, -self.beta, u) + 2 * u
            bound_y = x * p * by_p + floor * (1 + x)

            t = self.scale * dy * x * q
            reached = self.scatter(t)
            inherited = self.scatter(t * np.nan_to_num(power_error(d, dd, -self.beta - 1, u), nan=np.inf))
            lost = (1 + self.scale) * (1 + q) * (1 + p) * (1 + dy + x + dy * x)
            lost = floor * (1 + lost + (1 + dy) * self.scale / (p * d))
            bound_dx = dy * p * by_p + floor * (3 + dy) + 2 * self.beta * x * self.scatter(lost)
            bound_dx = bound_dx + 2 * self.beta * x * (
                inherited + product_coefficient(self.overlap + 8, u, t) * reached
            )

            products = [dy * x, dy * p, x * p, p * p * x, p * p * x * dy, dy * x * p, q, x * x * dy]
            # Constants may come first: beta, 2, and alpha times the window where the sum is taken as a mean.
            constants = 2 * (1 + self.beta) * self.summands
            largest = constants * np.maximum.reduce([np.nan_to_num(a, nan=np.inf) for a in products])
            plain = self.scatter(dy * x * q)
            bound_dx = bound_dx + eta * (reached + plain)  # 2 alpha beta x may be rounded as a subnormal number
            sums = constants * np.maximum(1, x) * np.maximum(plain, reached)
            unsafe = ~(largest <= precision.big) | (d - dd < 4 * tiny) | flushed
            unsafe = self.scatter(unsafe.astype(np.float64)) > 0
            value_dx = np.abs(dy * p) + 2 * self.beta * x * reached
        return {
            "y": judged(bound_y, y, precision, p, d, energy),
            "dx": np.where(unsafe, np.inf, judged(bound_dx, value_dx, precision, sums)),
        }
