"""Backends that break the protocol, lack something, or could hardly fail get verdicts, never tracebacks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mcnbench import case
from mcnbench.backends import Backend
from mcnbench.verdict import Verdict
from suites.properties import engine, table
from suites.properties.outcome import Tally, Violated


def relu(x: Any, *, slope: float = 0.0) -> Any:
    rest = x * x.dtype.type(slope) if slope else np.zeros_like(x)
    return np.where(x <= 0, rest, x), lambda dy: (np.where(x > 0, dy, dy * dy.dtype.type(slope)),)


def tried(function: Any, property: str = "bounded", block: str = "relu", **more: Any) -> Verdict:
    backend = Backend("mine.py", SimpleNamespace(**{block: function}, **more))
    return engine.run(backend, block, property, examples=20)


def raises(x: Any, *, slope: float) -> Any:
    raise IndexError("index 7 is out of bounds")


def wants_even(x: Any, *, slope: float) -> Any:
    if x.shape[0] % 2:
        raise NotImplementedError("only an even number of images")
    return relu(x, slope=slope)


@pytest.mark.parametrize(
    ("function", "property", "words"),
    [
        (lambda x, slope: None, "shape", "wanted a pair (y, pullback), got None"),
        (lambda x, slope: x, "shape", "wanted a pair (y, pullback), got a ndarray"),
        (lambda x, slope: (None, None), "shape", "wanted y of shape (1, 1, 1, 1), got None"),
        (lambda x, slope: ("y", None), "shape", "got shape ()"),
        (lambda x, slope: (x[0], None), "shape", "wanted y of shape (1, 1, 1, 1), got shape (1, 1, 1)"),
        (lambda x, slope: (x.astype("f8"), None), "shape", "wanted y of dtype float32, that of x, got float64"),
        (lambda x, slope: (x, 3), "shape", "wanted a pullback that can be called, got a int"),
        (lambda x, slope: (x, lambda dy: dy), "shape", "wanted a tuple of 1 gradient (dx) from the pullback, got a nd"),
        (lambda x, slope: (x, lambda dy: (dy, dy)), "shape", "(dx) from the pullback, got a tuple of 2 gradients"),
        (lambda x, slope: (x, lambda dy: (None,)), "shape", "wanted dx of shape (1, 1, 1, 1), got None"),
        (lambda x, slope: (x, lambda dy: (dy.sum(),)), "shape", "wanted dx of shape (1, 1, 1, 1), got shape ()"),
        (lambda x, slope: (x * np.nan, None), "bounded", "the only element is NaN"),
    ],
)
def test_breaking_the_protocol_is_a_violation_in_one_sentence(function: Any, property: str, words: str) -> None:
    verdict = tried(function, property)
    assert verdict.verdict == "VIOLATED"
    assert words in verdict.message
    assert verdict.reproduce
    assert case.parse(verdict.reproduce).block == "relu"


def test_an_exception_is_an_error_with_its_place() -> None:
    verdict = tried(raises)
    assert verdict.verdict == "ERROR"
    assert verdict.message.startswith("IndexError: index 7 is out of bounds (in ")
    assert "test_verdicts.py, line" in verdict.message


def test_what_is_lacking_is_unsupported_with_the_reason() -> None:
    assert engine.run(Backend("mine.py", SimpleNamespace()), "relu", "shape").message == "mine.py has no relu"
    forward_only = tried(lambda x, slope: (relu(x, slope=slope)[0], None), "gradient-bounded")
    assert (forward_only.verdict, forward_only.message) == ("UNSUPPORTED", "forward only: the pullback is None")


def test_cases_that_are_refused_are_left_out_and_told() -> None:
    verdict = tried(wants_even)
    assert verdict.verdict == "HOLDS"
    assert verdict.examples == 20
    assert "only an even number of images" in verdict.message


def test_a_pass_that_could_hardly_have_failed_is_mistrusted() -> None:
    right = Backend("right", SimpleNamespace(relu=relu))
    telling = engine.replay(right, case.parse("relu x=1x1x1x2 slope=0.5 data=integers seed=1"), "exact")
    assert telling.verdict == "HOLDS"
    negative = next(
        line
        for line in (case.parse(f"relu x=1x1x1x2 data=integers seed={i}") for i in range(99))
        if line.inputs()[0].max() < 0  # type: ignore[union-attr]  # relu's x is never None
    )
    verdict = engine.replay(right, negative, "exact")
    assert verdict.verdict == "MISTRUSTED"
    assert "0 of 2 elements of y could have been found wrong" in verdict.message


def test_nothing_compared_is_mistrusted() -> None:
    assert Tally().mistrust() == "nothing was compared"


def test_a_loose_bound_is_mistrusted() -> None:
    tally = Tally()
    tally.judge("y", np.ones(10), np.ones(10), np.full(10, 2.0))
    assert "0 of 10 elements of y" in str(tally.mistrust())


def test_nan_where_a_number_is_expected_never_passes() -> None:
    with pytest.raises(Violated):
        Tally().judge("y", np.array([np.nan]), np.array([1.0]), np.array([1e30]))


def test_shrinking_ends_and_keeps_the_first_pattern() -> None:
    def last_column_zero(x: Any, *, slope: float) -> Any:
        y, pullback = relu(x, slope=slope)
        if x.shape[3] > 2:
            y[..., -1] = 0
        return y, pullback

    verdict = engine.run(Backend("mine.py", SimpleNamespace(relu=last_column_zero)), "relu", "exact")
    assert verdict.verdict == "VIOLATED"
    assert verdict.reproduce is not None
    assert verdict.reproduce.startswith("relu x=1x1x1x3 ")
    assert "only the last column" in verdict.message
    assert "at first  only the last column" in verdict.message


def test_the_error_multiple_is_against_torch() -> None:
    verdict = tried(lambda x, slope: ((relu(x, slope=slope)[0] * x.dtype.type(1 + 2**-23)).astype(x.dtype), None))
    assert verdict.verdict == "VIOLATED"
    right = tried(relu)
    assert right.verdict == "HOLDS"
    assert right.error_multiple == pytest.approx(1.0, abs=0.01)
    assert right.worst_ratio is not None
    assert 0.3 < right.worst_ratio < 1


def test_differences_see_a_gradient_without_the_variance_term() -> None:
    """batch_norm's dx without the term through the variance: wrong by the oracle's y alone, no derivative asked."""

    def batch_norm(x: Any, gain: Any, bias: Any, *, epsilon: float, moments: Any) -> Any:
        if moments is not None:
            raise NotImplementedError("training only")
        mean, variance = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
        r = 1 / np.sqrt(variance + x.dtype.type(epsilon))
        h, g = (x - mean) * r, gain[:, None, None]

        def pullback(dy: Any) -> Any:
            dx = g * r * (dy - dy.mean((0, 2, 3), keepdims=True))
            return dx, (dy * h).sum((0, 2, 3)), dy.sum((0, 2, 3))

        return g * h + bias[:, None, None], pullback

    verdict = tried(batch_norm, "taylor", "batch_norm")
    assert verdict.verdict == "VIOLATED"
    assert verdict.message.startswith("the pullback says that y changes by ")


def test_what_is_wrong_with_a_block_is_shown_once_in_full_and_nothing_is_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def verdict(property: str, word: str, message: str, dtype: str = "float32", block: str = "relu") -> Verdict:
        return Verdict("mine.py", block, property, dtype, word, 3, message=message, reproduce=f"{block} {property}")  # type: ignore[arg-type]  # one of them

    found = [
        verdict("deterministic", "VIOLATED", "a result was kept"),
        verdict("bounded", "VIOLATED", "y is wrong\npattern   the last column"),
        verdict("exact", "VIOLATED", "y is wrong\npattern   the first column"),
        verdict("bounded", "VIOLATED", "y is wrong\npattern   every element", "float64"),
        verdict("ties", "ERROR", "IndexError: 7"),
        verdict("exact", "VIOLATED", "y is wrong", block="tanh"),
        verdict("shape", "HOLDS", ""),
    ]
    table.show(found, {}, "mine", 1.0, None)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    start = lines.index("VIOLATED relu exact float32, after 3 examples: y is wrong")
    assert lines[start + 1 : start + 5] == [
        "pattern   the first column",
        "replay    mcnbench check mine.py --case 'relu exact'",
        "also      bounded float32, float64: the same",
        "also      deterministic float32: a result was kept",
    ]
    assert "ERROR relu ties float32, after 3 examples: IndexError: 7" in lines
    assert "VIOLATED tanh exact float32, after 3 examples: y is wrong" in lines
