"""dropout: y = x * mask, the mask being 0 or 1 / (1 - rate) already (vl_nndropout; nothing is done when testing).

x, mask and y have one shape; the mask has the dtype of x and gets no gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcnbench import blocks, geometry
from mcnbench.arrays import Array, Float64, Shape
from mcnbench.bounds import Precision, judged
from mcnbench.oracle import Pullback

INPUTS = ("x", "mask")


@dataclass(frozen=True)
class Options:
    """None."""


def output_shape(shapes: blocks.Shapes, options: Options) -> Shape:
    x, mask = shapes
    if x is None or x != mask:
        raise ValueError(f"wanted x and mask of one shape, got x {x} and mask {mask}")
    return x


def receptive_field(shapes: blocks.Shapes, options: Options) -> tuple[geometry.ReceptiveField, geometry.ReceptiveField]:
    return geometry.POINTWISE, geometry.POINTWISE


def terms(shapes: blocks.Shapes, options: Options) -> dict[str, int]:
    return {"y": 1, "dx": 1}


def work(shapes: blocks.Shapes, options: Options) -> blocks.Work:
    size = int(np.prod(output_shape(shapes, options)))
    return blocks.Work(size, size, 12 * size, 12 * size)


def oracle(inputs: blocks.Inputs, options: Options) -> tuple[Array, Pullback]:
    x, mask = _float64(inputs)
    return x * mask, lambda dy: (dy * mask, None)


def bound(inputs: blocks.Inputs, options: Options, dy: Array, precision: Precision) -> dict[str, Float64]:
    """One rounded product; exact where it is representable, as it is for a rate of one half."""
    x, mask = _float64(inputs)
    dy = dy.astype(np.float64)
    products = {"y": x * mask, "dx": dy * mask}
    return {name: judged(precision.u * np.abs(p) + precision.eta, p, precision) for name, p in products.items()}


def _float64(inputs: blocks.Inputs) -> tuple[Float64, Float64]:
    x, mask = inputs
    assert x is not None
    assert mask is not None
    return x.astype(np.float64), mask.astype(np.float64)
