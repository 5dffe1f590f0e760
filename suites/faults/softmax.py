"""Faults of softmax, sigmoid and tanh."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcnbench.arrays import Array
from suites.faults.fault import Fault, edit_gradient, edit_inputs, edit_options, edit_y

UNSTABLE = "formula as printed, unstable"


def _shares(e: Array) -> Array:
    return np.asarray(e / e.sum(1, keepdims=True))


def _scaled(x: Array, temperature: float) -> Array:
    return np.asarray(x / x.dtype.type(temperature))


def _less_maximum(x: Array, temperature: float, axes: Any = 1) -> Array:
    z = _scaled(x, temperature)
    return np.asarray(z - z.max(axes, keepdims=True)) if z.size else z


def _through_the_logarithm(y: Array, x: Array, *, temperature: float) -> Array:
    """exp(x - log sum exp x) in the dtype."""
    z = _scaled(x, temperature)
    top = z.max(1, keepdims=True)
    return np.asarray(np.exp(z - (top + np.log(np.exp(z - top).sum(1, keepdims=True)))))


def _short_log2e(y: Array, x: Array, *, temperature: float) -> Array:
    """exp(a) = 2^(1.4427 a)."""
    return _shares(np.exp2(x.dtype.type(1.4427) * _less_maximum(x, temperature)))


def _last_channel_not_summed(y: Array, x: Array, *, temperature: float) -> Array:
    e = np.exp(_less_maximum(x, temperature).astype(np.float64))
    return np.asarray(e / e[:, : max(1, x.shape[1] - 1)].sum(1, keepdims=True))


def _diagonal(g: Array, dy: Array, x: Array, *, temperature: float) -> Array:
    y = _shares(np.exp(_less_maximum(x, temperature).astype(np.float64)))
    return np.asarray(y * (1 - y) * dy / temperature)


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


FAULTS = (
    Fault(
        "softmax/maximum-not-taken-out",
        "exp of x itself, which overflows.",
        UNSTABLE,
        edit_y(lambda y, x, temperature: _shares(np.exp(_scaled(x, temperature)))),
    ),
    Fault(
        "softmax/maximum-of-the-image",
        "The maximum of the whole image is taken out, not that of the pixel.",
        "axis slip",
        edit_y(lambda y, x, temperature: _shares(np.exp(_less_maximum(x, temperature, (1, 2, 3))))),
    ),
    Fault("softmax/through-the-logarithm", "exp(x - log sum exp x).", UNSTABLE, edit_y(_through_the_logarithm)),
    Fault("softmax/short-log2e", "exp(x) is 2 to the power of 1.4427 x.", "numerical slip", edit_y(_short_log2e)),
    Fault(
        "softmax/over-columns",
        "Shares are of the row, not of the channels.",
        "axis slip",
        lambda right: lambda x, **o: _swapped(right, x, o),
    ),
    Fault(
        "softmax/last-channel-not-summed",
        "The sum leaves out the last channel.",
        "index slip",
        edit_y(_last_channel_not_summed),
    ),
    Fault(
        "softmax/small-number-in-the-sum",
        "1e-6 is added to the sum.",
        "guard against division by 0",
        edit_y(lambda y, x, temperature: y / (1 + 1e-6)),
    ),
    Fault(
        "softmax/temperature-multiplies",
        "x is multiplied with the temperature.",
        "Visin, softmax with temperature",
        edit_options(lambda options, *_: {"temperature": 1 / options["temperature"]}),
    ),
    Fault(
        "softmax/dx-diagonal",
        "dx is y (1 - y) dy: other channels do not matter.",
        "chain rule",
        edit_gradient(0, _diagonal),
    ),
    Fault(
        "softmax/dx-without-temperature",
        "dx is not divided by the temperature.",
        "chain rule",
        edit_gradient(0, lambda g, dy, x, temperature: g * temperature),
    ),
    Fault(
        "sigmoid/overflows",
        "exp(x) / (1 + exp(x)).",
        UNSTABLE,
        edit_y(lambda y, x: np.exp(x) / (1 + np.exp(x))),
    ),
    Fault(
        "sigmoid/cancels",
        "1 - 1 / (1 + exp(x)).",
        UNSTABLE,
        edit_y(lambda y, x: 1 - 1 / (1 + np.exp(x))),
    ),
    Fault(
        "sigmoid/clipped",
        "x is clipped to -15 .. 15.",
        "guard against overflow",
        edit_y(lambda y, x: _sigmoid(np.clip(x.astype(np.float64), -15, 15))),
    ),
    Fault(
        "sigmoid/piecewise-linear",
        "Hard sigmoid beyond 4.",
        "fast approximation",
        edit_y(lambda y, x: np.where(np.abs(x) > 4, (x > 0).astype(x.dtype), y)),
    ),
    Fault(
        "sigmoid/dx-without-dy",
        "dx is y (1 - y), for any dy.",
        "chain rule",
        edit_gradient(0, lambda g, dy, x: _sigmoid(x) * (1 - _sigmoid(x))),
    ),
    Fault(
        "sigmoid/dx-of-y",
        "dx is y (1 - y) with sigmoid applied again.",
        "chain rule",
        edit_gradient(0, lambda g, dy, x: dy * _sigmoid(_sigmoid(x)) * (1 - _sigmoid(_sigmoid(x)))),
    ),
    Fault(
        "tanh/overflows",
        "(exp(2x) - 1) / (exp(2x) + 1).",
        "Visin, tanh as printed",
        edit_y(lambda y, x: (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1)),
    ),
    Fault(
        "tanh/through-sigmoid",
        "2 sigmoid(2x) - 1, which cancels near 0.",
        UNSTABLE,
        edit_y(lambda y, x: 2 * _sigmoid(2 * x) - 1),
    ),
    Fault(
        "tanh/rational",
        "A rational approximation beyond |x| = 3.",
        "fast approximation",
        edit_y(lambda y, x: np.where(np.abs(x) > 3, np.sign(x) * (1 - 2e-6), y)),
    ),
    Fault(
        "tanh/dx-not-squared",
        "dx is (1 - |y|) dy.",
        "chain rule",
        edit_gradient(0, lambda g, dy, x: dy * (1 - np.abs(np.tanh(x)))),
    ),
    Fault(
        "tanh/dx-of-sigmoid",
        "dx is y (1 - y) dy.",
        "chain rule",
        edit_gradient(0, lambda g, dy, x: dy * np.tanh(x) * (1 - np.tanh(x))),
    ),
    Fault(
        "tanh/nan-hidden",
        "NaN becomes 0.",
        "maximum and minimum that ignore NaN",
        edit_inputs(lambda x: (np.where(np.isnan(x), 0, x),)),
    ),
)


def _swapped(right: Any, x: Array, options: Any) -> Any:
    """The block along the columns."""
    y, pullback = right(np.ascontiguousarray(x.swapaxes(1, 3)), **options)
    return y.swapaxes(1, 3), lambda dy: (pullback(np.ascontiguousarray(dy.swapaxes(1, 3)))[0].swapaxes(1, 3),)
