"""The questions whose answers differ between frameworks: each is one case, and the results that the answers would give.

A framework is asked by its own operation, with our options untranslated (`mcnbench.backends.native`); the answer is
the name of the result that it gives. Answers are the words of dialects where those have a word (`mcnbench.dialects`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mcnbench import blocks
from mcnbench.arrays import Array
from mcnbench.bounds import PRECISIONS, error_ratio
from mcnbench.case import Case, parse

Expected = Array | Callable[[Array], bool]
"""The result that an answer gives, or a test of it."""
TELLS_APART = 1e-4
"""Relative: the results of two answers are apart by more than a percent, right ones to the same answer by rounding."""


@dataclass(frozen=True)
class Probe:
    """One question."""

    key: str
    question: str
    line: str
    answers: Callable[[Case], Mapping[str, Expected]]
    says: str = ""
    """The part and key of a dialect that has this answer: "pooling.ties"."""
    words: Mapping[str, Any] = field(default_factory=dict)
    """Options of the call that a case has no words for."""
    quantity: str = "y"

    @property
    def case(self) -> Case:
        return parse(self.line)

    def answer(self, got: Array) -> str:
        """The answer that this result gives; the result itself if it is none of those that were thought of."""
        for name, expected in self.answers(self.case).items():
            if expected(got) if callable(expected) else _same(got, expected):
                return name
        if not got.size:
            return f"of shape {got.shape}"
        return f"otherwise: {np.array2string(got.ravel()[:6], precision=4, separator=' ')} {got.shape}"


def _same(got: Array, expected: Array) -> bool:
    if got.shape != expected.shape:
        return False
    return bool(np.allclose(got.astype(np.float64), expected, rtol=TELLS_APART, atol=0, equal_nan=True))


def _y(case: Case, inputs: Any = None, **options: Any) -> Array:
    """The oracle's y, with other options or inputs."""
    given = case.inputs() if inputs is None else inputs
    return np.asarray(blocks.block(case.block).oracle(given, replace(case.options, **options))[0])


def _alpha(case: Case) -> dict[str, Expected]:
    return {"sum": _y(case), "mean": _y(case, alpha=case.options.alpha / case.options.window)}


def _even(case: Case) -> dict[str, Expected]:
    """Whatever alpha multiplies."""
    (x,) = case.inputs()
    assert x is not None

    def leans(turn: slice) -> Expected:
        shares = (case.options.alpha, case.options.alpha / case.options.window)
        return lambda y: any(_same(y, _y(case, (x[:, turn],), alpha=alpha)[:, turn]) for alpha in shares)

    def alone(y: Array) -> bool:
        own = (x / (1 + share * x * x) for share in (1.0, 0.5))
        return any(_same(y, each) for each in own)

    return {"higher": leans(slice(None)), "lower": leans(slice(None, None, -1)), "neither: itself alone": alone}


def _kappa(case: Case) -> dict[str, Expected]:
    shares = (case.options.alpha, case.options.alpha / case.options.window)
    return {
        "as given": lambda y: any(_same(y, _y(case, alpha=a)) for a in shares),
        "cut to an integer": lambda y: any(_same(y, _y(case, alpha=a, kappa=0.0)) for a in shares),
    }


def _divisor(case: Case) -> dict[str, Expected]:
    return {"image": _y(case, count_include_pad=False), "padded": _y(case, count_include_pad=True)}


def _overhang(case: Case) -> dict[str, Expected]:
    inside = _y(case)
    area = np.array([[4.0, 2.0], [2.0, 1.0]])
    return {"the pixels inside": inside, "the whole window": inside * area / 4}


def _same_padding(case: Case) -> dict[str, Expected]:
    return {
        "more at the end": _y(case, padding=(0, 1, 0, 1)),
        "more at the beginning": _y(case, padding=(1, 0, 1, 0)),
    }


def _rounding(case: Case) -> dict[str, Expected]:
    return {"floor": _y(case, ceil_mode=False), "ceil": _y(case, ceil_mode=True)}


def _beyond(case: Case) -> dict[str, Expected]:
    return {"left out": lambda y: y.shape == (1, 1, 1, 1), "kept": lambda y: y.shape == (1, 1, 2, 2)}


def _ties(case: Case) -> dict[str, Expected]:
    """x is [[lower, 1], [1, 1]], so that the window has three maxima."""
    dy = float(case.dy().ravel()[0])
    places = {"rows": [0, 1, 0, 0], "columns": [0, 0, 1, 0], "the last": [0, 0, 0, 1], "all": [0, 1, 1, 1]}
    found = {name: dy * np.array(where, np.float64).reshape(1, 1, 2, 2) for name, where in places.items()}
    return {**found, "shared": found["all"] / 3}


def _nan_in_max(case: Case) -> dict[str, Expected]:
    """A NaN is the first of the two pixels in one channel, the second in the other."""
    (x,) = case.inputs()
    assert x is not None
    numbers = np.nanmax(x, (2, 3), keepdims=True)
    nan = np.full(numbers.shape, np.nan)
    first = np.arange(2).reshape(1, 2, 1, 1) == 0
    return {
        "propagates": nan,
        "ignored": numbers,
        "only a first one shows": np.where(first, nan, numbers),
        "only a last one shows": np.where(first, numbers, nan),
    }


def _max_padding(case: Case) -> dict[str, Expected]:
    return {"never wins": _y(case), "0, which may win": lambda y: not y.any()}


def _filters(case: Case) -> dict[str, Expected]:
    x, w, *_ = case.inputs()
    assert w is not None
    return {"correlated": _y(case), "flipped": _y(case, (x, w[:, :, ::-1, ::-1].copy()))}


def _transposed(case: Case) -> dict[str, Expected]:
    return dict(zip(("those of the gradient", "turned by 180 degrees"), _filters(case).values(), strict=True))


def _variance(case: Case) -> dict[str, Expected]:
    x, gain, bias = (a.astype(np.float64) for a in case.inputs() if a is not None)
    axes, epsilon = (0, 2, 3), case.options.epsilon
    d = x - x.mean(axes, keepdims=True)
    gain, bias = gain[:, None, None], bias[:, None, None]
    found: dict[str, Expected] = {}
    for name, ddof in (("biased", 0), ("unbiased", 1)):
        variance = x.var(axes, ddof=ddof, keepdims=True)
        found[f"{name}, sqrt(variance + epsilon)"] = gain * d / np.sqrt(variance + epsilon) + bias
        found[f"{name}, sqrt(variance) + epsilon"] = gain * d / (np.sqrt(variance) + epsilon) + bias
    return found


def _bounded(good: str, bad: str) -> Callable[[Case], dict[str, Expected]]:
    """Whether the result is within the bound of a right implementation."""

    def answers(case: Case) -> dict[str, Expected]:
        bound = blocks.block(case.block).bound(case.inputs(), case.options, case.dy(), PRECISIONS["float32"])["y"]
        right = _y(case)
        return {
            good: lambda y: (
                y.shape == right.shape and bool((error_ratio(y.astype(np.float64), right, bound) <= 1).all())
            ),
            bad: lambda y: y.shape == right.shape,
        }

    return answers


def _overflow(case: Case) -> dict[str, Expected]:
    return {
        "none": lambda y: bool(np.isfinite(y).all()) and _same(y.max(keepdims=True), _y(case).max(keepdims=True)),
        "NaN or infinite": lambda y: not np.isfinite(y).all(),
    }


def _empty(case: Case) -> dict[str, Expected]:
    shape = case.output_shape
    return {
        "empty" if shape else "0": lambda y: y.shape == shape and not y.any(),
        "NaN": lambda y: y.shape == shape and bool(np.isnan(y).all()),
    }


def _subnormal(case: Case) -> dict[str, Expected]:
    right = _y(case)
    found: dict[str, Expected] = {"kept": right, "flushed to 0": lambda y: not y[right < 0].any()}
    if case.block == "relu":
        found["counts as 0 in x < 0"] = lambda y: _same(y, np.asarray(case.inputs()[0]))
    return found


def _nan_in_relu(case: Case) -> dict[str, Expected]:
    return {"propagates": lambda y: bool(np.isnan(y[..., 0]).all()), "0": lambda y: not y[..., 0].any()}


def _kink(case: Case) -> dict[str, Expected]:
    """x is -1, 0, 1."""
    dy = case.dy()
    slope = case.options.slope
    return {name: dy * np.array([slope, at, 1.0]) for name, at in (("the slope", slope), ("1", 1.0), ("0", 0.0))}


PROBES = (
    Probe(
        "lrn-alpha",
        "local response normalisation: alpha multiplies",
        "local_response_norm x=1x3x1x1 window=3 kappa=1.0 alpha=1.0 beta=1.0 data=quantised seed=1",
        _alpha,
        "local_response_norm.alpha",
    ),
    Probe(
        "lrn-even",
        "local response normalisation: a window of 2 leans to the channel",
        "local_response_norm x=1x3x1x1 window=2 kappa=1.0 alpha=1.0 beta=1.0 data=quantised seed=1",
        _even,
        "local_response_norm.even_window",
    ),
    Probe(
        "lrn-kappa",
        "local response normalisation: kappa of 0.5 is",
        "local_response_norm x=1x3x1x1 window=3 kappa=0.5 alpha=1.0 beta=1.0 data=quantised seed=1",
        _kappa,
    ),
    Probe(
        "avg-divisor",
        "average pooling at the border divides by the pixels of the image, or with padding",
        "avg_pool2d x=1x1x2x2 window=2 stride=2 padding=1 data=normal seed=1",
        _divisor,
        "pooling.divisor",
    ),
    Probe(
        "avg-overhang",
        "average pooling in ceil mode divides, where a window overhangs, by",
        "avg_pool2d x=1x1x3x3 window=2 stride=2 ceil_mode=True data=normal seed=1",
        _overhang,
    ),
    Probe(
        "same-stride",
        "padding SAME, stride 2, an odd sum",
        "conv2d x=1x1x4x4 w=1x1x3x3 b=none stride=2 padding=0,1,0,1 data=normal seed=1",
        _same_padding,
        words={"padding": "same"},
    ),
    Probe(
        "same-even",
        "padding SAME, filters of even size",
        "conv2d x=1x1x4x4 w=1x1x2x2 b=none padding=0,1,0,1 data=normal seed=1",
        _same_padding,
        words={"padding": "same"},
    ),
    Probe(
        "rounding",
        "pooling rounds the number of windows, unless asked",
        "max_pool2d x=1x1x4x4 window=2 stride=3 data=permutation seed=1",
        _rounding,
        "pooling.rounding",
    ),
    Probe(
        "ceil-beyond",
        "ceil mode: a window that begins beyond the image is",
        "max_pool2d x=1x1x4x4 window=2 stride=5 padding=1 ceil_mode=True data=permutation seed=1",
        _beyond,
    ),
    Probe(
        "max-padding",
        "max pooling: padding",
        "max_pool2d x=1x1x2x2 window=2 stride=2 padding=1 data=normal seed=8",
        _max_padding,
    ),
    Probe(
        "ties",
        "max pooling: of equal maxima the gradient goes to",
        "max_pool2d x=1x1x2x2 window=2 stride=2 data=ties seed=41",
        _ties,
        "pooling.ties",
        quantity="dx",
    ),
    Probe(
        "max-nan",
        "max pooling: NaN",
        "max_pool2d x=1x2x1x2 window=1,2 stride=1,2 data=nan seed=5",
        _nan_in_max,
        "pooling.nan",
    ),
    Probe("relu-nan", "ReLU: NaN", "relu x=1x1x1x2 data=nan seed=1", _nan_in_relu),
    Probe(
        "relu-kink",
        "leaky ReLU: its gradient at 0 is",
        "relu x=1x1x1x3 slope=0.5 data=ties seed=35",
        _kink,
        quantity="dx",
    ),
    Probe(
        "filters",
        "convolution: the filters are",
        "conv2d x=1x1x3x3 w=1x1x2x2 b=none data=integers seed=1",
        _filters,
        "convolution.filters",
    ),
    Probe(
        "transposed",
        "transposed convolution: the filters are",
        "conv_transpose2d x=1x1x2x2 w=1x1x2x2 b=none data=integers seed=1",
        _transposed,
    ),
    Probe(
        "variance",
        "batch normalisation: the variance, and epsilon",
        "batch_norm x=2x1x1x2 gain=1 bias=1 epsilon=0.5 data=normal seed=1",
        _variance,
    ),
    Probe(
        "large-mean",
        "batch normalisation: channels whose mean is 1e4 deviations",
        "batch_norm x=2x2x3x3 gain=2 bias=2 data=channel-offset seed=1",
        _bounded("as exact as others", "digits lost"),
    ),
    Probe("softmax-overflow", "softmax: overflow of exp beyond 88", "softmax x=1x3x1x1 data=spread seed=34", _overflow),
    Probe(
        "sigmoid-tail",
        "sigmoid: far below 0",
        "sigmoid x=1x1x1x3 data=spread seed=147",
        _bounded("relatively exact", "cut off"),
    ),
    Probe("subnormal-add", "subnormal numbers: a sum", "add xs=1x1x1x2,1x1x1x2 data=subnormal seed=1", _subnormal),
    Probe(
        "subnormal-relu", "subnormal numbers: leaky ReLU", "relu x=1x1x1x4 slope=0.5 data=subnormal seed=1", _subnormal
    ),
    Probe("empty-conv2d", "an empty batch: convolution", "conv2d x=0x1x3x3 w=1x1x2x2 b=none seed=1", _empty),
    Probe("empty-max_pool2d", "an empty batch: max pooling", "max_pool2d x=0x1x2x2 window=2 stride=2 seed=1", _empty),
    Probe(
        "empty-batch_norm", "an empty batch: batch normalisation", "batch_norm x=0x1x2x2 gain=1 bias=1 seed=1", _empty
    ),
    Probe("empty-loss", "an empty batch: the loss", "softmax_log_loss x=0x3x1x1 labels=0x1x1 seed=1", _empty),
)
