"""What only some kinds of data, dtypes of labels or layouts show; and what is right on them and must hold."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from impl import numpy_cpu
from mcnbench.arrays import Array
from mcnbench.backends import Backend
from mcnbench.case import parse
from mcnbench.verdict import Verdict
from suites.properties import engine, values
from suites.properties.outcome import Tally
from suites.properties.pool import selected
from suites.properties.subject import Subject
from suites.properties.trial import Trial


def tried(block: str, function: Any, property: str, dtype: str = "float32") -> Verdict:
    return engine.run(Backend("mine.py", SimpleNamespace(**{block: function})), block, property, dtype)


def pool_in_float32(x: Array, **options: Any) -> Any:
    y, pullback = numpy_cpu.max_pool2d(x.astype("f4"), **options)
    return y.astype(x.dtype), lambda dy: (pullback(dy.astype("f4"))[0].astype(x.dtype),)


def pool_with_dx_in_float32(x: Array, **options: Any) -> Any:
    y, pullback = numpy_cpu.max_pool2d(x, **options)
    return y, lambda dy: (pullback(dy)[0].astype("f4").astype(x.dtype),)


def pool_from(lowest: float) -> Any:
    """The maximum begins at that number instead of -inf."""

    def max_pool2d(x: Array, **options: Any) -> Any:
        y, pullback = numpy_cpu.max_pool2d(x, **options)
        return np.maximum(y, x.dtype.type(lowest)), pullback

    return max_pool2d


def relu_by_a_factor(x: Array, *, slope: float) -> Any:
    factor = np.where(x > 0, 1, slope).astype(x.dtype)
    with np.errstate(invalid="ignore"):
        return x * factor, lambda dy: (dy * factor,)


def sigmoid_by_a_quotient(x: Array) -> Any:
    """As exp(x) / (1 + exp(x)) is."""
    y, pullback = numpy_cpu.sigmoid(x)
    return np.where(np.isinf(x), np.nan, y).astype(x.dtype), pullback


def tanh_without_its_limits(x: Array) -> Any:
    y, pullback = numpy_cpu.tanh(x)
    return np.where(np.isinf(x), np.nan, y).astype(x.dtype), pullback


def softmax_without_a_mask(x: Array, **options: Any) -> Any:
    return numpy_cpu.softmax(np.nan_to_num(x, neginf=0), **options)


def log_loss_clamped(x: Array, labels: Array) -> Any:
    return numpy_cpu.log_loss(np.maximum(x, np.finfo(x.dtype).tiny), labels)


def log_loss_with_epsilon(x: Array, labels: Array) -> Any:
    return numpy_cpu.log_loss(x + x.dtype.type(1e-20), labels)


@pytest.mark.parametrize(
    ("block", "wrong", "property", "dtype"),
    [
        ("max_pool2d", pool_in_float32, "bounded", "float64"),
        ("max_pool2d", pool_with_dx_in_float32, "gradient-bounded", "float64"),
        ("max_pool2d", pool_from(-1e5), "bounded", "float32"),
        ("max_pool2d", pool_from(-1e30), "bounded", "float32"),
        ("relu", relu_by_a_factor, "bounded", "float32"),
        ("sigmoid", sigmoid_by_a_quotient, "bounded", "float32"),
        ("tanh", tanh_without_its_limits, "bounded", "float32"),
        ("softmax", softmax_without_a_mask, "bounded", "float32"),
        ("log_loss", log_loss_clamped, "bounded", "float32"),
        ("log_loss", log_loss_with_epsilon, "gradient-bounded", "float32"),
    ],
)
def test_each_is_found_by_a_kind_of_data(block: str, wrong: Any, property: str, dtype: str) -> None:
    verdict = tried(block, wrong, property, dtype)
    assert verdict.verdict == "VIOLATED", verdict


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_window_of_nothing_but_minus_infinity_may_give_the_lowest_number(dtype: str) -> None:
    """As ONNX Runtime, OpenVINO and TensorFlow do."""
    assert tried("max_pool2d", pool_from(float(np.finfo(dtype).min)), "bounded", dtype).verdict == "HOLDS"


def test_masked_channels_are_judged() -> None:
    """Where x is -inf, softmax and its gradient are 0, and anything else is found."""
    case = parse("softmax x=2x5x2x2 temperature=3.0 dtype=float32 data=masked seed=1")
    trial = Trial(Subject(Backend("numpy", numpy_cpu), "softmax"), case, Tally())
    inputs = case.inputs()
    x = inputs[0]
    assert x is not None
    bounds = trial.bounds(inputs, case.dy())
    assert np.isneginf(x).any()
    assert not np.isneginf(x).all(axis=1).any()
    assert max(bounds["y"][np.isneginf(x)].max(), bounds["dx"][np.isneginf(x)].max()) < 1e-36


def test_nan_is_tried_inside_the_domain_of_the_logarithm() -> None:
    """A loss that clamps what is negative, where a logarithm means nothing, is right all the same."""

    def log_loss(x: Array, labels: Array) -> Any:
        return numpy_cpu.log_loss(np.maximum(x, 0), labels)

    assert tried("log_loss", log_loss, "nan").verdict == "HOLDS"


@pytest.mark.parametrize(
    ("block", "property", "dtypes"),
    [
        ("log_loss", "bounded", {"uint8"}),
        ("log_loss", "taylor", {"int32"}),
        ("softmax_log_loss", "bounded", {"uint8", "int32"}),
    ],
)
def test_labels_are_any_integers(block: str, property: str, dtypes: set[str]) -> None:
    refused = set()

    def only_int64(x: Array, labels: Array) -> Any:
        if labels.dtype != np.int64:
            refused.add(str(labels.dtype))
            raise NotImplementedError(f"labels of {labels.dtype}")
        return getattr(numpy_cpu, block)(x, labels)

    verdict = tried(block, only_int64, property)
    assert refused == dtypes
    assert "labels of " in verdict.message


def test_labels_fit_their_dtype() -> None:
    for seed in range(20):
        labels = parse(f"log_loss x=9x300x5x5 labels=9x5x5 data=improbable seed={seed}").inputs()[1]
        assert labels is not None
        assert 255 < labels.max() < 300


def conv2d_if(odd: Any) -> Any:
    """conv2d that adds 1 to db where dy is odd."""

    def conv2d(x: Array, w: Array, b: Array | None = None, **options: Any) -> Any:
        y, pullback = numpy_cpu.conv2d(x, w, b, **options)

        def gradients(dy: Array) -> Any:
            dx, dw, db = pullback(dy)
            return dx, dw, db + 1 if db is not None and odd(dy) else db

        return y, gradients

    return conv2d


@pytest.mark.parametrize(
    ("odd", "layout"),
    [
        (lambda a: a.strides[-1] == 0, "repeated by stride 0"),
        (lambda a: not any(a.strides), "repeated by stride 0"),
        (
            lambda a: a.flags.c_contiguous and a.__array_interface__["data"][0] % 16,
            "one element off the alignment of their memory",
        ),
    ],
)
def test_each_is_found_by_a_layout(odd: Any, layout: str) -> None:
    verdict = tried("conv2d", conv2d_if(odd), "strided-inputs")
    assert verdict.verdict == "VIOLATED", verdict
    assert verdict.message.startswith(f"db differs when the inputs are {layout}")


def test_differences_are_not_taken_in_float16() -> None:
    """Steps of 1/128 are not exact beside 16 there, so that what is right would fail."""
    case = parse("max_pool2d x=1x2x4x4 window=1 dtype=float16 data=permutation seed=0")
    assert "taylor" not in engine.applicable(case)
    assert [r.dtype for r in selected(("tanh",), ("taylor",), ("float32", "float16"), 1, 0)] == ["float32"]


def test_where_nothing_is_known_of_y_differences_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    case = parse("tanh x=1x2x4x4 data=quantised seed=0")
    unknown = {name: np.full((1, 2, 4, 4), np.inf) for name in ("y", "dx")}
    monkeypatch.setattr(Trial, "bounds", lambda *_: unknown)
    wrong = Backend("mine.py", SimpleNamespace(tanh=lambda x: (2 * x, numpy_cpu.tanh(x)[1])))
    values.taylor(Trial(Subject(wrong, "tanh"), case, Tally()))
