"""local_response_norm: strategies, relations and reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mcnbench.blocks.local_response_norm import Options
from suites.properties.relations import Ask, Pairs, batch_in_two_parts, pixels_in_another_order
from suites.properties.strategies import Draw, Sizes
from suites.properties.strategies.drawing import integer, map_shape, pick
from suites.properties.subject import Arrays

EXACT = ()
BOUNDED = ("normal", "channel-scales", "scales")
TAYLOR = "quantised"
TIES = ""
EMPTY_BATCH = True
ADJOINT = ()


def sizes(draw: Draw, data: str) -> Sizes:
    """Windows of 1 to 7 channels, even ones and ones that exceed the channels among them."""
    return (map_shape(draw, channels=8, size=4),), {
        "window": integer(draw, 1, 7),
        "kappa": pick(draw, 1.0, 2.0, 0.5),
        "alpha": pick(draw, 1.0, 0.5, 1e-2, 1e-4),
        "beta": pick(draw, 0.75, 0.5, 1.0),
    }


def invalid(draw: Draw) -> Sizes:
    """A window of no channel."""
    shapes, options = sizes(draw, "normal")
    return shapes, {**options, "window": -integer(draw, 0, 2)}


def halved_input_with_four_times_alpha_is_half(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    x = inputs[0]
    assert x is not None
    return [(ask([x / 2], replace(options, alpha=4 * options.alpha)), ask(inputs) * 0.5)]


def distant_channels_do_not_matter(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    """The first channel sees floor(window / 2) channels after it, the last floor((window - 1) / 2) before it."""
    x = inputs[0]
    assert x is not None
    after, before = options.window // 2, (options.window - 1) // 2
    channels = x.shape[1]
    if channels < 2:
        return None
    y = ask(inputs)
    first, last = ask([x[:, : 1 + after]]), ask([x[:, max(0, channels - 1 - before) :]])
    return [(y[:, :1], first[:, :1]), (y[:, -1:], last[:, -1:])]


RELATIONS = (
    halved_input_with_four_times_alpha_is_half,
    distant_channels_do_not_matter,
    batch_in_two_parts,
    pixels_in_another_order,
)


def reference(x: Any, *, window: int, kappa: float, alpha: float, beta: float) -> Any:
    import torch.nn.functional as F

    squares = F.pad(x * x, (0, 0, 0, 0, (window - 1) // 2, window // 2))
    energy = sum(squares[:, i : i + x.shape[1]] for i in range(window))
    return x * (kappa + alpha * energy) ** -beta
