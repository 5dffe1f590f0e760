"""max_pool2d: y[n, c, p, q] = max over r, s of x[n, c, p stride + r - top, q stride + s - left].

x (N, C, H, W), y (N, C, P, Q) (MatConvNet manual, sections 4.3 and 6.3; vl_nnpool). Padding is -inf, so it never wins;
NaN propagates; a tie goes to the first maximum in row-major order, and so does its gradient, which overlapping windows
add up. Padding must be smaller than the window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcnbench import blocks, geometry
from mcnbench.arrays import Array, Float64, Shape
from mcnbench.bounds import Precision, coefficient, judged
from mcnbench.oracle import Pullback
from mcnbench.windows import pooling_windows

INPUTS = ("x",)


@dataclass(frozen=True)
class Options:
    """An int stands for both directions; padding may be (top, bottom, left, right).

    With ceil_mode the number of windows is rounded up, unless the last would begin beyond the image and its padding.
    """

    window: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, ...] = 0
    ceil_mode: bool = False


def output_shape(shapes: blocks.Shapes, options: Options) -> Shape:
    at = pooling_windows(shapes[0], options)
    return *at.shape[:2], *at.places


def receptive_field(shapes: blocks.Shapes, options: Options) -> tuple[geometry.ReceptiveField, geometry.ReceptiveField]:
    return pooling_windows(shapes[0], options).receptive_field()


def terms(shapes: blocks.Shapes, options: Options) -> dict[str, int]:
    """y selects; a pixel's gradient sums at most the windows that see it."""
    return {"y": 1, "dx": pooling_windows(shapes[0], options).overlap()}


def work(shapes: blocks.Shapes, options: Options) -> blocks.Work:
    """A comparison per pixel of each window, an addition per window."""
    at = pooling_windows(shapes[0], options)
    x, y = int(np.prod(at.shape)), int(np.prod(output_shape(shapes, options)))
    return blocks.Work(y * at.window[0] * at.window[1], y, 4 * (x + y), 4 * (x + y))


def oracle(inputs: blocks.Inputs, options: Options) -> tuple[Array, Pullback]:
    x, y, chosen = _select(inputs, options)
    return y, lambda dy: (_scatter(np.asarray(dy, np.float64), chosen, x.shape),)


def bound(inputs: blocks.Inputs, options: Options, dy: Array, precision: Precision) -> dict[str, Float64]:
    """y is exact; a gradient of k windows takes k - 1 additions. Pixels that are NaN or -inf get no gradient that is
    judged: which of several NaN is taken, and what a window of nothing but -inf selects, is left open. So is its y, for
    which ONNX Runtime, OpenVINO and TensorFlow give the lowest finite number."""
    x, y, chosen = _select(inputs, options)
    count = _scatter(np.ones(y.shape), chosen, x.shape)
    total = _scatter(np.abs(dy).astype(np.float64), chosen, x.shape)
    dx = judged(coefficient(np.maximum(count - 1, 0), precision.u) * total, total, precision)
    return {"y": np.where(y == -np.inf, np.inf, 0.0), "dx": np.where(np.isnan(x) | (x == -np.inf), np.inf, dx)}


def _select(inputs: blocks.Inputs, options: Options) -> tuple[Float64, Float64, Array]:
    """x in float64, each window's maximum, and its position in the flattened map (-1 for a window of -inf)."""
    assert inputs[0] is not None
    x = inputs[0].astype(np.float64)
    at = pooling_windows(x.shape, options)
    padded = at.padded(x, -np.inf)
    positions = at.padded(np.arange(x.shape[2] * x.shape[3]).reshape(1, 1, *x.shape[2:]), -1)
    y = np.full((*x.shape[:2], *at.places), -np.inf)
    chosen = np.full(y.shape, -1)
    for rows, columns in at.taps():
        candidate = padded[:, :, rows, columns]
        better = (candidate > y) | (np.isnan(candidate) & ~np.isnan(y))
        y = np.where(better, candidate, y)
        chosen = np.where(better, positions[:, :, rows, columns], chosen)
    return x, y, chosen


def _scatter(dy: Float64, chosen: Array, shape: Shape) -> Float64:
    """Each window's dy added to the pixel that it selected."""
    n, c, h, w = shape
    first = (np.arange(n * c) * (h * w)).reshape(n, c, 1, 1)
    taken = chosen >= 0
    return np.bincount((first + chosen)[taken], dy[taken], n * c * h * w).astype(np.float64).reshape(shape)
