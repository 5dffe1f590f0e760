"""Faults of log_loss, softmax_log_loss and p_distance."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcnbench.arrays import Array
from mcnbench.labels import one_hot
from suites.faults.fault import Fault, Plant, edit_gradient, edit_inputs, edit_options, edit_y

MATCONVNET = "MatConvNet's own code"
CHAIN = "chain rule"


def _at_label(x: Array, labels: Array) -> Array:
    return np.take_along_axis(x, labels[:, None].astype(np.intp), axis=1)


def _from_one(x: Array, labels: Array) -> tuple[Array, Array]:
    """Labels count from 1; what would lie before the first class is the last one."""
    return x, (labels - 1) % x.shape[1]


def _less_maximum(x: Array) -> Array:
    return np.asarray(x - x.max(1, keepdims=True))


def _softmax(x: Array) -> Array:
    e = np.exp(_less_maximum(x.astype(np.float64)))
    return np.asarray(e / e.sum(1, keepdims=True))


def _sum_exp(x: Array) -> Array:
    return np.asarray(np.log(np.exp(x).sum(1, keepdims=True)))


def _log2_near_one(y: Array, x: Array, labels: Array) -> Array:
    """log2 with an absolute error of 2^-21 where x is near 1."""
    return np.asarray(y + 2.0**-21 * np.count_nonzero(np.abs(_at_label(x, labels) - 1) < 0.1))


def _ignores_class_0(y: Array, x: Array, labels: Array) -> Array:
    """Label 0 means that the pixel does not count."""
    return np.asarray(y + np.log(_at_label(x, labels).astype(np.float64))[labels[:, None] == 0].sum())


def _all_classes_pushed(g: Array, dy: Array, x: Array, labels: Array) -> Array:
    """dx is that of 1 / x at every class."""
    return np.asarray(-dy / x)


def _averaged(what: str) -> tuple[Plant, Plant]:
    """y and dx divided by the number of images, or of pixels."""

    def count(x: Array) -> int:
        return max(1, len(x) if what == "images" else x.shape[2] * x.shape[3])

    return (
        edit_y(lambda y, x, labels: y / count(x)),
        edit_gradient(0, lambda g, dy, x, labels: g / count(x)),
    )


def _loss_faults(block: str) -> tuple[Fault, ...]:
    """What goes wrong in both losses of labels."""
    return (
        Fault(
            f"{block}/mean-over-images",
            "The loss is the mean over images.",
            "MatConvNet after beta 25",
            _averaged("images")[0],
        ),
        Fault(
            f"{block}/mean-over-pixels",
            "The loss is the mean over pixels.",
            "MatConvNet, beta 12",
            _averaged("pixels")[0],
        ),
        Fault(
            f"{block}/dx-mean-over-images",
            "dx alone is that of the mean over images.",
            MATCONVNET,
            _averaged("images")[1],
        ),
        Fault(f"{block}/labels-from-1", "Labels count from 1.", "MATLAB", edit_inputs(_from_one)),
        Fault(
            f"{block}/last-image-left-out",
            "The loss leaves out the last of several images.",
            "boundary slip",
            _on_fewer_images,
        ),
        Fault(
            f"{block}/dx-without-dy",
            "dx is that of dy = 1.",
            CHAIN,
            edit_gradient(0, lambda g, dy, *_: g / dy if dy else g),
        ),
        Fault(f"{block}/dx-sign", "dx has the other sign.", "sign slip", edit_gradient(0, lambda g, *_: -g)),
    )


def _on_fewer_images(right: Any) -> Any:
    def wrong(x: Array, labels: Array, **options: Any) -> Any:
        y, pullback = right(x, labels, **options)
        return (right(x[:-1], labels[:-1], **options)[0] if len(x) > 1 else y), pullback

    return wrong


def _distance(total: Array, p: float, root: bool) -> Array:
    return np.asarray(total ** (1 / p) if root else total)


def _expanded(y: Array, x: Array, target: Array, *, p: float, root: bool) -> Array:
    """|x|^2 - 2 x t + |t|^2 for p = 2."""
    if p != 2:
        return y
    total = (
        (x * x).sum(1, keepdims=True) - 2 * (x * target).sum(1, keepdims=True) + (target * target).sum(1, keepdims=True)
    )
    return _distance(np.maximum(total, 0), p, root)


def _without_absolute(y: Array, x: Array, target: Array, *, p: float, root: bool) -> Array:
    d = x.astype(np.float64) - target
    return y if p != 3 else _distance(np.abs((d**3).sum(1, keepdims=True)), p, root)


def _shifted(y: Array, x: Array, target: Array, *, p: float, root: bool) -> Array:
    return _distance((np.abs(x.astype(np.float64) - target + 1e-6) ** p).sum(1, keepdims=True), p, root)


def _root_forgotten(g: Array, dy: Array, x: Array, target: Array, *, p: float, root: bool) -> Array:
    d = x.astype(np.float64) - target
    return np.asarray(dy * p * np.abs(d) ** (p - 1) * np.sign(d))


FAULTS = (
    *_loss_faults("log_loss"),
    Fault(
        "log_loss/small-number-in-the-logarithm",
        "log(x + 1e-4).",
        "MatConvNet, beta 12",
        edit_y(lambda y, x, labels: -np.log(_at_label(x, labels).astype(np.float64) + 1e-4).sum()),
    ),
    Fault(
        "log_loss/smaller-number-in-the-logarithm",
        "log(x + 1e-6).",
        MATCONVNET,
        edit_y(lambda y, x, labels: -np.log(_at_label(x, labels).astype(np.float64) + 1e-6).sum()),
    ),
    Fault(
        "log_loss/class-0-ignored",
        "Pixels of class 0 do not count.",
        "MatConvNet, beta 13 on",
        edit_y(_ignores_class_0),
    ),
    Fault(
        "log_loss/log2-near-1", "The logarithm has an absolute error near 1.", "numerical slip", edit_y(_log2_near_one)
    ),
    Fault(
        "log_loss/dx-of-all-classes",
        "dx is -dy / x at every class.",
        "index slip",
        edit_gradient(0, _all_classes_pushed),
    ),
    Fault(
        "log_loss/nan-hidden",
        "A probability of NaN counts as 1.",
        "maximum and minimum that ignore NaN",
        edit_inputs(lambda x, labels: (np.where(np.isnan(x), 1, x), labels)),
    ),
    *_loss_faults("softmax_log_loss"),
    Fault(
        "softmax_log_loss/maximum-not-taken-out",
        "exp of x itself, which overflows.",
        "formula as printed, unstable",
        edit_y(lambda y, x, labels: (_sum_exp(x) - _at_label(x, labels)).sum()),
    ),
    Fault(
        "softmax_log_loss/logarithm-of-softmax",
        "log(softmax(x)), which is -inf where softmax underflows.",
        "Chainer, tinygrad: composed losses",
        edit_y(lambda y, x, labels: -np.log(_at_label(_softmax(x).astype(x.dtype), labels)).sum()),
    ),
    Fault(
        "softmax_log_loss/dx-without-label",
        "dx lacks the -1 at the label.",
        CHAIN,
        edit_gradient(0, lambda g, dy, x, labels: dy * _softmax(x)),
    ),
    Fault(
        "softmax_log_loss/dx-of-the-label-only",
        "dx is softmax(x) - 1 at the label and 0 elsewhere.",
        CHAIN,
        edit_gradient(0, lambda g, dy, x, labels: g * one_hot(labels, x.shape[1])),
    ),
    Fault(
        "softmax_log_loss/label-smoothed",
        "A thousandth of the label goes to all classes.",
        "training recipe",
        edit_gradient(0, lambda g, dy, x, labels: g + 1e-3 * dy * (one_hot(labels, x.shape[1]) - 1 / x.shape[1])),
    ),
    Fault(
        "p_distance/expanded",
        "|x|^2 - 2 x t + |t|^2, which cancels where x is near its target.",
        "formula as printed, unstable",
        edit_y(_expanded),
    ),
    Fault("p_distance/absolute-forgotten", "d^3 instead of |d|^3.", "sign slip", edit_y(_without_absolute)),
    Fault(
        "p_distance/small-number-in-the-difference", "|x - t + 1e-6|.", "PyTorch's pairwise_distance", edit_y(_shifted)
    ),
    Fault(
        "p_distance/root-ignored",
        "The root is always taken.",
        "PyTorch has no other",
        edit_options(lambda options, *_: options | {"root": True}),
    ),
    Fault(
        "p_distance/root-forgotten-backward",
        "The gradients are those without the root.",
        CHAIN,
        edit_gradient(0, _root_forgotten),
    ),
    Fault(
        "p_distance/dtarget-sign", "dtarget has the sign of dx.", "sign slip", edit_gradient(1, lambda g, *_, **__: -g)
    ),
    Fault(
        "p_distance/dtarget-missing",
        "dtarget is 0.",
        "a target that is a constant",
        edit_gradient(1, lambda g, *_, **__: 0 * g),
    ),
    Fault(
        "p_distance/dtarget-summed",
        "dtarget is that of one target for all images.",
        "MatConvNet: dzdx0 of a broadcast target",
        edit_gradient(1, lambda g, *_, **__: np.broadcast_to(g.sum(0, keepdims=True), g.shape)),
    ),
    Fault(
        "p_distance/dx-sign-lost",
        "dx has no sign.",
        "sign slip",
        edit_gradient(0, lambda g, *_, **__: np.abs(g)),
    ),
)
