"""softmax: strategies, relations and reference."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcnbench.blocks.softmax import Options
from suites.properties.relations import (
    Ask,
    Known,
    Pairs,
    batch_in_two_parts,
    channels_in_another_order,
    given,
    pixels_in_another_order,
)
from suites.properties.strategies import Draw, Sizes
from suites.properties.strategies.drawing import map_shape, pick
from suites.properties.subject import Arrays

EXACT = ()
BOUNDED = ("normal", "offset", "spread", "masked")
TAYLOR = "quantised"
TIES = ""
EMPTY_BATCH = True
ADJOINT = ()


def sizes(draw: Draw, data: str) -> Sizes:
    return (map_shape(draw, channels=8, size=4),), {"temperature": pick(draw, 1.0, 2.0, 0.5, 3.0)}


invalid = None  # every size fits


def sums_to_one(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    y = ask(inputs)
    sums = Known(y.value.sum(1), y.bound.sum(1))
    return [(sums, given(np.ones(sums.value.shape)))]


def shifted_is_the_same(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    """Adding to all channels of a pixel what can be added exactly changes nothing."""
    x = inputs[0]
    assert x is not None
    coarse = (np.round(x * 64) / 64).astype(x.dtype)
    return [(ask([coarse + x.dtype.type(8)]), ask([coarse]))]


RELATIONS = (
    sums_to_one,
    shifted_is_the_same,
    batch_in_two_parts,
    channels_in_another_order,
    pixels_in_another_order,
)


def reference(x: Any, *, temperature: float) -> Any:
    import torch

    return torch.softmax(x / temperature, 1)
