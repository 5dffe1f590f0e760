"""relu: strategies, relations and reference."""

from __future__ import annotations

from typing import Any

from suites.properties.relations import (
    batch_in_two_parts,
    channels_in_another_order,
    doubled_input_doubles,
    pixels_in_another_order,
)
from suites.properties.strategies import Draw, Sizes
from suites.properties.strategies.drawing import map_shape, pick

EXACT = ("integers", "large-integers")
BOUNDED = ("normal", "scales", "infinite")
TAYLOR = "quantised"
TIES = "ties"
EMPTY_BATCH = True
ADJOINT = (("x",),)
RELATIONS = (doubled_input_doubles, batch_in_two_parts, channels_in_another_order, pixels_in_another_order)


def sizes(draw: Draw, data: str) -> Sizes:
    slopes = (0.0, 0.25) if data in (*EXACT, TIES) else (0.0, 0.1, 0.01)
    return (map_shape(draw),), {"slope": pick(draw, *slopes)}


invalid = None  # every size fits


def reference(x: Any, *, slope: float) -> Any:
    import torch

    return torch.where(x > 0, x, slope * x) if slope else torch.relu(x)
