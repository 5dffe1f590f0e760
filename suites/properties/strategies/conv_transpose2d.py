"""conv_transpose2d: strategies, relations and reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mcnbench.arrays import pair, sides
from mcnbench.blocks.conv_transpose2d import Options
from suites.properties.relations import Ask, Pairs, batch_of_x_in_two_parts, bias_is_added, groups_are_separate
from suites.properties.strategies import Draw, Sizes
from suites.properties.strategies.drawing import LARGE, break_one, integer, many, pick
from suites.properties.subject import Arrays

EXACT = ("integers", "large-integers")
BOUNDED = ("normal", "scales", "outliers")
TAYLOR = ""
TIES = ""
EMPTY_BATCH = True
ADJOINT = (("x",), ("w",))


def sizes(draw: Draw, data: str) -> Sizes:
    """The crop leaves a row and a column, and may exceed the filter. In one of three cases one size is large."""
    large = integer(draw, 0, 14)
    groups = pick(draw, 1, 1, 2, 3)
    c = many(draw, LARGE // groups) if large == 11 else integer(draw, 1, 3)
    k = many(draw, LARGE // groups) if large == 12 else integer(draw, 1, 3)
    n = many(draw, LARGE) if large == 10 else integer(draw, 1, 3)
    h, r, sv, top, bottom = _axis(draw, large == 13)
    w, s, sh, left, right = _axis(draw, large == 14)
    bias = integer(draw, 0, 1)
    shapes = ((n, c * groups, h, w), (c * groups, k, r, s), (k * groups,) if bias else None)
    return shapes, {"stride": (sv, sh), "padding": (top, bottom, left, right), "groups": groups}


def _axis(draw: Draw, large: bool) -> tuple[int, int, int, int, int]:
    """Size, window, stride and what is cropped before and after."""
    size, window, stride = many(draw, LARGE) if large else integer(draw, 1, 5), integer(draw, 1, 5), integer(draw, 1, 4)
    room = (size - 1) * stride + window
    before = integer(draw, 0, min(3, room - 1))
    return size, window, stride, before, integer(draw, 0, min(3, room - 1 - before))


def invalid(draw: Draw) -> Sizes:
    """Wrong channels, groups that do not divide, a wrong bias, a crop that leaves nothing, a stride of 0."""
    (x, w, b), options = sizes(draw, "normal")
    assert x is not None
    assert w is not None
    match pick(draw, "channels", "groups", "bias", "crop", "stride", "axes"):
        case "channels":
            return (x, break_one(draw, w, 0), b), options
        case "groups":
            return ((x[0], 3, *x[2:]), (3, *w[1:]), None), {**options, "groups": 2}
        case "bias":
            return (x, w, (w[1] * options["groups"] + integer(draw, 1, 2),)), options
        case "crop":
            room = (x[2] - 1) * options["stride"][0] + w[2]
            return (x, w, b), {**options, "padding": (room, 0, 0, 0)}
        case "stride":
            return (x, w, b), {**options, "stride": (options["stride"][0], 0)}
        case _:
            return (x[1:], w, b), options


def cropped_is_a_part(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    top, bottom, left, right = sides(options.padding)
    if not top + bottom + left + right:
        return None
    whole = ask(inputs, replace(options, padding=0))
    rows, columns = whole.value.shape[2:]
    return [(ask(inputs), whole[:, :, top : rows - bottom, left : columns - right])]


def strided_has_zeros_between(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    sv, sh = pair(options.stride)
    x, *rest = inputs
    assert x is not None
    if sv == sh == 1:
        return None
    large = np.zeros((*x.shape[:2], sv * (x.shape[2] - 1) + 1, sh * (x.shape[3] - 1) + 1), x.dtype)
    large[:, :, ::sv, ::sh] = x
    return [(ask(inputs), ask([large, *rest], replace(options, stride=1)))]


RELATIONS = (
    cropped_is_a_part,
    strided_has_zeros_between,
    groups_are_separate,
    bias_is_added,
    batch_of_x_in_two_parts,
)


def reference(x: Any, w: Any, b: Any = None, *, stride: Any, padding: Any, groups: int) -> Any:
    import torch.nn.functional as F

    top, bottom, left, right = padding
    return F.pad(F.conv_transpose2d(x, w, b, stride, groups=groups), (-left, -right, -top, -bottom))
