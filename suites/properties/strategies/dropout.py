"""dropout: strategies, relations and reference."""

from __future__ import annotations

from typing import Any

from suites.properties.relations import (
    batch_in_two_parts,
    channels_in_another_order,
    doubled_input_doubles,
    pixels_in_another_order,
)
from suites.properties.strategies import Draw, Sizes
from suites.properties.strategies.drawing import break_one, map_shape, pick

EXACT = ("integers", "large-integers")
BOUNDED = ("normal", "scales")
TAYLOR = ""
TIES = ""
EMPTY_BATCH = True
ADJOINT = (("x",),)
RELATIONS = (doubled_input_doubles, batch_in_two_parts, channels_in_another_order, pixels_in_another_order)


def sizes(draw: Draw, data: str) -> Sizes:
    shape = map_shape(draw)
    return (shape, shape), {}


def invalid(draw: Draw) -> Sizes:
    """A mask of another shape."""
    (x, mask), options = sizes(draw, "normal")
    assert mask is not None
    return (x, break_one(draw, mask, pick(draw, 0, 1, 2, 3))), options


def reference(x: Any, mask: Any) -> Any:
    return x * mask
