"""conv_transpose2d: the transpose of conv2d; the gradient that conv2d passes to its input, as a block.

y[n, k, i, j] = b[k] + sum of w[c, k, r, s] x[n, c, p, q] over all c of k's group and p stride + r - top = i (the same
for columns). x (N, C, H, W), w (C, K / groups, R, S), b (K,) or None, y (N, K, (H - 1) stride + R - top - bottom, ...):
stride upsamples, padding crops (MatConvNet manual, sections 4.2, 5.3 and 6.2; vl_nnconvt).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mcnbench import blocks, geometry
from mcnbench.arrays import Array, Float64, Shape, pair, sides
from mcnbench.blocks.conv2d import bilinear_bound
from mcnbench.bounds import Precision
from mcnbench.oracle import Pullback, float64_block

if TYPE_CHECKING:
    import torch

INPUTS = ("x", "w", "b")


@dataclass(frozen=True)
class Options:
    """An int stands for both directions; padding, what is cropped from y, may be (top, bottom, left, right)."""

    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, ...] = 0
    groups: int = 1


def output_shape(shapes: blocks.Shapes, options: Options) -> Shape:
    x, w = _required(shapes)
    if options.groups < 1 or x[1] % options.groups:
        raise ValueError(f"x has {x[1]} channels, which groups={options.groups} does not divide")
    if x[1] != w[0]:
        raise ValueError(f"x has {x[1]} channels, but w (C, K / groups, R, S) has {w[0]}")
    k = w[1] * options.groups
    b = shapes[2] if len(shapes) > 2 else None
    if b is not None and b != (k,):
        raise ValueError(f"b has shape {b}, but w has {w[1]} * groups={options.groups} filters: wanted ({k},)")
    (sv, sh), (top, bottom, left, right) = pair(options.stride), sides(options.padding)
    if min(sv, sh) < 1 or min(top, bottom, left, right) < 0:
        raise ValueError(f"wanted stride of at least 1 and padding of at least 0, got {options}")
    p = geometry.transposed_size(x[2], w[2], sv, top, bottom)
    q = geometry.transposed_size(x[3], w[3], sh, left, right)
    if min(*x[2:], *w[2:], p, q) < 1:
        raise ValueError(f"padding {options.padding} crops the map of {x[2]}x{x[3]} to {p}x{q}: wanted at least 1x1")
    return x[0], k, p, q


def receptive_field(shapes: blocks.Shapes, options: Options) -> tuple[geometry.ReceptiveField, geometry.ReceptiveField]:
    _, w = _required(shapes)
    (sv, sh), (top, _, left, _) = pair(options.stride), sides(options.padding)
    return geometry.window_field(w[2], sv, top).transposed(), geometry.window_field(w[3], sh, left).transposed()


def terms(shapes: blocks.Shapes, options: Options) -> dict[str, int]:
    """A pixel of y is reached by at most ceil(R / stride) rows of filters, and as many columns."""
    x, w = _required(shapes)
    n, _, p, q = output_shape(shapes, options)
    sv, sh = pair(options.stride)
    has_bias = len(shapes) > 2 and shapes[2] is not None
    reached = min(-(-w[2] // sv), x[2]) * min(-(-w[3] // sh), x[3])
    return {
        "y": x[1] // options.groups * reached + has_bias,
        "dx": w[1] * w[2] * w[3],
        "dw": x[0] * x[2] * x[3],
        "db": n * p * q,
    }


def work(shapes: blocks.Shapes, options: Options) -> blocks.Work:
    """Every element of x meets every weight of its group, also where the product is cropped."""
    x, w = _required(shapes)
    y = output_shape(shapes, options)
    flops = 2 * int(np.prod(x)) * w[1] * w[2] * w[3]
    traffic = 4 * int(np.prod(x) + np.prod(w) + np.prod(y))
    return blocks.Work(flops, 2 * flops, traffic, 2 * traffic)


def oracle(inputs: blocks.Inputs, options: Options) -> tuple[Array, Pullback]:
    import torch.nn.functional as F

    top, bottom, left, right = sides(options.padding)

    def transpose(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None = None) -> torch.Tensor:
        full = F.conv_transpose2d(x, w, b, pair(options.stride), 0, groups=options.groups)
        return full[:, :, top : full.shape[2] - bottom, left : full.shape[3] - right]

    return float64_block(transpose, inputs)


def bound(inputs: blocks.Inputs, options: Options, dy: Array, precision: Precision) -> dict[str, Float64]:
    """c(n, u) times the block of absolute values, as for conv2d."""
    shapes = [None if a is None else a.shape for a in inputs]
    return bilinear_bound(oracle, inputs, options, dy, precision, terms(shapes, options))


def _required(shapes: blocks.Shapes) -> tuple[Shape, Shape]:
    x, w = shapes[0], shapes[1]
    if x is None or w is None or len(x) != 4 or len(w) != 4:
        raise ValueError(f"wanted x (N, C, H, W) and w (C, K / groups, R, S), got {x} and {w}")
    return x, w
