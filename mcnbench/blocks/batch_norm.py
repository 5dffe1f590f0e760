"""batch_norm: y = gain (x - mean) / sqrt(variance + epsilon) + bias, channel by channel.

x and y (N, C, H, W), gain and bias (C,) (MatConvNet manual, sections 4.5.2 and 6.5.2; vl_nnbnorm). In training the mean
and the variance are those of x over N, H and W, the variance biased (divided by N H W), and the gradient goes through
them. With `moments` they are given and constant: inference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcnbench import blocks, geometry
from mcnbench.arrays import Array, Float64, Shape
from mcnbench.bounds import ELEMENTARY, Precision, judged, sum_coefficient
from mcnbench.oracle import Pullback

INPUTS = ("x", "gain", "bias")
PIXELS = (0, 2, 3)


@dataclass(frozen=True)
class Options:
    """moments = (mean, variance), two arrays of shape (C,): NumPy arrays here, the backend's own in a backend's call.

    (vl_nnbnorm's moments are mean and sqrt(variance + epsilon) instead.)
    """

    epsilon: float = 1e-4
    moments: tuple[Array, Array] | None = None


def output_shape(shapes: blocks.Shapes, options: Options) -> Shape:
    x = blocks.required(shapes[0])
    named = {"gain": shapes[1], "bias": shapes[2]}
    if options.moments is not None:
        named |= {"mean": tuple(options.moments[0].shape), "variance": tuple(options.moments[1].shape)}
    for name, shape in named.items():
        if shape != (x[1],):
            raise ValueError(f"x has {x[1]} channels, so wanted {name} of shape ({x[1]},), got {shape}")
    if options.epsilon < 0:
        raise ValueError(f"wanted epsilon of at least 0, got {options.epsilon}")
    return x


def receptive_field(
    shapes: blocks.Shapes, options: Options
) -> tuple[geometry.ReceptiveField, geometry.ReceptiveField] | None:
    """In training every pixel depends on all."""
    return None if options.moments is None else (geometry.POINTWISE, geometry.POINTWISE)


def terms(shapes: blocks.Shapes, options: Options) -> dict[str, int]:
    n, _, h, w = output_shape(shapes, options)
    pixels = n * h * w
    seen = pixels if options.moments is None else 1
    return {"y": seen, "dx": seen, "dgain": pixels, "dbias": pixels}


def work(shapes: blocks.Shapes, options: Options) -> blocks.Work:
    """Mean, variance (difference, square, sum), scale and shift; backward two sums of products and three terms."""
    size = int(np.prod(output_shape(shapes, options)))
    forward, backward = (6, 9) if options.moments is None else (2, 5)
    return blocks.Work(forward * size, backward * size, 8 * size, 12 * size)


@dataclass(frozen=True)
class _Parts:
    x: Float64
    gain: Float64
    bias: Float64
    mean: Float64
    d: Float64
    variance: Float64
    r: Float64
    h: Float64


def oracle(inputs: blocks.Inputs, options: Options) -> tuple[Array, Pullback]:
    p = _parts(inputs, options)

    def pullback(dy: Array) -> tuple[Array, ...]:
        dgain, dbias = (dy * p.h).sum(axis=PIXELS), dy.sum(axis=PIXELS)
        return _dx(p, dy, dgain, dbias, options), dgain, dbias

    with np.errstate(all="ignore"):
        return p.gain * p.h + p.bias, pullback


def bound(inputs: blocks.Inputs, options: Options, dy: Array, precision: Precision) -> dict[str, Float64]:
    """Follows the mean, the two-pass variance, 1 / sqrt and the sums of the gradients, each with its own error.

    In training the error of the mean is a common shift of the channel: it multiplies the sum of dy, not of |dy|. A
    one-pass variance E[x^2] - mean^2 is outside as soon as mean / deviation exceeds about 100.
    """
    p = _parts(inputs, options)
    dy = dy.astype(np.float64)
    given = options.moments is not None
    with np.errstate(all="ignore"):
        y, dx, dgain, dbias = _given_errors(p, dy, precision) if given else _training_errors(p, dy, options, precision)
        dgain_value, dbias_value = (dy * p.h).sum(axis=PIXELS), dy.sum(axis=PIXELS)
        y_value, dx_value = p.gain * p.h + p.bias, _dx(p, dy, dgain_value, dbias_value, options)
    forward, backward = _intermediates(p, dy, given)
    per_channel = [a[0, :, 0, 0] for a in (*forward, *backward)]
    # Composites form powers such as d d dy r^3, which overflow and underflow before the result does.
    large = np.abs(p.x).max(axis=PIXELS, keepdims=True, initial=0.0) > precision.big**0.25 / 4
    return {
        "y": judged(y, y_value, precision, *forward),
        "dx": np.where(large, np.inf, judged(dx, dx_value, precision, *forward, *backward)),
        "dgain": judged(dgain, dgain_value, precision, *per_channel),
        "dbias": judged(dbias, dbias_value, precision, np.abs(dy).sum(axis=PIXELS)),
    }


def _intermediates(p: _Parts, dy: Float64, given: bool) -> tuple[list[Float64], list[Float64]]:
    """The largest magnitudes that some right way of computing y, or the gradients, forms in a channel, (1, C, 1, 1)."""
    with np.errstate(all="ignore"):
        gain, r = np.maximum(np.abs(p.gain), 1), np.maximum(p.r, 1)
        x, d = (np.abs(a).max(axis=PIXELS, keepdims=True, initial=0.0) for a in (p.x, p.d))
        total = np.abs(dy).sum(axis=PIXELS, keepdims=True)
        products = np.abs(dy * p.d).sum(axis=PIXELS, keepdims=True)
        forward = [(x + np.abs(p.mean)) * np.abs(p.gain * p.r), gain * r]  # the former of the form x a + (b - mu a)
        if given:
            return forward, [gain * r * total, products * r]
        forward += [(p.d * p.d).sum(axis=PIXELS, keepdims=True), np.abs(p.x).sum(axis=PIXELS, keepdims=True)]
        mean = products / max(p.x[:, 0].size, 1)
        return forward, [gain * r * total, gain * r**3 * products, gain * np.maximum(p.r, p.r**3) * d * mean]


def _training_errors(p: _Parts, dy: Float64, options: Options, precision: Precision) -> tuple[Float64, ...]:
    """Of y, dx, dgain and dbias (notation: mu the mean, v the variance, V = v + epsilon, r = V^-1/2, h = d r)."""
    u, eta = precision.u, precision.eta
    gain, bias, d, r, h = np.abs(p.gain), np.abs(p.bias), np.abs(p.d), p.r, np.abs(p.h)
    count = max(p.x[:, 0].size, 1)
    big_v = p.variance + options.epsilon
    e_mean = _coefficient(p.x, 1, u) * np.abs(p.x).sum(axis=PIXELS, keepdims=True) / count + eta
    # mean (x - mu')^2 = v + (mu' - mu)^2 for any mu', so a two-pass variance feels the mean's error only squared.
    e_v = e_mean**2 + _coefficient(p.d * p.d, 4, u) * (p.variance + e_mean**2) + 2 * eta
    low, high = np.maximum(big_v - e_v, options.epsilon) * (1 - 2 * u), (big_v + e_v) * (1 + 2 * u)
    e_r = np.maximum(np.sqrt(big_v / low) - 1, 1 - np.sqrt(big_v / high)) + ELEMENTARY * u
    own = u * d + 2 * u * (np.abs(p.x) + np.abs(p.mean))  # of x - mu; the second term admits y = x a + (b - mu a)
    e_h = r * (1 + e_r) * (e_mean + own + 3 * u * e_mean) + h * e_r
    y = gain * (e_h + 3 * u * h) + 2 * u * bias + _lost(p, eta)

    sum_dy, total = np.abs(dy.sum(axis=PIXELS, keepdims=True)), np.abs(dy).sum(axis=PIXELS, keepdims=True)
    e_bias = _coefficient(dy, 1, u) * total
    e_gain = (1 + e_r) * r * (e_mean * (sum_dy + e_bias) + (np.abs(dy) * own).sum(axis=PIXELS, keepdims=True))
    e_gain = e_gain + (np.abs(dy) * h).sum(axis=PIXELS, keepdims=True) * (e_r + _coefficient(dy * p.h, 4, u))
    e_gain = e_gain + eta * (count * (1 + r) + total)

    b = (dy * p.h).sum(axis=PIXELS, keepdims=True) / count
    a, e_a = sum_dy / count, e_bias / count + eta
    e_b = e_gain / count + 2 * u * np.abs(b) + eta
    core = e_a + (h + e_h) * e_b + e_h * np.abs(b) + 4 * u * (np.abs(dy) + a + np.abs(p.h * b))
    value = np.abs(p.gain * r * (dy - dy.sum(axis=PIXELS, keepdims=True) / count - p.h * b))
    lost = 4 * eta * (1 + gain) * (1 + r) * (1 + d) * (1 + np.abs(dy) + a + np.abs(p.h * b))
    dx = gain * r * (1 + e_r) * core + value * (e_r + 4 * u) + lost
    return y, dx, e_gain[0, :, 0, 0], e_bias[0, :, 0, 0]


def _given_errors(p: _Parts, dy: Float64, precision: Precision) -> tuple[Float64, ...]:
    """Of y, dx, dgain and dbias when the moments are given."""
    u, eta = precision.u, precision.eta
    gain, d, r = np.abs(p.gain), np.abs(p.d), p.r
    e_r = 2 * u + ELEMENTARY * u
    own = u * d + 2 * u * (np.abs(p.x) + np.abs(p.mean))
    y = gain * r * ((1 + e_r) * own + d * (e_r + 3 * u)) + 2 * u * np.abs(p.bias) + _lost(p, eta)
    dx = np.abs(dy * p.gain * r) * (e_r + 3 * u) + eta * (1 + gain) * (1 + r) * (1 + np.abs(dy))
    each = np.abs(dy) * r * ((1 + e_r) * own + d * (e_r + _coefficient(dy * p.h, 3, u)))
    total = np.abs(dy).sum(axis=PIXELS, keepdims=True)
    e_gain = each.sum(axis=PIXELS, keepdims=True) + eta * (p.x[:, 0].size * (1 + r) + total)
    e_bias = _coefficient(dy, 0, u) * total
    return y, dx, e_gain[0, :, 0, 0], e_bias[0, :, 0, 0]


def _lost(p: _Parts, eta: float) -> Float64:
    """What y may lose to gradual underflow, of the scale gain r and the shift mean gain r as well."""
    reach = 1 + np.abs(p.d) + np.abs(p.x) + np.abs(p.mean)
    return np.asarray(eta * (1 + np.abs(p.gain)) * (1 + p.r) * reach)


def _coefficient(summands: Float64, extra: int, u: float) -> Float64:
    return sum_coefficient(summands, extra, u, axis=PIXELS).reshape(1, -1, 1, 1)


def _dx(p: _Parts, dy: Array, dgain: Float64, dbias: Float64, options: Options) -> Float64:
    with np.errstate(all="ignore"):
        if options.moments is not None:
            return np.asarray(dy * p.gain * p.r)
        count = max(p.x[:, 0].size, 1)
        return np.asarray(p.gain * p.r * (dy - _row(dbias) / count - p.h * _row(dgain) / count))


def _parts(inputs: blocks.Inputs, options: Options) -> _Parts:
    x, gain, bias = (np.asarray(a, np.float64) for a in inputs if a is not None)
    output_shape([x.shape, gain.shape, bias.shape], options)
    with np.errstate(all="ignore"):
        if options.moments is not None:
            mean, variance = (_row(np.asarray(a, np.float64)) for a in options.moments)
            d = x - mean
        else:
            count = max(x[:, 0].size, 1)
            mean = x.sum(axis=PIXELS, keepdims=True) / count
            d = x - mean
            variance = (d * d).sum(axis=PIXELS, keepdims=True) / count
        r = 1 / np.sqrt(variance + options.epsilon)
        return _Parts(x, _row(gain), _row(bias), mean, d, variance, r, d * r)


def _row(a: Float64) -> Float64:
    """(C,) as (1, C, 1, 1)."""
    return a.reshape(1, -1, 1, 1)
