"""Faults of batch_norm."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcnbench.arrays import Array
from suites.faults.fault import (
    Block,
    Fault,
    Gradients,
    Options,
    Plant,
    Pullback,
    edit_gradient,
    edit_inputs,
    edit_options,
    edit_y,
    rounded,
)

MATCONVNET = "MatConvNet's own code"
PIXELS = (0, 2, 3)


def _row(a: Any) -> Array:
    return np.asarray(a).reshape(1, -1, 1, 1)


def _moments(x: Array, axes: tuple[int, ...] = PIXELS, ddof: int = 0) -> tuple[Array, Array]:
    """Mean and variance in float64."""
    wide = x.astype(np.float64)
    ddof = ddof if wide[:, 0].size > ddof else 0
    return wide.mean(axes, keepdims=True), wide.var(axes, keepdims=True, ddof=ddof)


def _in_training(normalise: Any) -> Plant:
    """In training y = gain normalise(x, epsilon) + bias; with moments given y stays right."""

    def change(y: Array, x: Array, gain: Array, bias: Array, *, epsilon: float, moments: Any) -> Array:
        return y if moments is not None else np.asarray(_row(gain) * normalise(x, epsilon) + _row(bias))

    return edit_y(change)


def _unbiased(x: Array, epsilon: float) -> Array:
    mean, variance = _moments(x, ddof=1)
    return np.asarray((x - mean) / np.sqrt(variance + epsilon))


def _epsilon_outside(x: Array, epsilon: float) -> Array:
    mean, variance = _moments(x)
    return np.asarray((x - mean) / (np.sqrt(variance) + epsilon))


def _one_pass(x: Array, epsilon: float) -> Array:
    """E[x^2] - mean^2 in the dtype."""
    mean = x.mean(PIXELS, keepdims=True, dtype=x.dtype)
    variance = np.maximum((x * x).mean(PIXELS, keepdims=True, dtype=x.dtype) - mean * mean, 0)
    return np.asarray((x - mean) / np.sqrt(variance + x.dtype.type(epsilon)))


def _pixel_by_pixel(x: Array, epsilon: float) -> Array:
    mean, variance = _moments(x, (0,))
    return np.asarray((x - mean) / np.sqrt(variance + epsilon))


def _image_by_image(x: Array, epsilon: float) -> Array:
    mean, variance = _moments(x, (2, 3))
    return np.asarray((x - mean) / np.sqrt(variance + epsilon))


def _over_channels(x: Array, epsilon: float) -> Array:
    mean, variance = _moments(x, (1, 2, 3))
    return np.asarray((x - mean) / np.sqrt(variance + epsilon))


def _last_image_left_out(x: Array, epsilon: float) -> Array:
    mean, variance = _moments(x[:-1] if len(x) > 1 else x)
    return np.asarray((x - mean) / np.sqrt(variance + epsilon))


def _half(x: Array, epsilon: float) -> Array:
    mean, variance = _moments(x)
    return rounded(np.asarray((x - mean) / np.sqrt(variance + epsilon)), 11)


def _dx(terms: str) -> Plant:
    """dx in training without the term of the mean or of the variance."""

    def change(g: Array, dy: Array, x: Array, gain: Array, bias: Array, *, epsilon: float, moments: Any) -> Array:
        if moments is not None:
            return g
        mean, variance = _moments(x)
        r = 1 / np.sqrt(variance + epsilon)
        h = (x - mean) * r
        core = dy.astype(np.float64)
        if "mean" in terms:
            core = core - dy.mean(PIXELS, keepdims=True, dtype=np.float64)
        if "variance" in terms:
            core = core - h * (dy * h).mean(PIXELS, keepdims=True)
        return np.asarray(_row(gain) * r * core)

    return edit_gradient(0, change)


def _training_terms_in_inference(right: Block) -> Block:
    """With moments given dx still goes through the moments of the batch."""

    def wrong(x: Array, gain: Array, bias: Array, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(x, gain, bias, **options)
        trained = right(x, gain, bias, **options | {"moments": None})[1] if x.size else pullback

        def gradients(dy: Array) -> Gradients:
            return (trained(dy)[0], *pullback(dy)[1:])

        return y, gradients

    return wrong


def _deviation_for_variance(options: Options, *_: Any) -> Options:
    if options["moments"] is None:
        return options
    mean, variance = options["moments"]
    return options | {"moments": (mean, variance * variance)}


def _moments_unlike(options: Options, *_: Any) -> Options:
    return options | {"moments": None}


def _moments_of_the_first_call(right: Block) -> Block:
    """The first moments given to so many channels are used ever after."""
    kept: dict[Any, Any] = {}

    def wrong(x: Array, gain: Array, bias: Array, **options: Any) -> tuple[Array, Pullback]:
        if options["moments"] is not None:
            options["moments"] = kept.setdefault((x.shape[1], x.dtype), options["moments"])
        return right(x, gain, bias, **options)

    return wrong


def _gain_by_x(g: Array, dy: Array, x: Array, *_: Any, **__: Any) -> Array:
    return np.asarray((dy * x).sum(PIXELS))


FAULTS = (
    Fault(
        "batch_norm/unbiased-variance",
        "The variance is divided by N H W - 1.",
        "PyTorch's running variance",
        _in_training(_unbiased),
    ),
    Fault(
        "batch_norm/epsilon-outside-the-root",
        "1 / (sqrt(variance) + epsilon).",
        "MatConvNet against papers",
        _in_training(_epsilon_outside),
    ),
    Fault(
        "batch_norm/one-pass-variance",
        "The variance is E[x^2] - mean^2: no digits are left for large means.",
        f"{MATCONVNET}, beta 13 on",
        _in_training(_one_pass),
    ),
    Fault(
        "batch_norm/pixel-by-pixel",
        "Every pixel has moments of its own, over the images.",
        "axis slip",
        _in_training(_pixel_by_pixel),
    ),
    Fault(
        "batch_norm/image-by-image",
        "Every image has moments of its own: instance normalisation.",
        "axis slip",
        _in_training(_image_by_image),
    ),
    Fault(
        "batch_norm/over-channels",
        "Every image is normalised over its channels: layer normalisation.",
        "axis slip",
        _in_training(_over_channels),
    ),
    Fault(
        "batch_norm/last-image-left-out",
        "The moments leave out the last of several images.",
        "boundary slip",
        _in_training(_last_image_left_out),
    ),
    Fault("batch_norm/float16-inside", "(x - mean) / deviation is float16.", "mixed precision", _in_training(_half)),
    Fault(
        "batch_norm/epsilon-fixed",
        "epsilon is 1e-5 whatever is asked for.",
        "PyTorch's default against MatConvNet's 1e-4",
        edit_options(lambda options, *_: options | {"epsilon": 1e-5}),
    ),
    Fault(
        "batch_norm/moments-ignored",
        "Moments that are given are not used.",
        "training and inference confused",
        edit_options(_moments_unlike),
    ),
    Fault(
        "batch_norm/deviation-for-variance",
        "The second of the moments is taken for the deviation.",
        f"{MATCONVNET}: moments hold sqrt(variance + epsilon)",
        edit_options(_deviation_for_variance),
    ),
    Fault(
        "batch_norm/moments-of-the-first-call",
        "The moments of the first call are used ever after.",
        "state",
        _moments_of_the_first_call,
    ),
    Fault(
        "batch_norm/gain-read-backwards",
        "Channel k gets the gain of channel C - 1 - k.",
        "index slip",
        edit_inputs(lambda x, gain, bias, **_: (x, gain[::-1], bias)),
    ),
    Fault("batch_norm/dx-without-mean-term", "dx lacks the term of the mean.", "chain rule", _dx("variance")),
    Fault("batch_norm/dx-without-variance-term", "dx lacks the term of the variance.", "chain rule", _dx("mean")),
    Fault("batch_norm/dx-of-inference", "In training dx is gain dy / deviation alone.", "chain rule", _dx("")),
    Fault(
        "batch_norm/dx-of-training",
        "With moments given dx still goes through the batch's own.",
        MATCONVNET,
        _training_terms_in_inference,
    ),
    Fault("batch_norm/dgain-by-x", "dgain multiplies dy with x.", "chain rule", edit_gradient(1, _gain_by_x)),
    Fault(
        "batch_norm/dbias-averaged",
        "dbias is the mean of dy.",
        "accumulation slip",
        edit_gradient(2, lambda g, dy, *_, **__: g / max(1, dy[:, 0].size)),
    ),
    Fault(
        "batch_norm/dbias-of-the-first-image",
        "dbias leaves out all images but the first.",
        "wrong only for more than one image",
        edit_gradient(2, lambda g, dy, *_, **__: dy[:1].sum(PIXELS)),
    ),
)
