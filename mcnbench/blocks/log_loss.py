"""log_loss: y = - sum over n, h, w of log x[label].

x (N, C, H, W) positive, labels (N, H, W) integers 0 .. C - 1, y () (MatConvNet manual, sections 4.6.1 and 6.6.1;
vl_nnloss, some versions of which add 1e-4 to x, clamp it or divide by H W or by N; here nothing of that).
dx = -dy / x at the label, 0 elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcnbench import blocks
from mcnbench.arrays import Array, Float64, Shape
from mcnbench.bounds import ELEMENTARY, Precision, judged, sum_coefficient
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
    n, _, h, w = blocks.required(shapes[0])
    return {"y": n * h * w, "dx": 1}


def work(shapes: blocks.Shapes, options: Options) -> blocks.Work:
    """A logarithm and an addition per pixel, a quotient backward; one channel is read, all are written backward."""
    n, c, h, w = blocks.required(shapes[0])
    pixels = n * h * w
    return blocks.Work(2 * pixels, pixels, 8 * pixels, 4 * pixels * (c + 2))


def oracle(inputs: blocks.Inputs, options: Options) -> tuple[Array, Pullback]:
    chosen, at_label = _chosen(inputs)

    def pullback(dy: Array) -> tuple[Array, None]:
        with np.errstate(all="ignore"):
            return np.where(at_label, -dy / chosen, 0.0), None

    with np.errstate(all="ignore"):
        return np.asarray(-np.log(chosen).sum()), pullback


def bound(inputs: blocks.Inputs, options: Options, dy: Array, precision: Precision) -> dict[str, Float64]:
    """The relative error of log, also near x = 1, and of the sum; a loss of inf (x = 0) must be inf.

    The gradient is exactly 0 but at the label, where it is not judged if x is 0 or 1 / x overflows.
    """
    u, eta = precision.u, precision.eta
    chosen, at_label = _chosen(inputs)
    dy = dy.astype(np.float64)
    with np.errstate(all="ignore"):
        losses = -np.log(chosen)
        y = np.abs(losses).sum() * (ELEMENTARY * u + sum_coefficient(losses, 0, u))
        quotient = -dy / chosen
        dx = judged(3 * u * np.abs(quotient) + eta, quotient, precision, 1 / chosen)
        infinite = losses.sum() == np.inf
    return {
        "y": np.where(infinite, 0.0, judged(y, losses.sum(), precision)),
        "dx": np.where(at_label, dx, 0.0),
    }


def _chosen(inputs: blocks.Inputs) -> tuple[Float64, Array]:
    """x at the label, (N, 1, H, W), and where the label is, (N, C, H, W)."""
    x, labels = checked_labels(inputs)
    return np.take_along_axis(x, labels[:, None].astype(np.intp), axis=1), one_hot(labels, x.shape[1])
