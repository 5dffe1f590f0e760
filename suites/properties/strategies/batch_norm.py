"""batch_norm: strategies, relations and reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mcnbench.blocks.batch_norm import Options
from suites.properties.relations import Ask, Pairs, given, pixels_in_another_order
from suites.properties.strategies import Draw, Sizes
from suites.properties.strategies.drawing import break_one, map_shape, pick
from suites.properties.subject import Arrays

EXACT = ()
BOUNDED = ("normal", "channel-offset", "channel-scales", "constant")
TAYLOR = "quantised"
TIES = ""
EMPTY_BATCH = False  # in training no images have no mean
ADJOINT = ()


def sizes(draw: Draw, data: str) -> Sizes:
    """With offsets at most 240 pixels a channel: a float32 mean of more may lose what the bound would have to see."""
    n, c, h, w = map_shape(draw, channels=4)
    if data == "channel-offset":
        n, h, w = min(n, 3), min(h, 8), min(w, 10)
    moments = pick(draw, None, None, True)
    epsilon = pick(draw, 1e-4, 1e-5, 0.1)
    return ((n, c, h, w), (c,), (c,)), {"epsilon": epsilon, "moments": moments}


def invalid(draw: Draw) -> Sizes:
    """A gain or bias of another length."""
    (x, gain, bias), options = sizes(draw, "normal")
    assert gain is not None
    options = {**options, "moments": None}
    if pick(draw, "gain", "bias") == "gain":
        return (x, break_one(draw, gain, 0), bias), options
    return (x, gain, break_one(draw, gain, 0)), options


def gain_and_bias_come_last(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    x, gain, bias = inputs
    assert gain is not None
    assert bias is not None
    plain = ask([x, np.ones_like(gain), np.zeros_like(bias)])
    wide, shift = (np.reshape(a.astype(np.float64), (1, -1, 1, 1)) for a in (gain, bias))
    return [(ask(inputs), plain * wide + given(shift * np.ones(plain.value.shape)))]


def scaled_input_is_the_same(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    """Twice x with four times epsilon has twice the mean and deviation."""
    x, gain, bias = inputs
    assert x is not None
    if options.moments is not None:
        return None
    return [(ask([2 * x, gain, bias], replace(options, epsilon=4 * options.epsilon)), ask(inputs))]


def images_in_another_order(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    x, gain, bias = inputs
    assert x is not None
    if len(x) < 2:
        return None
    return [(ask(inputs), ask([x[::-1].copy(), gain, bias])[::-1])]


def own_moments_are_the_batch(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    """With the moments of the batch given, inference does what training does; the moments are rounded to the dtype,
    which may shift y by as much again as an epsilon of the dtype does."""
    x, gain, _ = inputs
    assert x is not None
    assert gain is not None
    if options.moments is not None:
        return None
    wide = x.astype(np.float64)
    mean, variance = wide.mean((0, 2, 3)), wide.var((0, 2, 3))
    u = float(np.finfo(x.dtype).eps)
    r = 1 / np.sqrt(variance + options.epsilon)
    spread = np.abs(wide - mean.reshape(1, -1, 1, 1))
    slack = u * np.abs(gain.astype(np.float64) * r).reshape(1, -1, 1, 1) * (np.abs(mean).reshape(1, -1, 1, 1) + spread)
    inferred = ask(inputs, replace(options, moments=(mean.astype(x.dtype), variance.astype(x.dtype))))
    inferred = replace(inferred, bound=inferred.bound + slack)
    return [(ask(inputs), inferred)]


def _moments_reversed(options: Options) -> Options:
    if options.moments is None:
        return options
    mean, variance = options.moments
    return replace(options, moments=(mean[::-1].copy(), variance[::-1].copy()))


def channels_reversed(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    """Channels do not mix: all in reverse order give y in reverse order."""
    x, gain, bias = inputs
    assert x is not None
    assert gain is not None
    assert bias is not None
    other = [x[:, ::-1].copy(), gain[::-1].copy(), bias[::-1].copy()]
    return [(ask(inputs), ask(other, _moments_reversed(options))[:, ::-1])]


RELATIONS = (
    gain_and_bias_come_last,
    scaled_input_is_the_same,
    images_in_another_order,
    own_moments_are_the_batch,
    channels_reversed,
    pixels_in_another_order,
)


def reference(x: Any, gain: Any, bias: Any, *, epsilon: float, moments: Any) -> Any:
    import torch

    def row(a: Any) -> Any:
        return torch.as_tensor(a).double().reshape(1, -1, 1, 1)

    if moments is None:
        mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
    else:
        mean, variance = row(moments[0]), row(moments[1])
    return row(gain) * (x - mean) / torch.sqrt(variance + epsilon) + row(bias)
