"""p_distance: strategies, relations and reference."""

from __future__ import annotations

from typing import Any

from mcnbench.blocks.p_distance import Options
from suites.properties.relations import (
    Ask,
    Pairs,
    batch_in_two_parts,
    pixels_in_another_order,
)
from suites.properties.strategies import Draw, Sizes
from suites.properties.strategies.drawing import break_one, map_shape, pick
from suites.properties.subject import Arrays

EXACT = ("integers",)
BOUNDED = ("normal", "close", "scales")
TAYLOR = "quantised"
TIES = ""
EMPTY_BATCH = True
ADJOINT = ()


def sizes(draw: Draw, data: str) -> Sizes:
    """On integers p is 1, or 2 without the root: both are exact."""
    shape = map_shape(draw)
    if data in EXACT:
        p, root = pick(draw, (1.0, False), (1.0, True), (2.0, False))
    else:
        p, root = pick(draw, 2.0, 1.0, 3.0, 0.5, 1.5), pick(draw, True, False)
    return (shape, shape), {"p": p, "root": root}


def invalid(draw: Draw) -> Sizes:
    """A target of another shape."""
    (x, target), options = sizes(draw, "normal")
    assert target is not None
    return (x, break_one(draw, target, pick(draw, 0, 1, 2, 3))), options


def symmetric(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    x, target = inputs
    return [(ask(inputs), ask([target, x]))]


def channels_in_any_order(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    return [(ask(inputs), ask([None if a is None else a[:, ::-1].copy() for a in inputs]))]


def of_twice_both_is_twice(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    x, target = inputs
    assert x is not None
    assert target is not None
    if not options.root:
        return None
    return [(ask([2 * x, 2 * target]), ask(inputs) * 2.0)]


RELATIONS = (symmetric, channels_in_any_order, of_twice_both_is_twice, batch_in_two_parts, pixels_in_another_order)


def reference(x: Any, target: Any, *, p: float, root: bool) -> Any:
    total = ((x - target).abs() ** p).sum(1, keepdim=True)
    return total ** (1 / p) if root else total
