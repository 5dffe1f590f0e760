"""avg_pool2d: strategies, relations and reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mcnbench.arrays import pair, sides
from mcnbench.blocks.avg_pool2d import Options
from suites.properties.relations import (
    Ask,
    Pairs,
    batch_in_two_parts,
    channels_apart,
    doubled_input_doubles,
    given,
)
from suites.properties.strategies import Draw, Sizes, pooling
from suites.properties.strategies.drawing import pick
from suites.properties.subject import Arrays

EXACT = ("integers",)
BOUNDED = ("normal", "scales", "outliers")
TAYLOR = ""
TIES = ""
EMPTY_BATCH = True
ADJOINT = (("x",),)


def sizes(draw: Draw, data: str) -> Sizes:
    """On integers, windows of 1, 2 and 4 without padding: dividing by a power of two is exact."""
    shapes, options = pooling.pool_sizes(draw, power_of_two=data in EXACT)
    return shapes, {**options, "count_include_pad": pick(draw, False, True)}


def invalid(draw: Draw) -> Sizes:
    return pooling.invalid(draw)


def strided_is_subsampled(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    sv, sh = pair(options.stride)
    if sv == sh == 1 or options.ceil_mode:
        return None
    return [(ask(inputs), ask(inputs, replace(options, stride=1))[:, :, ::sv, ::sh])]


def padding_is_zero_where_it_counts(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    top, bottom, left, right = sides(options.padding)
    if not top + bottom + left + right or options.ceil_mode or not options.count_include_pad:
        return None
    x = inputs[0]
    assert x is not None
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    return [(ask(inputs), ask([padded], replace(options, padding=0)))]


def a_constant_stays(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    """Only pixels inside the image count: the mean of a map of ones is one, at the border as well."""
    x = inputs[0]
    assert x is not None
    if options.count_include_pad:
        return None
    ones = ask([np.ones_like(x)])
    return [(ones, given(np.ones(ones.value.shape)))]


RELATIONS = (
    strided_is_subsampled,
    padding_is_zero_where_it_counts,
    a_constant_stays,
    batch_in_two_parts,
    channels_apart,
    doubled_input_doubles,
)


def reference(x: Any, *, window: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool) -> Any:
    import torch
    import torch.nn.functional as F

    top, bottom, left, right = padding
    height, width = x.shape[2] + top, x.shape[3] + left
    below, beside = (step - 1 if ceil_mode else 0 for step in stride)

    def sums(a: Any) -> Any:
        a = F.pad(a, (0, beside, 0, below))
        # With ceil_mode a last window that would begin beyond the image is left out.
        return F.avg_pool2d(a, window, stride, divisor_override=1)[
            :, :, : -(-height // stride[0]), : -(-width // stride[1])
        ]

    around = (left, right, top, bottom)
    ones = torch.ones_like(x[:1, :1])
    divisors = sums(F.pad(ones, around, value=1.0 if count_include_pad else 0.0))
    return sums(F.pad(x, around)) / divisors
