"""add: strategies, relations and reference."""

from __future__ import annotations

from typing import Any

from suites.properties.relations import (
    Ask,
    Pairs,
    batch_in_two_parts,
    channels_in_another_order,
    pixels_in_another_order,
)
from suites.properties.strategies import Draw, Sizes
from suites.properties.strategies.drawing import break_one, integer, map_shape, pick
from suites.properties.subject import Arrays

EXACT = ("integers", "large-integers")
BOUNDED = ("normal", "scales")
TAYLOR = ""
TIES = ""
EMPTY_BATCH = True
ADJOINT = (("xs",),)


def sizes(draw: Draw, data: str) -> Sizes:
    """One to four maps of one shape."""
    shape = map_shape(draw)
    return (shape,) * integer(draw, 1, 4), {}


def invalid(draw: Draw) -> Sizes:
    """Maps of which one has another shape."""
    shapes, options = sizes(draw, "normal")
    first = shapes[0]
    assert first is not None
    return (*shapes, break_one(draw, first, pick(draw, 0, 1, 2, 3))), options


def in_any_order(ask: Ask, inputs: Arrays, options: Any) -> Pairs:
    return [(ask(inputs), ask(list(reversed(inputs))))] if len(inputs) > 1 else None


RELATIONS = (in_any_order, batch_in_two_parts, channels_in_another_order, pixels_in_another_order)


def reference(*xs: Any) -> Any:
    return sum(xs)
