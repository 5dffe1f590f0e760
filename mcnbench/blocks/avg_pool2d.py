"""avg_pool2d: y[n, c, p, q] = the mean over r, s of x[n, c, p stride + r - top, q stride + s - left].

x (N, C, H, W), y (N, C, P, Q) (MatConvNet manual, sections 4.3 and 6.3; vl_nnpool). The mean is over the pixels of the
window that lie inside the image; with count_include_pad, over those inside the image and its padding, which is zero.
Padding must be smaller than the window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcnbench import blocks, geometry
from mcnbench.arrays import Array, Float64, Shape
from mcnbench.bounds import Precision, judged, product_coefficient
from mcnbench.oracle import Pullback
from mcnbench.windows import pooling_windows

INPUTS = ("x",)


@dataclass(frozen=True)
class Options:
    """An int stands for both directions; padding may be (top, bottom, left, right).

    With ceil_mode the number of windows is rounded up, unless the last would begin beyond the image and its padding.
    """

    window: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, ...] = 0
    ceil_mode: bool = False
    count_include_pad: bool = False


def output_shape(shapes: blocks.Shapes, options: Options) -> Shape:
    at = pooling_windows(shapes[0], options)
    return *at.shape[:2], *at.places


def receptive_field(shapes: blocks.Shapes, options: Options) -> tuple[geometry.ReceptiveField, geometry.ReceptiveField]:
    return pooling_windows(shapes[0], options).receptive_field()


def terms(shapes: blocks.Shapes, options: Options) -> dict[str, int]:
    at = pooling_windows(shapes[0], options)
    return {"y": at.window[0] * at.window[1], "dx": at.overlap()}


def work(shapes: blocks.Shapes, options: Options) -> blocks.Work:
    """An addition per pixel of each window and a product; the same backward."""
    at = pooling_windows(shapes[0], options)
    x, y = int(np.prod(at.shape)), int(np.prod(output_shape(shapes, options)))
    flops = y * (at.window[0] * at.window[1] + 1)
    return blocks.Work(flops, flops, 4 * (x + y), 4 * (x + y))


def oracle(inputs: blocks.Inputs, options: Options) -> tuple[Array, Pullback]:
    assert inputs[0] is not None
    x = inputs[0].astype(np.float64)
    at = pooling_windows(x.shape, options)
    divisors = at.divisors(options.count_include_pad)
    return at.sum(x) / divisors, lambda dy: (at.spread(dy / divisors),)


def bound(inputs: blocks.Inputs, options: Options, dy: Array, precision: Precision) -> dict[str, Float64]:
    """k - 1 additions, the rounded reciprocal of the divisor and its product, and one to spare for sums by rows and
    columns; the same for the sum over the windows that see a pixel."""
    assert inputs[0] is not None
    x, dy = np.abs(inputs[0].astype(np.float64)), np.abs(dy.astype(np.float64))
    at = pooling_windows(x.shape, options)
    divisors, pixels = at.divisors(options.count_include_pad), at.divisors(False)
    seen = at.spread(np.ones((1, 1, *at.places)))
    total, share = at.sum(x), at.spread(dy / divisors)
    y = product_coefficient(pixels + 2, precision.u, x) * total / divisors + pixels * precision.eta
    dx = product_coefficient(seen + 2, precision.u, dy) * share + seen * precision.eta
    return {"y": judged(y, total, precision), "dx": judged(dx, share, precision)}
