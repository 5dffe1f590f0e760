"""local_response_norm: y[k] = x[k] (kappa + alpha sum over t in G(k) of x[t]^2)^-beta, across channels at each pixel.

x and y (N, C, H, W). G(k) = k - floor((window - 1) / 2) .. k + ceil((window - 1) / 2), clipped to the channels there
are: an even window leans to the higher channel, and alpha multiplies the plain sum (MatConvNet manual, sections 4.5.1
and 6.5.1; vl_nnnormalize). PyTorch divides alpha by the window and leans the other way.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from mcnbench import blocks, geometry
from mcnbench.arrays import Array, Float64, Shape
from mcnbench.bounds import Precision
from mcnbench.energy_norm import EnergyNorm
from mcnbench.oracle import Pullback

INPUTS = ("x",)


@dataclass(frozen=True)
class Options:
    """The defaults are vl_nnnormalize's."""

    window: int = 5
    kappa: float = 2.0
    alpha: float = 1e-4
    beta: float = 0.75


def output_shape(shapes: blocks.Shapes, options: Options) -> Shape:
    x = blocks.required(shapes[0])
    if options.window < 1:
        raise ValueError(f"wanted a window of at least 1 channel, got {options.window}")
    if min(options.kappa, options.alpha) < 0:
        raise ValueError(f"wanted kappa and alpha of at least 0, got kappa={options.kappa}, alpha={options.alpha}")
    return x


def receptive_field(shapes: blocks.Shapes, options: Options) -> tuple[geometry.ReceptiveField, geometry.ReceptiveField]:
    return geometry.POINTWISE, geometry.POINTWISE


def terms(shapes: blocks.Shapes, options: Options) -> dict[str, int]:
    """The squares in a window, and the windows that see an element with its own term."""
    seen = min(options.window, output_shape(shapes, options)[1])
    return {"y": seen, "dx": seen + 1}


def work(shapes: blocks.Shapes, options: Options) -> blocks.Work:
    """Squares and sums over the window, a power (counted as 2 operations), products; twice that backward."""
    size = int(np.prod(output_shape(shapes, options)))
    flops = size * (2 * options.window + 4)
    return blocks.Work(flops, 2 * flops, 8 * size, 12 * size)


def oracle(inputs: blocks.Inputs, options: Options) -> tuple[Array, Pullback]:
    x = _float64(inputs, options)
    return _norm(x.shape, options).oracle(x)


def bound(inputs: blocks.Inputs, options: Options, dy: Array, precision: Precision) -> dict[str, Float64]:
    """As `EnergyNorm.bound`: S sums squares, which alpha multiplies."""
    x = _float64(inputs, options)
    return _norm(x.shape, options).bound(x, dy.astype(np.float64), precision, extra=3)


def _norm(shape: Shape, options: Options) -> EnergyNorm:
    before, after = (options.window - 1) // 2, options.window // 2
    seen = min(options.window, shape[1])
    return EnergyNorm(
        kappa=options.kappa,
        scale=np.float64(options.alpha) * np.ones((1, 1, 1, 1)),
        beta=options.beta,
        gather=partial(_sum_channels, before=before, after=after),
        scatter=partial(_sum_channels, before=after, after=before),
        summands=seen,
        overlap=seen,
    )


def _sum_channels(a: Float64, before: int, after: int) -> Float64:
    """For each channel k the sum of channels k - before .. k + after, each sum on its own: none is updated."""
    channels = a.shape[1]
    total = np.zeros_like(a)
    for offset in range(-min(before, channels - 1), min(after, channels - 1) + 1):
        low, high = max(0, -offset), channels - max(0, offset)
        total[:, low:high] += a[:, low + offset : high + offset]
    return total


def _float64(inputs: blocks.Inputs, options: Options) -> Float64:
    x = inputs[0]
    assert x is not None
    output_shape([x.shape], options)
    return x.astype(np.float64)
