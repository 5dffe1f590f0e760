"""concat: maps with the same N, H and W, their channels one after the other (vl_nnconcat, dagnn.Concat).

xs (N, C_i, H, W), y (N, sum of C_i, H, W); each gradient is its slice of dy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcnbench import blocks, geometry
from mcnbench.arrays import Array, Float64, Shape
from mcnbench.bounds import Precision
from mcnbench.oracle import Pullback

INPUTS = ("*xs",)


@dataclass(frozen=True)
class Options:
    """None."""


def output_shape(shapes: blocks.Shapes, options: Options) -> Shape:
    maps = [blocks.required(shape) for shape in shapes]
    if not maps:
        raise ValueError("wanted at least one map, got none")
    first = maps[0]
    for i, shape in enumerate(maps):
        if (shape[0], *shape[2:]) != (first[0], *first[2:]):
            raise ValueError(f"the maps must have the same N, H and W: number 0 is {first}, but number {i} is {shape}")
    return first[0], sum(shape[1] for shape in maps), *first[2:]


def receptive_field(shapes: blocks.Shapes, options: Options) -> tuple[geometry.ReceptiveField, geometry.ReceptiveField]:
    return geometry.POINTWISE, geometry.POINTWISE


def terms(shapes: blocks.Shapes, options: Options) -> dict[str, int]:
    return dict.fromkeys(("y", *blocks.gradient_names(INPUTS, len(shapes))), 1)


def work(shapes: blocks.Shapes, options: Options) -> blocks.Work:
    traffic = 8 * int(np.prod(output_shape(shapes, options)))
    return blocks.Work(0, 0, traffic, traffic)


def oracle(inputs: blocks.Inputs, options: Options) -> tuple[Array, Pullback]:
    maps = [a.astype(np.float64) for a in inputs if a is not None]
    output_shape([a.shape for a in maps], options)
    ends = np.cumsum([a.shape[1] for a in maps])[:-1]
    return np.concatenate(maps, axis=1), lambda dy: tuple(np.split(np.asarray(dy, np.float64), ends, axis=1))


def bound(inputs: blocks.Inputs, options: Options, dy: Array, precision: Precision) -> dict[str, Float64]:
    """Exact: nothing is computed."""
    maps = [a for a in inputs if a is not None]
    y = np.zeros(output_shape([a.shape for a in maps], options))
    names = blocks.gradient_names(INPUTS, len(maps))
    return {"y": y, **{name: np.zeros(a.shape) for name, a in zip(names, maps, strict=True)}}
