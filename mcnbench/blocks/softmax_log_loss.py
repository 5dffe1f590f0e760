"""softmax_log_loss: y = sum over n, h, w of log(sum over t of exp(x[t])) - x[label], in one stable step.

x (N, C, H, W), labels (N, H, W) integers 0 .. C - 1, y () (MatConvNet manual, sections 4.6.2 and 6.6.2;
vl_nnsoftmaxloss, some versions of which divide by H W or by N; here it is the plain sum).
dx = dy (softmax(x) - [c = label]).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcnbench import blocks
from mcnbench.arrays import Array, Float64, Shape
from mcnbench.blocks.softmax import Exponentials, exponentials
from mcnbench.bounds import ELEMENTARY, PRECISIONS, Precision, judged, sum_coefficient
from mcnbench.labels import checked_labels, label_shape, one_hot
from mcnbench.oracle import Pullback

INPUTS = ("x", "labels")


@dataclass(frozen=True)
class Options:
    """None."""


def output_shape(shapes: blocks.Shapes, options: Options) -> Shape:
    return label_shape(shapes)


def receptive_field(shapes: blocks.Shapes, options: Options) -> None:
    return None


def terms(shapes: blocks.Shapes, options: Options) -> dict[str, int]:
    """The loss sums over pixels; a gradient's normaliser sums over channels."""
    n, c, h, w = blocks.required(shapes[0])
    return {"y": n * h * w, "dx": c}


def work(shapes: blocks.Shapes, options: Options) -> blocks.Work:
    """Maximum, difference, exponential and sum for each element; backward a quotient and a product."""
    size = int(np.prod(blocks.required(shapes[0])))
    return blocks.Work(4 * size, 2 * size, 4 * size, 8 * size)


def oracle(inputs: blocks.Inputs, options: Options) -> tuple[Array, Pullback]:
    parts, at_label = _parts(inputs, PRECISIONS["float64"])
    with np.errstate(all="ignore"):
        e = np.exp(parts.a)
        others = np.where(at_label, 0.0, e).sum(axis=1, keepdims=True)
        # y - 1 at the label would lose all digits of a pixel that is classified well.
        q = np.where(at_label, -others, e) / parts.s
        return np.asarray(_losses(parts, at_label).sum()), lambda dy: (dy * q, None)


def bound(inputs: blocks.Inputs, options: Options, dy: Array, precision: Precision) -> dict[str, Float64]:
    """Per pixel the relative errors of s, log and exp, and 2 u |x[label] - max x|, as log s + (max x - x[label]) costs;
    log-sum-exp first and x[label] then, or log(softmax), is not as accurate and not within it."""
    u, tiny = precision.u, precision.tiny
    parts, at_label = _parts(inputs, precision)
    y, re, rs = parts.y, parts.error_e, parts.error_s
    dy = np.abs(dy).astype(np.float64)
    with np.errstate(all="ignore"):
        log_s = np.log(parts.s)
        gap = np.where(at_label, -parts.a, 0.0).sum(axis=1, keepdims=True)
        each = rs + rs * rs + (ELEMENTARY + 1) * u * log_s + 2 * u * gap
        losses = _losses(parts, at_label)
        total = each.sum() + sum_coefficient(losses, 0, u) * (losses + each).sum()
        relative = np.expm1(re + rs + ELEMENTARY * u * log_s + 3 * u * (log_s - parts.a)) + ELEMENTARY * u
        dx = dy * (np.where(y > 0, y * relative, 0.0) + 3 * u * (y + at_label)) + tiny * (1 + dy)
        largest, loss = np.abs(parts.a).max(axis=1, keepdims=True), losses.sum()
    return {
        "y": judged(total, loss, precision, largest.max(initial=0.0)),
        "dx": judged(dx, dy * np.ones_like(y), precision, largest),
    }


def _parts(inputs: blocks.Inputs, precision: Precision) -> tuple[Exponentials, Array]:
    x, labels = checked_labels(inputs)
    return exponentials(x, 1.0, precision), one_hot(labels, x.shape[1])


def _losses(parts: Exponentials, at_label: Array) -> Float64:
    """The loss of each pixel, (N, 1, H, W)."""
    gap = np.where(at_label, -parts.a, 0.0).sum(axis=1, keepdims=True)
    return np.asarray(np.log(parts.s) + gap)
