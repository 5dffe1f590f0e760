"""conv2d: y[n, k, p, q] = b[k] + sum over c, r, s of w[k, c, r, s] x[n, g(k) + c, p stride + r dilation - top, ...].

x (N, C, H, W), w (K, C / groups, R, S), b (K,) or None, y (N, K, P, Q); cross-correlation, as everywhere in this field
(MatConvNet manual, section 4.1; vl_nnconv). A fully connected layer is a conv2d whose filters cover the map.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mcnbench import blocks, geometry
from mcnbench.arrays import Array, Float64, Shape, pair, sides
from mcnbench.bounds import Precision, convolution_coefficient, judged, sum_coefficient
from mcnbench.oracle import Pullback, float64_block

if TYPE_CHECKING:
    import torch

INPUTS = ("x", "w", "b")


@dataclass(frozen=True)
class Options:
    """An int stands for both directions; padding may be (top, bottom, left, right)."""

    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, ...] = 0
    dilation: int | tuple[int, int] = 1
    groups: int = 1


def output_shape(shapes: blocks.Shapes, options: Options) -> Shape:
    x, w = _required(shapes)
    k, c, *window = w
    if x[1] != c * options.groups:
        raise ValueError(f"x has {x[1]} channels, but w needs {c} * groups={options.groups} = {c * options.groups}")
    if k % options.groups:
        raise ValueError(f"w has {k} filters, which groups={options.groups} does not divide")
    b = shapes[2] if len(shapes) > 2 else None
    if b is not None and b != (k,):
        raise ValueError(f"b has shape {b}, but w has {k} filters: wanted ({k},)")
    top, bottom, left, right = sides(options.padding)
    (sv, sh), (dv, dh) = pair(options.stride), pair(options.dilation)
    if min(sv, sh, dv, dh) < 1 or min(top, bottom, left, right) < 0:
        raise ValueError(f"wanted stride and dilation of at least 1 and padding of at least 0, got {options}")
    if min(window) < 1:
        raise ValueError(f"wanted filters of at least 1x1, got w {w}")
    p = geometry.output_size(x[2], window[0], sv, top, bottom, dv)
    q = geometry.output_size(x[3], window[1], sh, left, right, dh)
    if p < 1 or q < 1:
        spans = geometry.extent(window[0], dv), geometry.extent(window[1], dh)
        room = x[2] + top + bottom, x[3] + left + right
        raise ValueError(f"the filters span {spans[0]}x{spans[1]}, but the padded map is only {room[0]}x{room[1]}")
    return x[0], k, p, q


def receptive_field(shapes: blocks.Shapes, options: Options) -> tuple[geometry.ReceptiveField, geometry.ReceptiveField]:
    _, w = _required(shapes)
    top, _, left, _ = sides(options.padding)
    (sv, sh), (dv, dh) = pair(options.stride), pair(options.dilation)
    return geometry.window_field(w[2], sv, top, dv), geometry.window_field(w[3], sh, left, dh)


def terms(shapes: blocks.Shapes, options: Options) -> dict[str, int]:
    _, w = _required(shapes)
    n, _, p, q = output_shape(shapes, options)
    (sv, sh), (dv, dh) = pair(options.stride), pair(options.dilation)
    places = n * p * q
    has_bias = len(shapes) > 2 and shapes[2] is not None
    return {
        "y": w[1] * w[2] * w[3] + has_bias,
        "dx": w[0] // options.groups * _meeting(w[2], sv, dv) * _meeting(w[3], sh, dh),
        "dw": places,
        "db": places,
    }


def work(shapes: blocks.Shapes, options: Options) -> blocks.Work:
    x, w = _required(shapes)
    y = output_shape(shapes, options)
    flops = 2 * int(np.prod(y)) * w[1] * w[2] * w[3]
    traffic = 4 * int(np.prod(x) + np.prod(w) + np.prod(y))
    return blocks.Work(flops, 2 * flops, traffic, 2 * traffic)


def oracle(inputs: blocks.Inputs, options: Options) -> tuple[Array, Pullback]:
    import torch.nn.functional as F

    top, bottom, left, right = sides(options.padding)

    def conv(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None = None) -> torch.Tensor:
        padded = F.pad(x, (left, right, top, bottom))
        return F.conv2d(padded, w, b, pair(options.stride), 0, pair(options.dilation), options.groups)

    return float64_block(conv, inputs)


def bound(inputs: blocks.Inputs, options: Options, dy: Array, precision: Precision) -> dict[str, Float64]:
    """c(n, u) times the block of absolute values; underflow adds n times the smallest subnormal."""
    shapes = [None if a is None else a.shape for a in inputs]
    return bilinear_bound(oracle, inputs, options, dy, precision, terms(shapes, options))


def bilinear_bound(
    oracle: Callable[[blocks.Inputs, Any], tuple[Array, Pullback]],
    inputs: blocks.Inputs,
    options: Any,
    dy: Array,
    precision: Precision,
    count: dict[str, int],
) -> dict[str, Float64]:
    """The bound of a block that sums `count` products of x and w for y, of dy and w for dx, of dy and x for dw."""
    x, w, *_ = (None if a is None else a.astype(np.float64) for a in inputs)
    dy = dy.astype(np.float64)
    assert x is not None
    assert w is not None
    y, pullback = oracle([None if a is None else np.abs(a) for a in inputs], options)
    sums = dict(zip(("y", "dx", "dw", "db"), (y, *pullback(np.abs(dy))), strict=False))
    coefficients = {
        "y": convolution_coefficient(count["y"], precision, x, w),
        "dx": convolution_coefficient(count["dx"], precision, dy, w),
        "dw": convolution_coefficient(count["dw"], precision, dy, x),
        "db": sum_coefficient(dy, 0, precision.u, axis=(0, 2, 3)),
    }
    return {
        name: judged(coefficients[name] * total + count[name] * precision.eta, total, precision)
        for name, total in sums.items()
        if total is not None
    }


def _meeting(taps: int, stride: int, dilation: int) -> int:
    """How many taps of a filter can meet one pixel: those whose distances are multiples of the stride."""
    return -(-taps // (stride // math.gcd(stride, dilation)))


def _required(shapes: blocks.Shapes) -> tuple[Shape, Shape]:
    x, w = shapes[0], shapes[1]
    if x is None or w is None or len(x) != 4 or len(w) != 4:
        raise ValueError(f"wanted x (N, C, H, W) and w (K, C / groups, R, S), got {x} and {w}")
    return x, w
