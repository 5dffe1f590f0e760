"""softmax: y[c] = exp(x[c] / T) / sum over t of exp(x[t] / T), over the channels at each pixel.

x and y (N, C, H, W), T the temperature (MatConvNet manual, sections 4.5.4 and 6.5.4; vl_nnsoftmax). Evaluated with the
maximum taken out, so that no exponential overflows. dx = y (dy - sum over c of y dy) / T.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcnbench import blocks, geometry
from mcnbench.arrays import Array, Float64, Shape
from mcnbench.bounds import ELEMENTARY, Precision, judged, product_coefficient
from mcnbench.oracle import Pullback

INPUTS = ("x",)


@dataclass(frozen=True)
class Options:
    """A higher temperature flattens."""

    temperature: float = 1.0


def output_shape(shapes: blocks.Shapes, options: Options) -> Shape:
    x = shapes[0]
    if x is None or len(x) != 4 or x[1] < 1:
        raise ValueError(f"wanted x (N, C, H, W) with at least one channel, got {x}")
    if not options.temperature > 0:
        raise ValueError(f"wanted a temperature above 0, got {options.temperature}")
    return x


def receptive_field(shapes: blocks.Shapes, options: Options) -> tuple[geometry.ReceptiveField, geometry.ReceptiveField]:
    return geometry.POINTWISE, geometry.POINTWISE


def terms(shapes: blocks.Shapes, options: Options) -> dict[str, int]:
    channels = output_shape(shapes, options)[1]
    return {"y": channels, "dx": channels}


def work(shapes: blocks.Shapes, options: Options) -> blocks.Work:
    """Maximum, difference, exponential, sum, quotient; backward two products, sum, difference."""
    size = int(np.prod(output_shape(shapes, options)))
    return blocks.Work(5 * size, 4 * size, 8 * size, 12 * size)


@dataclass(frozen=True)
class Exponentials:
    """a = z - max z with z = x / T, s = sum exp a and y = exp(a) / s over the channels, with the relative errors of a
    right computation: `error_e` of exp a, `error_s` of s (without those of its terms: they are weighted by y)."""

    z: Float64
    a: Float64
    s: Float64
    y: Float64
    error_e: Float64
    error_s: Float64


def exponentials(x: Float64, temperature: float, precision: Precision) -> Exponentials:
    """The intermediate results of softmax and their errors (both exp(a) / s and exp(a - log s) are allowed)."""
    u = precision.u
    with np.errstate(all="ignore"):
        z = x / temperature
        top = z.max(axis=1, keepdims=True)
        a = z - top
        e = np.exp(a)
        s = e.sum(axis=1, keepdims=True)
        y = e / s
        # Division by T, or a product with 1 / T, may come before the maximum is taken out (exact for powers of two).
        divided = 0.0 if np.frexp(temperature)[0] == 0.5 else 2 * u * (np.abs(z) + np.abs(top))
        error_e = np.expm1(divided + 2 * u * np.abs(a)) * (1 + ELEMENTARY * u) + ELEMENTARY * u
        # The error of exp may be inf where y is 0.
        weighted = np.where(y > 0, y * error_e, 0.0).sum(axis=1, keepdims=True)
    return Exponentials(z, a, s, y, error_e, weighted + product_coefficient(x.shape[1], u, e))


def oracle(inputs: blocks.Inputs, options: Options) -> tuple[Array, Pullback]:
    x = _float64(inputs, options)
    with np.errstate(all="ignore"):
        z = x / options.temperature
        e = np.exp(z - z.max(axis=1, keepdims=True))
        y = e / e.sum(axis=1, keepdims=True)

    def pullback(dy: Array) -> tuple[Array]:
        mean = (y * dy).sum(axis=1, keepdims=True)
        return (y * (dy - mean) / options.temperature,)

    return y, pullback


def bound(inputs: blocks.Inputs, options: Options, dy: Array, precision: Precision) -> dict[str, Float64]:
    """The relative error of exp(a) / s; in dx the error of s is common to all channels, so it multiplies the sum of
    y dy and not the sum of their absolute values. Exponentials below the smallest normal number may be flushed. An x of
    -inf masks its channel: y and dx are 0 there; pixels without a finite x are not judged."""
    x = _float64(inputs, options)
    dy = dy.astype(np.float64)
    u, eta, tiny = precision.u, precision.eta, precision.tiny
    channels = x.shape[1]
    with np.errstate(all="ignore"):
        parts = exponentials(x, options.temperature, precision)
        y, re, rs = parts.y, parts.error_e, parts.error_s
        absolute = np.where(y > 0, y * (re + rs + 2 * u + re * rs), 0.0)
        mean = (y * dy).sum(axis=1, keepdims=True)
        each = np.where(y > 0, y * np.abs(dy) * (re + 2 * u + product_coefficient(channels + 1, u, y * dy)), 0.0)
        lost = tiny * np.abs(dy).sum(axis=1, keepdims=True) + channels * eta
        error_mean = each.sum(axis=1, keepdims=True) + (rs + 2 * u) * np.abs(mean) + lost
        centred = np.abs(dy - mean)
        dx = absolute * centred + (y + absolute + tiny) * (error_mean + 4 * u * (np.abs(dy) + np.abs(mean)))
        dx = (dx + tiny * centred + 2 * eta * (1 + np.abs(dy))) / options.temperature + eta
        largest = np.abs(dy).max(axis=1, keepdims=True) * channels
        z, a = (np.where(np.isneginf(x) & np.isfinite(parts.s), 0.0, np.abs(each)) for each in (parts.z, parts.a))
    return {
        "y": judged(absolute + tiny, y, precision, z, a),
        "dx": judged(dx, y * centred / options.temperature, precision, a, largest),
    }


def _float64(inputs: blocks.Inputs, options: Options) -> Float64:
    x = inputs[0]
    assert x is not None
    output_shape([x.shape], options)
    return x.astype(np.float64)
