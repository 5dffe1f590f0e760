"""concat: strategies, relations and reference."""

from __future__ import annotations

from typing import Any

import numpy as np

from suites.properties.relations import Ask, Pairs, batch_in_two_parts, given, pixels_in_another_order
from suites.properties.strategies import Draw, Sizes
from suites.properties.strategies.drawing import break_one, integer, map_shape, pick
from suites.properties.subject import Arrays

EXACT = ("integers",)
BOUNDED = ("normal", "scales")
TAYLOR = ""
TIES = ""
EMPTY_BATCH = True
ADJOINT = (("xs",),)


def sizes(draw: Draw, data: str) -> Sizes:
    """One to four maps, each with channels of its own number."""
    n, c, h, w = map_shape(draw)
    others = [integer(draw, 1, 5) for _ in range(integer(draw, 0, 3))]
    return tuple((n, channels, h, w) for channels in (c, *others)), {}


def invalid(draw: Draw) -> Sizes:
    """Maps of which one has another number of images, rows or columns."""
    shapes, options = sizes(draw, "normal")
    first = shapes[0]
    assert first is not None
    return (*shapes, break_one(draw, first, pick(draw, 0, 2, 3))), options


def holds_its_inputs(ask: Ask, inputs: Arrays, options: Any) -> Pairs:
    return [(ask(inputs), given(np.concatenate([a for a in inputs if a is not None], 1)))]


RELATIONS = (holds_its_inputs, batch_in_two_parts, pixels_in_another_order)


def reference(*xs: Any) -> Any:
    import torch

    return torch.cat(xs, 1)
