"""spatial_norm: y = x (1 + alpha n2)^-beta, n2 being the mean of x^2 over a window around each pixel.

x and y (N, C, H, W), each channel by itself. The R x S window begins floor((R - 1) / 2) rows above and
floor((S - 1) / 2) columns left of its pixel; at the border it is cropped, and the mean is over the pixels inside the
image (MatConvNet manual, sections 4.5.3 and 6.5.3; vl_nnspnorm).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcnbench import blocks, geometry
from mcnbench.arrays import Array, Float64, Shape, pair
from mcnbench.bounds import Precision
from mcnbench.energy_norm import EnergyNorm
from mcnbench.oracle import Pullback
from mcnbench.windows import Windows

INPUTS = ("x",)


@dataclass(frozen=True)
class Options:
    """An int stands for both directions of the window."""

    window: int | tuple[int, int]
    alpha: float
    beta: float


def output_shape(shapes: blocks.Shapes, options: Options) -> Shape:
    return spatial_windows(shapes[0], options.window, options.alpha).shape


def receptive_field(shapes: blocks.Shapes, options: Options) -> tuple[geometry.ReceptiveField, geometry.ReceptiveField]:
    return spatial_windows(shapes[0], options.window, options.alpha).receptive_field()


def terms(shapes: blocks.Shapes, options: Options) -> dict[str, int]:
    """The squares in a window, and the windows that see a pixel with its own term."""
    at = spatial_windows(shapes[0], options.window, options.alpha)
    return {"y": at.window[0] * at.window[1], "dx": at.overlap() + 1}


def work(shapes: blocks.Shapes, options: Options) -> blocks.Work:
    """Squares and sums over the window, a power (counted as 2 operations), products; twice that backward."""
    at = spatial_windows(shapes[0], options.window, options.alpha)
    size = int(np.prod(at.shape))
    flops = size * (2 * at.window[0] * at.window[1] + 4)
    return blocks.Work(flops, 2 * flops, 8 * size, 12 * size)


def oracle(inputs: blocks.Inputs, options: Options) -> tuple[Array, Pullback]:
    x, norm = _norm(inputs, options)
    return norm.oracle(x)


def bound(inputs: blocks.Inputs, options: Options, dy: Array, precision: Precision) -> dict[str, Float64]:
    """As `EnergyNorm.bound`: S sums squares, which alpha multiplies and the count of pixels divides."""
    x, norm = _norm(inputs, options)
    return norm.bound(x, dy.astype(np.float64), precision, extra=5)


def spatial_windows(shape: Shape | None, window: int | tuple[int, int], alpha: float) -> Windows:
    """The window of each pixel; raises ValueError, with what was given and needed, for sizes that are none."""
    shape = blocks.required(shape)
    r, s = pair(window)
    if min(r, s) < 1 or alpha < 0:
        raise ValueError(f"wanted a window of at least 1x1 and alpha of at least 0, got window={window}, alpha={alpha}")
    if min(shape[1:]) < 1:
        raise ValueError(f"wanted x (N, C, H, W) with at least one channel and one pixel, got {shape}")
    margins = (r - 1) // 2, r // 2, (s - 1) // 2, s // 2
    return Windows(shape, (r, s), (1, 1), margins, (shape[2], shape[3]))


def _norm(inputs: blocks.Inputs, options: Options) -> tuple[Float64, EnergyNorm]:
    x = inputs[0]
    assert x is not None
    at = spatial_windows(x.shape, options.window, options.alpha)
    norm = EnergyNorm(
        kappa=1.0,
        scale=options.alpha / at.divisors(count_include_pad=False),
        beta=options.beta,
        gather=at.sum,
        scatter=at.spread,
        summands=at.window[0] * at.window[1],
        overlap=at.overlap(),
    )
    return x.astype(np.float64), norm
