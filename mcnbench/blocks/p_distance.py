"""p_distance: y = (sum over c of |x[c] - target[c]|^p)^(1/p) at each pixel; without the root if `root` is false.

x and target (N, C, H, W), y (N, 1, H, W), p > 0 (MatConvNet manual, sections 4.6.3 and 6.6.3; vl_nnpdist). The
gradient to x is dy p |d|^(p-1) sign(d), d = x - target, times the root's D^(1/p-1) / p; 0 where d is 0, also where the
derivative does not exist. The gradient to the target is its negative. (vl_nnpdist clamps D from below in the
derivative; not here.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcnbench import blocks, geometry
from mcnbench.arrays import Array, Float64, Shape
from mcnbench.bounds import POWER, Precision, judged, power_error, product_coefficient
from mcnbench.oracle import Pullback

INPUTS = ("x", "target")


@dataclass(frozen=True)
class Options:
    """root = False leaves out the p-th root (vl_nnpdist's noRoot)."""

    p: float
    root: bool = True


def output_shape(shapes: blocks.Shapes, options: Options) -> Shape:
    x = blocks.required(shapes[0])
    if x != shapes[1]:
        raise ValueError(f"wanted x and target of one shape, got x {x} and target {shapes[1]}")
    if x[1] < 1:
        raise ValueError(f"wanted x (N, C, H, W) with at least one channel, got {x}")
    if not options.p > 0:
        raise ValueError(f"wanted p above 0, got {options.p}")
    return x[0], 1, *x[2:]


def receptive_field(shapes: blocks.Shapes, options: Options) -> tuple[geometry.ReceptiveField, geometry.ReceptiveField]:
    return geometry.POINTWISE, geometry.POINTWISE


def terms(shapes: blocks.Shapes, options: Options) -> dict[str, int]:
    return {"y": blocks.required(shapes[0])[1], "dx": 1, "dtarget": 1}


def work(shapes: blocks.Shapes, options: Options) -> blocks.Work:
    """Difference, power (counted as 2 operations) and sum; backward a power and two products."""
    size = int(np.prod(blocks.required(shapes[0])))
    return blocks.Work(4 * size, 4 * size, 8 * size, 16 * size)


def oracle(inputs: blocks.Inputs, options: Options) -> tuple[Array, Pullback]:
    d, total = _sums(inputs, options)

    def pullback(dy: Array) -> tuple[Array, Array]:
        with np.errstate(all="ignore"):
            dx = np.where(d == 0, 0.0, _factor(dy, total, options) * _slopes(d, options.p))
        return dx, -dx

    with np.errstate(all="ignore"):
        return total ** (1 / options.p) if options.root else total, pullback


def bound(inputs: blocks.Inputs, options: Options, dy: Array, precision: Precision) -> dict[str, Float64]:
    """x - target is rounded once, so everything stays relative near d = 0; x^2 - 2 x t + t^2 is outside there.

    No gradient is judged where d = 0 and p < 1, or where all d are 0, p is not 1 and there is a root: no derivative.
    """
    u, eta, p = precision.u, precision.eta, options.p
    d, total = _sums(inputs, options)
    dy = np.abs(dy.astype(np.float64))
    size = np.abs(d)
    with np.errstate(all="ignore"):
        e_total = total * (_power_roundings(p, u) + product_coefficient(d.shape[1], u, size)) + d.shape[1] * eta
        y, e_y = total, e_total
        if options.root:
            y = total ** (1 / p)
            own = 0.0 if p == 1 else POWER * u + 2 * u * np.abs(np.log(total)) / p
            up, down = (total + e_total) ** (1 / p), np.maximum(total - e_total, 0) ** (1 / p)
            e_y = np.maximum(up * (1 + own) - y, y - down * (1 - own)) + eta
            e_y = np.where(total == 0, (d.shape[1] * eta) ** (1 / p) + eta, e_y)

        factor = np.abs(_factor(dy, total, options))
        e_factor, powers = np.asarray(4 * u), np.zeros_like(total)
        if options.root:  # a power of D, or of y, which for p < 1 is the smaller and underflows first
            powers = total ** (1 / p - 1)
            e_factor = power_error(total, e_total, 1 / p - 1, u) + 5 * u
            e_factor = e_factor + (power_error(y, np.full_like(y, 2 * eta), 1 - p, 0) if p < 1 else 0)
        slope = np.abs(_slopes(d, p))
        e_slope = _power_roundings(p - 1, u)
        value = factor * slope
        e_x = value * (e_factor + e_slope + e_factor * e_slope) + 4 * eta * (2 + dy + factor + slope + powers)
        e_x = judged(e_x, value, precision, size, total, y, factor, slope, dy * slope, _forms(size, p))
    undefined = (d == 0) & (p < 1)
    if options.root and p != 1:
        undefined = undefined | (total == 0)
    e_x = np.where(undefined, np.inf, np.where((d == 0) & np.isfinite(e_x), 0.0, e_x))
    return {"y": judged(e_y, y, precision, size.max(axis=1, keepdims=True), total), "dx": e_x, "dtarget": e_x}


def _sums(inputs: blocks.Inputs, options: Options) -> tuple[Float64, Float64]:
    """d = x - target and D, the sum of |d|^p over the channels."""
    x, target = inputs
    assert x is not None
    assert target is not None
    output_shape([x.shape, target.shape], options)
    with np.errstate(all="ignore"):
        d = x.astype(np.float64) - target.astype(np.float64)
        return d, (np.abs(d) ** options.p).sum(axis=1, keepdims=True)


def _factor(dy: Array, total: Float64, options: Options) -> Float64:
    """What all channels of a pixel share: dy p, or dy D^(1/p - 1)."""
    with np.errstate(all="ignore"):
        return np.asarray(dy * total ** (1 / options.p - 1) if options.root else dy * options.p)


def _slopes(d: Float64, p: float) -> Float64:
    with np.errstate(all="ignore"):
        return np.asarray(np.sign(d) * np.abs(d) ** (p - 1))


def _power_roundings(exponent: float, u: float) -> float:
    """The relative error of |d|^exponent, d being rounded once."""
    if exponent in (0, 1):
        return abs(exponent) * u * 1.01
    return abs(exponent) * u * 1.01 + POWER * u


def _forms(size: Float64, p: float) -> Float64:
    """d |d|^(p-2), another way of writing the slope, overflows first."""
    return np.where(size > 0, size ** (p - 2), 0.0) if p < 2 else np.zeros_like(size)
