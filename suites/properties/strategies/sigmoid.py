"""sigmoid: strategies, relations and reference."""

from __future__ import annotations

from typing import Any

from suites.properties.relations import (
    Ask,
    Pairs,
    batch_in_two_parts,
    channels_in_another_order,
    given,
    pixels_in_another_order,
)
from suites.properties.strategies import Draw, Sizes
from suites.properties.strategies.drawing import map_shape
from suites.properties.subject import Arrays

EXACT = ()
BOUNDED = ("normal", "wide", "infinite")
TAYLOR = "quantised"
TIES = ""
EMPTY_BATCH = True
ADJOINT = ()


def sizes(draw: Draw, data: str) -> Sizes:
    return (map_shape(draw),), {}


invalid = None  # every size fits


def of_minus_x_is_the_rest_to_one(ask: Ask, inputs: Arrays, options: Any) -> Pairs:
    x = inputs[0]
    assert x is not None
    y = ask(inputs)
    return [(ask([-x]), given(1.0) + y * -1.0)]


RELATIONS = (of_minus_x_is_the_rest_to_one, batch_in_two_parts, channels_in_another_order, pixels_in_another_order)


def reference(x: Any) -> Any:
    import torch

    return torch.sigmoid(x)
