"""max_pool2d: strategies, relations and reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mcnbench.arrays import pair, sides
from mcnbench.blocks.max_pool2d import Options
from suites.properties.relations import Ask, Pairs, batch_in_two_parts, channels_apart, doubled_input_doubles
from suites.properties.strategies import Draw, Sizes
from suites.properties.strategies.pooling import invalid, pool_sizes
from suites.properties.subject import Arrays

EXACT = ("permutation",)
BOUNDED = ("permutation", "normal", "scales", "low", "infinite")
TAYLOR = "permutation"
TIES = "ties"
EMPTY_BATCH = True
ADJOINT = (("x",),)


def sizes(draw: Draw, data: str) -> Sizes:
    return pool_sizes(draw)


def strided_is_subsampled(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    sv, sh = pair(options.stride)
    if sv == sh == 1 or options.ceil_mode:
        return None
    return [(ask(inputs), ask(inputs, replace(options, stride=1))[:, :, ::sv, ::sh])]


def padding_never_wins(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    top, bottom, left, right = sides(options.padding)
    if not top + bottom + left + right or options.ceil_mode:
        return None
    x = inputs[0]
    assert x is not None
    around = ((0, 0), (0, 0), (top, bottom), (left, right))
    return [(ask(inputs), ask([np.pad(x, around, constant_values=x.min() - 1)], replace(options, padding=0)))]


RELATIONS = (
    strided_is_subsampled,
    padding_never_wins,
    batch_in_two_parts,
    channels_apart,
    doubled_input_doubles,
)

__all__ = ["invalid"]


def reference(x: Any, *, window: Any, stride: Any, padding: Any, ceil_mode: bool) -> Any:
    import torch
    import torch.nn.functional as F

    top, bottom, left, right = padding
    height, width = x.shape[2] + top, x.shape[3] + left
    below, beside = (step - 1 if ceil_mode else 0 for step in stride)
    x = F.pad(x, (left, right + beside, top, bottom + below), value=-torch.inf)
    # With ceil_mode a last window that would begin beyond the image is left out.
    return F.max_pool2d(x, window, stride)[:, :, : -(-height // stride[0]), : -(-width // stride[1])]
