"""Faults of relu, dropout, add and concat."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcnbench.arrays import Array
from suites.faults.fault import Block, Fault, Gradients, Pullback, edit_gradient, edit_inputs, edit_options, edit_y

AGGARWAL = "Aggarwal, chapter 8"


def _gradients(right: Block, change: Any) -> Block:
    """The gradients become `change(gradients, dy, inputs)`."""

    def wrong(*inputs: Array | None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(*inputs, **options)
        return y, lambda dy: tuple(change(list(pullback(dy)), dy, inputs))

    return wrong


def _equal_parts(found: Gradients, dy: Array, xs: tuple[Array, ...]) -> list[Array]:
    """dy is split as if all maps had the channels of the first, as far as that fits."""
    out, at = [], 0
    for x in xs:
        start = min(at, dy.shape[1] - x.shape[1])
        out.append(dy[:, start : start + x.shape[1]].copy())
        at += xs[0].shape[1]
    return out


def _all_but_the_third(found: Gradients, dy: Array, xs: tuple[Array, ...]) -> list[Any]:
    return [g if i != 2 or g is None else 0 * g for i, g in enumerate(found)]


def _first_two(*xs: Array) -> tuple[Array, ...]:
    """Maps beyond the second are not read."""
    return tuple(x if i < 2 else 0 * x for i, x in enumerate(xs))


def _mean(y: Array, *xs: Array) -> Array:
    return np.asarray(y / len(xs) if len(xs) > 2 else y)


def _backwards(y: Array, *xs: Array) -> Array:
    return np.concatenate(xs[::-1], 1)


def _interleaved(y: Array, *xs: Array) -> Array:
    """Two maps of the same number of channels alternate."""
    if len(xs) != 2 or xs[0].shape != xs[1].shape:
        return y
    return np.stack(xs, 2).reshape(y.shape)


def _rows_mirrored_last(y: Array, *xs: Array) -> Array:
    """The last map is written with its rows in reverse order."""
    channels = xs[-1].shape[1]
    y[:, y.shape[1] - channels :] = xs[-1][:, :, ::-1]
    return y


FAULTS = (
    Fault(
        "relu/slope-ignored",
        "Negative values are 0 whatever the slope.",
        "leaky options forgotten",
        edit_options(lambda options, *_: options | {"slope": 0.0}),
    ),
    Fault(
        "relu/one-at-0",
        "The gradient at 0 is 1.",
        "x >= 0 instead of x > 0",
        edit_gradient(0, lambda g, dy, x, slope: np.where(x == 0, dy, g)),
    ),
    Fault(
        "relu/half-at-0",
        "The gradient at 0 is one half.",
        "the mean of both slopes",
        edit_gradient(0, lambda g, dy, x, slope: np.where(x == 0, dy / 2, g)),
    ),
    Fault(
        "relu/gated-by-dy",
        "Gradients pass where dy is positive.",
        f"{AGGARWAL}: deconvnet's rule",
        edit_gradient(0, lambda g, dy, x, slope: np.where(dy > 0, dy, slope * dy)),
    ),
    Fault(
        "relu/guided",
        "Gradients pass where both x and dy are positive.",
        f"{AGGARWAL}: guided backpropagation",
        edit_gradient(0, lambda g, dy, x, slope: np.where(dy > 0, g, 0)),
    ),
    Fault(
        "relu/capped-at-6",
        "Values above 6 are 6.",
        "ReLU6 taken for ReLU",
        edit_y(lambda y, x, slope: np.minimum(y, 6)),
    ),
    Fault(
        "relu/nan-hidden",
        "NaN becomes 0.",
        "maximum that ignores NaN",
        edit_y(lambda y, x, slope: np.where(np.isnan(y), 0, y)),
    ),
    Fault(
        "relu/small-values-flushed",
        "Magnitudes below 1e-2 are 0.",
        "threshold",
        edit_inputs(lambda x, slope: (np.where(np.abs(x) < 1e-2, 0, x),)),
    ),
    Fault(
        "dropout/mask-not-applied-backward",
        "dx is dy.",
        "chain rule",
        edit_gradient(0, lambda g, dy, *_: dy),
    ),
    Fault(
        "dropout/scaled-twice",
        "The mask, which holds the scale already, is scaled again.",
        "MatConvNet's mask holds the scale, others' do not",
        edit_inputs(lambda x, mask: (x, mask * mask)),
    ),
    Fault(
        "dropout/not-scaled",
        "The mask is taken for 0 and 1.",
        "MatConvNet's mask holds the scale, others' do not",
        edit_inputs(lambda x, mask: (x, mask != 0)),
    ),
    Fault(
        "dropout/mask-of-the-first-image",
        "All images share the mask of the first.",
        "wrong only for more than one image",
        edit_inputs(lambda x, mask: (x, np.broadcast_to(mask[:1], mask.shape) if len(mask) else mask)),
    ),
    Fault(
        "dropout/inverted",
        "What should be kept is dropped.",
        "keep probability taken for the rate",
        edit_inputs(lambda x, mask: (x, (mask == 0) * mask.max(initial=0))),
    ),
    Fault("add/third-map-left-out", "Maps beyond the second are not added.", "a sum of two", edit_inputs(_first_two)),
    Fault("add/mean", "The mean of more than two maps.", "accumulation slip", edit_y(_mean)),
    Fault(
        "add/dx-divided",
        "Each map gets its share of dy, not all of it.",
        "chain rule",
        lambda right: _gradients(right, lambda found, dy, xs: [g / len(xs) for g in found]),
    ),
    Fault(
        "add/third-gradient-missing",
        "The third map gets no gradient.",
        "a sum of two",
        lambda right: _gradients(right, _all_but_the_third),
    ),
    Fault("concat/backwards", "Maps come in reverse order.", "index slip", edit_y(_backwards)),
    Fault("concat/interleaved", "Channels of two equal maps alternate.", "channel shuffle", edit_y(_interleaved)),
    Fault("concat/last-map-mirrored", "The last map is upside down.", "index slip", edit_y(_rows_mirrored_last)),
    Fault(
        "concat/equal-parts-backward",
        "dy is split as if all maps had as many channels as the first.",
        "wrong only for unequal maps",
        lambda right: _gradients(right, _equal_parts),
    ),
    Fault(
        "concat/third-gradient-missing",
        "The third map gets no gradient.",
        "index slip",
        lambda right: _gradients(right, _all_but_the_third),
    ),
)
