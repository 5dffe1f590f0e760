"""The transforms of Winograd's minimal filtering F(m x m, r x r), made by Cook and Toom's construction.

In one dimension, m outputs y of r taps g on n = m + r - 1 inputs d are  y = A^T [(G g) * (B^T d)],  with n products
instead of m r. With n - 1 finite points p_f and infinity, and N_f the product of p_f - p_k over the other points,

    A^T[a, f] = p_f^a,   G[f, i] = p_f^i / N_f,   B^T[f, :] = coefficients of the product of (x - p_k), k other than f

and for infinity the unit vectors of the highest power and the coefficients of the product over all finite points. In
two dimensions the same acts on rows and on columns (Lavin and Gray 2016).

Rounding errors grow with the transforms' norms. For n = 6 the points 0, +-2/3, +-3/2 make ``norm_factor`` of F(4 x 4,
3 x 3) four times smaller than the usual 0, +-1, +-2 do, and the measured error less than half (that fractions help was
found by Barabasz and others 2020, "Error analysis and improving the accuracy of Winograd convolution for deep neural
networks").
"""

import dataclasses
import functools
import math
from fractions import Fraction

import numpy as np
from numpy.typing import DTypeLike

from impl.numpy_cpu.arrays import Array

POINTS = {
    4: (Fraction(0), Fraction(1), Fraction(-1)),
    6: (Fraction(0), Fraction(2, 3), Fraction(-2, 3), Fraction(3, 2), Fraction(-3, 2)),
}
"""The finite points for n inputs."""

FILTERS = {4: (3,), 6: (3, 5)}
"""The filters that are worth it with n inputs: F(2 x 2, 3 x 3); F(4 x 4, 3 x 3) and F(2 x 2, 5 x 5)."""


@dataclasses.dataclass(frozen=True)
class Transforms:
    """``a``: (outputs, inputs); ``g``: (inputs, taps); ``b``: (inputs, inputs)."""

    a: Array
    g: Array
    b: Array

    @property
    def inputs(self) -> int:
        return len(self.b)

    @property
    def outputs(self) -> int:
        return len(self.a)

    @property
    def taps(self) -> int:
        return len(self.g.T)


@functools.cache
def transforms(inputs: int, taps: int, dtype: DTypeLike) -> Transforms:
    """A^T, G and B^T for tiles of that many inputs, 4 or 6, along each axis."""
    points, outputs = POINTS[inputs], inputs - taps + 1
    a = [[p**i for p in points] + [Fraction(int(i == outputs - 1))] for i in range(outputs)]
    g, b = [], []
    for f, p in enumerate(points):
        others = points[:f] + points[f + 1 :]
        scale = math.prod(p - q for q in others)
        g.append([p**i / scale for i in range(taps)])
        b.append([*_polynomial(others), Fraction(0)])
    g.append([Fraction(int(i == taps - 1)) for i in range(taps)])
    b.append(_polynomial(points))
    return Transforms(*(np.array([[float(v) for v in row] for row in m]).astype(dtype) for m in (a, g, b)))


def norm_factor(inputs: int) -> float:
    """By how much more than a plain sum's the rounding error may be: 5 for tiles of 4 inputs, 26.7 for tiles of 6.

    A model, not a certain bound. Along one axis frequency f carries an error proportional to |G_f| |B_f| and enters an
    output a with weight |A_af|; independent errors add in squares: max over a of  root of sum over f of
    (A_af |G_f| |B_f|)^2,  to be squared because there are two axes. For the gradient to the filters, G and A change
    places. Measured: at most a sixteenth of it, for 1 to 512 channels on all scales.
    """
    factors = []
    for taps in FILTERS[inputs]:
        t = transforms(inputs, taps, np.float64)
        factors += [_amplification(t.a, t.g, t.b), _amplification(t.g.T, t.a.T, t.b)]
    return max(factors)


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
