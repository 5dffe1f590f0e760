"""relu: y = x where x > 0, slope * x elsewhere; at x = 0 the derivative is slope.

x and y (N, C, H, W) or any shape (MatConvNet manual, section 4.3; vl_nnrelu).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcnbench import blocks, geometry
from mcnbench.arrays import Array, Float64, Shape
from mcnbench.bounds import Precision, judged
from mcnbench.oracle import Pullback

INPUTS = ("x",)


@dataclass(frozen=True)
class Options:
    """slope > 0 makes it leaky."""

    slope: float = 0.0


def output_shape(shapes: blocks.Shapes, options: Options) -> Shape:
    assert shapes[0] is not None
    return shapes[0]


def receptive_field(shapes: blocks.Shapes, options: Options) -> tuple[geometry.ReceptiveField, geometry.ReceptiveField]:
    return geometry.POINTWISE, geometry.POINTWISE


def terms(shapes: blocks.Shapes, options: Options) -> dict[str, int]:
    return {"y": 1, "dx": 1}


def work(shapes: blocks.Shapes, options: Options) -> blocks.Work:
    size = int(np.prod(output_shape(shapes, options)))
    return blocks.Work(size, size, 8 * size, 12 * size)


def oracle(inputs: blocks.Inputs, options: Options) -> tuple[Array, Pullback]:
    assert inputs[0] is not None
    x = inputs[0].astype(np.float64)
    factor = np.where(x > 0, 1.0, options.slope)
    # A factor of 0 must not turn an infinite x into NaN; NaN itself goes through.
    y = np.where(np.isnan(x), x, np.where(factor == 0, 0.0, x * np.where(factor == 0, 1.0, factor)))
    return y, lambda dy: (np.where(factor == 0, 0.0, dy * np.where(factor == 0, 1.0, factor)),)


def bound(inputs: blocks.Inputs, options: Options, dy: Array, precision: Precision) -> dict[str, Float64]:
    """Exact, but for the product with a slope, which is itself rounded to the dtype: 2u and the underflow; exact again
    for an infinite x."""
    assert inputs[0] is not None
    x = inputs[0].astype(np.float64)
    slope = np.where(x > 0, 0.0, options.slope)
    found = {}
    for name, rounded, factor in (("y", np.where(np.isinf(x), 0.0, slope), np.nan_to_num(x)), ("dx", slope, dy)):
        product, floor = rounded * factor, np.where(rounded == 0, 0.0, precision.eta)
        found[name] = judged(2 * precision.u * np.abs(product) + floor, product, precision)
    return found
