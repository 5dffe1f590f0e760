"""add: the element-wise sum of maps of one shape (dagnn.Sum); the gradient of each is dy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcnbench import blocks, geometry
from mcnbench.arrays import Array, Float64, Shape
from mcnbench.bounds import Precision, coefficient, judged
from mcnbench.oracle import Pullback

INPUTS = ("*xs",)


@dataclass(frozen=True)
class Options:
    """None."""


def output_shape(shapes: blocks.Shapes, options: Options) -> Shape:
    if not shapes or shapes[0] is None:
        raise ValueError("wanted at least one map, got none")
    for i, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise ValueError(f"the maps must have one shape: number 0 is {shapes[0]}, but number {i} is {shape}")
    return shapes[0]


def receptive_field(shapes: blocks.Shapes, options: Options) -> tuple[geometry.ReceptiveField, geometry.ReceptiveField]:
    return geometry.POINTWISE, geometry.POINTWISE


def terms(shapes: blocks.Shapes, options: Options) -> dict[str, int]:
    return {"y": len(shapes), **dict.fromkeys(blocks.gradient_names(INPUTS, len(shapes)), 1)}


def work(shapes: blocks.Shapes, options: Options) -> blocks.Work:
    """Backward only hands on copies of dy."""
    size, maps = int(np.prod(output_shape(shapes, options))), len(shapes)
    return blocks.Work((maps - 1) * size, 0, 4 * (maps + 1) * size, 4 * (maps + 1) * size)


def oracle(inputs: blocks.Inputs, options: Options) -> tuple[Array, Pullback]:
    maps = [a.astype(np.float64) for a in inputs if a is not None]
    output_shape([a.shape for a in maps], options)
    with np.errstate(all="ignore"):
        return np.sum(maps, axis=0), lambda dy: tuple(np.array(dy, np.float64) for _ in maps)


def bound(inputs: blocks.Inputs, options: Options, dy: Array, precision: Precision) -> dict[str, Float64]:
    """k - 1 additions in any order."""
    with np.errstate(all="ignore"):
        total = np.sum([np.abs(a.astype(np.float64)) for a in inputs if a is not None], axis=0)
    names = blocks.gradient_names(INPUTS, len(inputs))
    y = judged(coefficient(len(inputs) - 1, precision.u) * total, total, precision)
    return {"y": y, **{name: np.zeros(total.shape) for name in names}}
