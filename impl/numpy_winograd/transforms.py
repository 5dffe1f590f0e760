"""The transforms of Winograd's minimal filtering F(m x m, 3 x 3), made by Cook and Toom's construction.

In one dimension, m outputs y of 3 taps g on m + 2 inputs d are  y = A^T [(G g) * (B^T d)],  with m + 2 products instead
of 3 m. With finite points p_0 .. p_m and infinity, and N_f the product of p_f - p_k over the other points,

    A^T[a, f] = p_f^a,   G[f, r] = p_f^r / N_f,   B^T[f, :] = coefficients of the product of (x - p_k), k other than f

and for infinity the unit vectors of the highest power and the coefficients of the product over all finite points. In
two dimensions the same acts on rows and on columns (Lavin and Gray 2016).

Rounding errors grow with the transforms' norms. For F(4 x 4) the points 0, +-2/3, +-3/2 make ``norm_factor`` four times
smaller than the usual 0, +-1, +-2 do, and the measured error less than half (that fractions help was found by Barabasz
and others 2020, "Error analysis and improving the accuracy of Winograd convolution for deep neural networks").
"""

import dataclasses
import functools
import math
from fractions import Fraction

import numpy as np
from numpy.typing import DTypeLike

from impl.numpy_cpu.arrays import Array

TAPS = 3
POINTS = {
    2: (Fraction(0), Fraction(1), Fraction(-1)),
    4: (Fraction(0), Fraction(2, 3), Fraction(-2, 3), Fraction(3, 2), Fraction(-3, 2)),
}


@dataclasses.dataclass(frozen=True)
class Transforms:
    """``outputs``: m, per tile and axis; ``inputs``: m + 2. a: (m, m + 2); g: (m + 2, 3); b: (m + 2, m + 2)."""

    outputs: int
    a: Array
    g: Array
    b: Array

    @property
    def inputs(self) -> int:
        return self.outputs + TAPS - 1


@functools.cache
def transforms(outputs: int, dtype: DTypeLike) -> Transforms:
    """A^T, G and B^T of F(m x m, 3 x 3) for m = 2 or 4."""
    points = POINTS[outputs]
    a = [[p**i for p in points] + [Fraction(int(i == outputs - 1))] for i in range(outputs)]
    g, b = [], []
    for f, p in enumerate(points):
        others = points[:f] + points[f + 1 :]
        scale = math.prod(p - q for q in others)
        g.append([p**r / scale for r in range(TAPS)])
        b.append([*_polynomial(others), Fraction(0)])
    g.append([Fraction(int(r == TAPS - 1)) for r in range(TAPS)])
    b.append(_polynomial(points))
    return Transforms(outputs, *(np.array([[float(v) for v in row] for row in m]).astype(dtype) for m in (a, g, b)))


def norm_factor(outputs: int) -> float:
    """By how much more than a plain sum's the rounding error of F(m x m, 3 x 3) may be: 5 for m = 2, 23.3 for m = 4.

    A model, not a certain bound. Along one axis frequency f carries an error proportional to |G_f| |B_f| and enters an
    output a with weight |A_af|; independent errors add in squares: max over a of  root of sum over f of
    (A_af |G_f| |B_f|)^2,  to be squared because there are two axes. For the gradient to the filters, G and A change
    places. Measured: at most a sixteenth of it, for 1 to 512 channels on all scales.
    """
    t = transforms(outputs, np.float64)
    forward = _amplification(t.a, t.g, t.b)
    to_filters = _amplification(t.g.T, t.a.T, t.b)
    return max(forward, to_filters)


def _amplification(out: Array, left: Array, right: Array) -> float:
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return float(((out * norms) ** 2).sum(1).max())


def _polynomial(roots: tuple[Fraction, ...]) -> list[Fraction]:
    """Coefficients, lowest power first, of the product of (x - root)."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        coefficients = [s - root * c for s, c in zip(shifted, [*coefficients, Fraction(0)], strict=True)]
    return coefficients
