"""Faults of local_response_norm (over channels) and spatial_norm (over pixels)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from mcnbench.arrays import Array, pair
from mcnbench.windows import Windows, pooling_windows
from suites.faults.convolution import INDEX, rows_for_columns
from suites.faults.fault import Block, Fault, Gradients, Options, Plant, Pullback, edit_gradient, edit_options, edit_y

MATCONVNET, AGGARWAL = "MatConvNet's own code", "Aggarwal, chapter 8"
ACCURACY = "numerical slip"


def _energy(squares: Array, window: int, mirrored: bool = False) -> Array:
    """The sum over the window of channels."""
    before, after = (window - 1) // 2, window // 2
    if mirrored:
        before, after = after, before
    channels = squares.shape[1]
    padded = np.pad(squares, ((0, 0), (before, after), (0, 0), (0, 0)))
    return np.asarray(sum(padded[:, i : i + channels] for i in range(before + after + 1)))


def _own_square(y: Array, x: Array, *, window: int, kappa: float, alpha: float, beta: float) -> Array:
    wide = x.astype(np.float64)
    counts = _energy(np.ones_like(wide), window)
    return np.asarray(wide * (kappa + alpha * counts * wide**2) ** -beta)


def _running_sum(y: Array, x: Array, *, window: int, kappa: float, alpha: float, beta: float) -> Array:
    """The sum over channels loses the square that leaves and gains the one that comes, in the dtype."""
    after, before = window // 2, (window - 1) // 2
    squares, energy = x * x, np.zeros_like(x)
    total = squares[:, : after + 1].sum(1, dtype=x.dtype)
    for k in range(x.shape[1]):
        if k:
            total = total + (squares[:, k + after] if k + after < x.shape[1] else 0)
            total = total - (squares[:, k - before - 1] if k - before - 1 >= 0 else 0)
        energy[:, k] = total
    return np.asarray(x * (kappa + alpha * energy.astype(np.float64)) ** -beta)


def _dx(cross: float, mirrored: bool) -> Plant:
    """dx with the terms of other channels left out, or gathered over the window of y instead of its mirror image."""

    def change(g: Array, dy: Array, x: Array, *, window: int, kappa: float, alpha: float, beta: float) -> Array:
        wide = x.astype(np.float64)
        d = kappa + alpha * _energy(wide**2, window)
        others = _energy(dy * wide * d ** (-beta - 1), window, mirrored)
        return np.asarray(dy * d**-beta - cross * 2 * alpha * beta * wide * others)

    return edit_gradient(0, change)


def _from_the_other_side(axis: int) -> Plant:
    """Even windows lean to the other side."""

    def plant(right: Block) -> Block:
        def wrong(x: Array, **options: Any) -> tuple[Array, Pullback]:
            y, pullback = right(np.flip(x, axis), **options)

            def gradients(dy: Array) -> Gradients:
                (dx,) = pullback(np.flip(dy, axis))
                return (None if dx is None else np.flip(dx, axis),)

            return np.flip(y, axis), gradients

        return wrong

    return plant


def _alpha_by_the_window(options: Options, *_: Any) -> Options:
    return options | {"alpha": options["alpha"] / options["window"]}


def _window_is_odd(options: Options, *_: Any) -> Options:
    return options | {"window": options["window"] - 1 + options["window"] % 2}


def _fixed(name: str, value: float) -> Plant:
    return edit_options(lambda options, *_: options | {name: value})


def _around(x: Array, window: Any) -> Windows:
    r, s = pair(window)
    padding = ((r - 1) // 2, r // 2, (s - 1) // 2, s // 2)
    return pooling_windows(x.shape, SimpleNamespace(window=(r, s), stride=1, padding=padding, ceil_mode=False))


def _mean_over(kind: str) -> Plant:
    """The energy over all of the window, padding included ("window"), or summed ("sum")."""

    def change(y: Array, x: Array, *, window: Any, alpha: float, beta: float) -> Array:
        at = _around(x, window)
        wide = x.astype(np.float64)
        divisor = at.window[0] * at.window[1] if kind == "window" else 1
        return np.asarray(wide * (1 + alpha * at.sum(wide**2) / divisor) ** -beta)

    return edit_y(change)


def _same_pooling_backwards(g: Array, dy: Array, x: Array, *, window: Any, alpha: float, beta: float) -> Array:
    """The gradient is averaged as y is, over the same windows and with the divisors of the target pixel."""
    at = _around(x, window)
    wide, count = x.astype(np.float64), at.divisors(False)
    d = 1 + alpha * at.sum(wide**2) / count
    return np.asarray(dy * d**-beta - 2 * alpha * beta * wide * at.sum(dy * wide * d ** (-beta - 1)) / count)


def _alone(g: Array, dy: Array, x: Array, *, window: Any, alpha: float, beta: float) -> Array:
    at = _around(x, window)
    wide = x.astype(np.float64)
    return np.asarray(dy * (1 + alpha * at.sum(wide**2) / at.divisors(False)) ** -beta)


FAULTS = (
    Fault(
        "local_response_norm/alpha-by-the-window",
        "alpha is divided by the window.",
        "Caffe and PyTorch",
        edit_options(_alpha_by_the_window),
    ),
    Fault(
        "local_response_norm/even-window-leans-down",
        "Even windows lean to the lower channel.",
        "PyTorch, against MatConvNet",
        _from_the_other_side(1),
    ),
    Fault(
        "local_response_norm/window-made-odd",
        "Even windows lose a channel.",
        f"{AGGARWAL}, equation 8.2 with floor(n / 2)",
        edit_options(_window_is_odd),
    ),
    Fault(
        "local_response_norm/own-square-only",
        "The channel's own square is added once for each of its window.",
        f"{AGGARWAL}: a_i in the sum over j",
        edit_y(_own_square),
    ),
    Fault(
        "local_response_norm/running-sum",
        "The sum of squares is updated from channel to channel.",
        MATCONVNET,
        edit_y(_running_sum),
    ),
    Fault(
        "local_response_norm/kappa-fixed", "kappa is 1 whatever is asked for.", "Caffe's first", _fixed("kappa", 1.0)
    ),
    Fault("local_response_norm/beta-fixed", "beta is 0.75 whatever is asked for.", "a fast path", _fixed("beta", 0.75)),
    Fault(
        "local_response_norm/power-by-polynomial",
        "The power is off by up to 0.3 %.",
        f"{MATCONVNET}: degree-3 polynomials for log2 and exp2",
        edit_y(lambda y, x, **_: y * (1 - 3e-3 * np.sin(x) ** 2)),
    ),
    Fault(
        "local_response_norm/power-by-table",
        "The power is off by 1e-5, relative.",
        ACCURACY,
        edit_y(lambda y, *_, **__: y * (1 - 1e-5)),
    ),
    Fault("local_response_norm/dx-alone", "dx lacks the terms of the window.", "chain rule", _dx(0.0, True)),
    Fault("local_response_norm/dx-half", "dx lacks the factor 2 of the square.", "chain rule", _dx(0.5, True)),
    Fault(
        "local_response_norm/dx-not-mirrored",
        "dx gathers over the window of y, not over its mirror image.",
        "wrong only for even windows",
        _dx(1.0, False),
    ),
    Fault("spatial_norm/padding-counted", "The mean counts pixels beyond the image.", "Caffe", _mean_over("window")),
    Fault("spatial_norm/sum-for-mean", "Squares are summed.", "MatConvNet: its help text", _mean_over("sum")),
    Fault("spatial_norm/even-rows-lean-up", "Even windows lean up.", INDEX, _from_the_other_side(2)),
    Fault("spatial_norm/even-columns-lean-left", "Even windows lean left.", INDEX, _from_the_other_side(3)),
    Fault(
        "spatial_norm/window-rows-for-columns",
        "The vertical window is used for both directions.",
        INDEX,
        rows_for_columns("window"),
    ),
    Fault("spatial_norm/beta-fixed", "beta is 0.75 whatever is asked for.", "a fast path", _fixed("beta", 0.75)),
    Fault("spatial_norm/dx-alone", "dx lacks the terms of the window.", "chain rule", edit_gradient(0, _alone)),
    Fault(
        "spatial_norm/dx-pooled-as-y",
        "dx is averaged with the divisors of the pixel it is for.",
        f"{MATCONVNET}: vl_nnspnorm",
        edit_gradient(0, _same_pooling_backwards),
    ),
    Fault(
        "spatial_norm/relative-error-1e-5",
        "y is off by 1e-5, relative.",
        ACCURACY,
        edit_y(lambda y, *_, **__: y * (1 + 1e-5)),
    ),
)
