"""sigmoid: y = 1 / (1 + exp(-x)); dx = dy y (1 - y).

x and y (N, C, H, W) or any shape (MatConvNet manual, sections 4.4 and 6.4.2; vl_nnsigmoid).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcnbench import blocks, geometry
from mcnbench.arrays import Array, Float64, Shape
from mcnbench.bounds import ELEMENTARY, Precision, judged
from mcnbench.oracle import Pullback

INPUTS = ("x",)


@dataclass(frozen=True)
class Options:
    """None."""


def output_shape(shapes: blocks.Shapes, options: Options) -> Shape:
    assert shapes[0] is not None
    return shapes[0]


def receptive_field(shapes: blocks.Shapes, options: Options) -> tuple[geometry.ReceptiveField, geometry.ReceptiveField]:
    return geometry.POINTWISE, geometry.POINTWISE


def terms(shapes: blocks.Shapes, options: Options) -> dict[str, int]:
    return {"y": 1, "dx": 1}


def work(shapes: blocks.Shapes, options: Options) -> blocks.Work:
    """Exponential, sum and quotient; backward a difference and two products."""
    size = int(np.prod(output_shape(shapes, options)))
    return blocks.Work(3 * size, 3 * size, 8 * size, 12 * size)


def oracle(inputs: blocks.Inputs, options: Options) -> tuple[Array, Pullback]:
    y, z = _both(inputs)
    return y, lambda dy: (dy * y * z,)


def bound(inputs: blocks.Inputs, options: Options, dy: Array, precision: Precision) -> dict[str, Float64]:
    """The relative error of y is 1 - y times that of the exponential; dx multiplies dy by y (1 - y) of the rounded y.

    Below the smallest normal number y may be flushed. An error of one unit in the last place of 1, which
    (1 + tanh(x / 2)) / 2 has everywhere, is outside for negative x.
    """
    u, eta = precision.u, precision.eta
    y, z = _both(inputs)
    dy = dy.astype(np.float64)
    by = y * (ELEMENTARY * u * z + 2 * u) + precision.tiny
    bx = np.abs(dy) * (np.abs(z - y) * by + by * by + 4 * u * y * z) + eta * (1 + np.abs(dy))
    return {"y": judged(by, y, precision), "dx": judged(bx, dy, precision)}


def _both(inputs: blocks.Inputs) -> tuple[Float64, Float64]:
    """y and 1 - y, both with a small relative error."""
    assert inputs[0] is not None
    x = inputs[0].astype(np.float64)
    e = np.exp(-np.abs(x))
    large, small = 1 / (1 + e), e / (1 + e)
    return np.where(x < 0, small, large), np.where(x < 0, large, small)
