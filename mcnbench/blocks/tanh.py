"""tanh: y = (1 - exp(-2 x)) / (1 + exp(-2 x)); dx = dy (1 - y^2).

x and y (N, C, H, W) or any shape (Visin, equation 2.4; as an activation beside the MatConvNet manual's section 4.4).
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
    """Exponential, sum, difference and quotient; backward two products and a difference."""
    size = int(np.prod(output_shape(shapes, options)))
    return blocks.Work(4 * size, 3 * size, 8 * size, 12 * size)


def oracle(inputs: blocks.Inputs, options: Options) -> tuple[Array, Pullback]:
    y, z = _both(inputs)
    return y, lambda dy: (dy * z,)


def bound(inputs: blocks.Inputs, options: Options, dy: Array, precision: Precision) -> dict[str, Float64]:
    """The relative error of tanh, also near 0; dx takes 1 - y^2, or (1 - y) (1 + y), of the rounded y.

    (exp(2x) - 1) / (exp(2x) + 1) and 2 sigmoid(2x) - 1 are not within it near 0.
    """
    u, eta = precision.u, precision.eta
    y, z = _both(inputs)
    dy = dy.astype(np.float64)
    by = ELEMENTARY * u * np.abs(y) + eta
    bx = np.abs(dy) * (2 * np.abs(y) * by + by * by + u * y * y + 5 * u * z) + eta * (1 + np.abs(dy))
    return {"y": judged(by, y, precision), "dx": judged(bx, dy, precision)}


def _both(inputs: blocks.Inputs) -> tuple[Float64, Float64]:
    """y and 1 - y^2, both with a small relative error; beyond 300 the latter is 0 within 1e-259."""
    assert inputs[0] is not None
    x = inputs[0].astype(np.float64)
    return np.tanh(x), 1 / np.cosh(np.minimum(np.abs(x), 300)) ** 2
