"""spatial_norm: strategies, relations and reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mcnbench.blocks.spatial_norm import Options
from suites.properties.relations import (
    Ask,
    Pairs,
    batch_in_two_parts,
    channels_apart,
    channels_in_another_order,
)
from suites.properties.strategies import Draw, Sizes
from suites.properties.strategies.drawing import integer, map_shape, pick
from suites.properties.subject import Arrays

EXACT = ()
BOUNDED = ("normal", "scales")
TAYLOR = "quantised"
TIES = ""
EMPTY_BATCH = True
ADJOINT = ()


def sizes(draw: Draw, data: str) -> Sizes:
    """Windows of 1 to 5, even ones and ones that exceed the map among them."""
    return (map_shape(draw, channels=3),), {
        "window": (integer(draw, 1, 5), integer(draw, 1, 5)),
        "alpha": pick(draw, 1.0, 0.5, 1e-2),
        "beta": pick(draw, 0.75, 0.5, 1.0),
    }


def invalid(draw: Draw) -> Sizes:
    """A window of no pixel."""
    shapes, options = sizes(draw, "normal")
    return shapes, {**options, "window": (options["window"][0], 0)}


def halved_input_with_four_times_alpha_is_half(ask: Ask, inputs: Arrays, options: Options) -> Pairs:
    x = inputs[0]
    assert x is not None
    return [(ask([x / 2], replace(options, alpha=4 * options.alpha)), ask(inputs) * 0.5)]


RELATIONS = (
    halved_input_with_four_times_alpha_is_half,
    batch_in_two_parts,
    channels_apart,
    channels_in_another_order,
)


def reference(x: Any, *, window: Any, alpha: float, beta: float) -> Any:
    import torch
    import torch.nn.functional as F

    r, s = window
    around = ((s - 1) // 2, s // 2, (r - 1) // 2, r // 2)

    def sums(a: Any) -> Any:
        return F.avg_pool2d(F.pad(a, around), window, 1, divisor_override=1)

    pixels = sums(torch.ones_like(x[:1, :1]))
    return x * (1 + alpha * sums(x * x) / pixels) ** -beta
