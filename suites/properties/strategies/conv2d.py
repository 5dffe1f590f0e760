"""conv2d: strategies, relations and reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mcnbench.arrays import pair, sides
from mcnbench.blocks.conv2d import Options
from suites.properties.relations import Ask, Pairs, batch_of_x_in_two_parts, bias_is_added, groups_are_separate
from suites.properties.strategies import Draw, Sizes
from suites.properties.strategies.drawing import LARGE, Axis, break_one, conv_axis, integer, many, padding, pick
from suites.properties.subject import Arrays

EXACT = ("integers", "large-integers")
BOUNDED = ("normal", "scales", "outliers")
TAYLOR = ""
TIES = ""
EMPTY_BATCH = True
ADJOINT = (("x",), ("w",))


def sizes(draw: Draw, data: str) -> Sizes:
    """One of ten cases has filters that cover the map, one of five is a layer as networks have them, for which fast
    algorithms are made; in one of three, one of N, C, K, H, W is large."""
    large = integer(draw, 0, 14)
    cover = integer(draw, 0, 9) == 9
    groups = pick(draw, 1, 1, 2, 3)
    depthwise = groups > 1 and integer(draw, 0, 2) == 2
    c = 1 if depthwise else many(draw, LARGE // groups) if large == 11 else integer(draw, 1, 3)
    k = many(draw, LARGE // groups) if large == 12 else integer(draw, 1, 3)
    n = many(draw, LARGE) if large == 10 else integer(draw, 1, 3)
    vertical, horizontal = conv_axis(draw, large == 13, cover), conv_axis(draw, large == 14, cover)
    if integer(draw, 0, 4) == 4:
        c, k, vertical, horizontal = _usual(draw)
    bias = integer(draw, 0, 1)
    shapes = (
        (n, c * groups, vertical.size, horizontal.size),
        (k * groups, c, vertical.window, horizontal.window),
        (k * groups,) if bias else None,
    )
    return shapes, {
        "stride": (vertical.stride, horizontal.stride),
        "padding": padding(vertical, horizontal),
        "dilation": (vertical.dilation, horizontal.dilation),
        "groups": groups,
    }


def _usual(draw: Draw) -> tuple[int, int, Axis, Axis]:
    """Channels and filters of a group, and both directions: square filters with stride 1 that keep the size of the map
    or lose its border."""
    window = pick(draw, 3, 3, 5, 1)
    border = window // 2 * integer(draw, 0, 1)
    down, across = (Axis(integer(draw, window, 9), window, 1, border, border, 1) for _ in range(2))
    return integer(draw, 4, 8), integer(draw, 4, 8), down, across


def invalid(draw: Draw) -> Sizes:
    """Wrong channels, filters that groups do not divide, a wrong bias, filters that do not fit, a stride of 0."""
    (x, w, b), options = sizes(draw, "normal")
    assert x is not None
    assert w is not None
    match pick(draw, "channels", "groups", "bias", "room", "stride", "padding", "axes"):
        case "channels":
            return (break_one(draw, x, 1), w, b), options
        case "groups":
            c = x[1] // options["groups"]
            return ((x[0], 2 * c, *x[2:]), (3, c, *w[2:]), None), {**options, "groups": 2}
        case "bias":
            return (x, w, (w[0] + integer(draw, 1, 2),)), options
        case "room":
            room = x[2] + options["padding"][0] + options["padding"][1]
            return (x, (*w[:2], room + integer(draw, 1, 2), w[3]), b), options
        case "stride":
            return (x, w, b), {**options, "stride": (0, options["stride"][1])}
        case "padding":
            return (x, w, b), {**options, "padding": (0, -1, 0, 0)}
        case _:
            return (x[1:], w, b), options


def strided_is_subsampled(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    sv, sh = pair(options.stride)
    if sv == sh == 1:
        return None
    return [(ask(inputs), ask(inputs, replace(options, stride=1))[:, :, ::sv, ::sh])]


def padded_is_embedded(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    top, bottom, left, right = sides(options.padding)
    if not top + bottom + left + right:
        return None
    x, *rest = inputs
    assert x is not None
    embedded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    return [(ask(inputs), ask([embedded, *rest], replace(options, padding=0)))]


def dilated_has_zeros_between(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    dv, dh = pair(options.dilation)
    x, w, b = inputs
    assert w is not None
    if dv == dh == 1:
        return None
    large = np.zeros((*w.shape[:2], dv * (w.shape[2] - 1) + 1, dh * (w.shape[3] - 1) + 1), w.dtype)
    large[:, :, ::dv, ::dh] = w
    return [(ask(inputs), ask([x, large, b], replace(options, dilation=1)))]


def covering_is_a_matrix_product(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    x, w, b = inputs
    assert x is not None
    assert w is not None
    if x.shape[1:] != w.shape[1:] or any(sides(options.padding)):
        return None
    n, k = len(x), len(w)
    columns = [x.reshape(n, -1, 1, 1), w.reshape(k, -1, 1, 1), b]
    return [(ask(inputs), ask(columns, Options()))]


RELATIONS = (
    strided_is_subsampled,
    padded_is_embedded,
    dilated_has_zeros_between,
    groups_are_separate,
    covering_is_a_matrix_product,
    bias_is_added,
    batch_of_x_in_two_parts,
)


def reference(x: Any, w: Any, b: Any = None, *, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    import torch.nn.functional as F

    top, bottom, left, right = padding
    return F.conv2d(F.pad(x, (left, right, top, bottom)), w, b, stride, 0, dilation, groups)
