"""tanh: strategies, relations and reference."""

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


def odd(ask: Ask, inputs: Arrays, options: Any) -> Pairs:
    x = inputs[0]
    assert x is not None
    return [(ask([-x]), ask(inputs) * -1.0)]


RELATIONS = (odd, batch_in_two_parts, channels_in_another_order, pixels_in_another_order)


def reference(x: Any) -> Any:
    import torch

    return torch.tanh(x)
