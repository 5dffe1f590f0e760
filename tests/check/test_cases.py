"""Cases: one line and back, arrays from the seed alone, sentences for lines that cannot be read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcnbench import blocks, case
from mcnbench.case import Case
from mcnbench.errors import BadInput
from suites.properties import engine, strategies

ANY = st.sampled_from(strategies.names()).flatmap(
    lambda block: st.sampled_from(engine.properties(block)).flatmap(
        lambda name: strategies.cases(block, name, "float32")
    )
)


@given(ANY)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_line_gives_the_case_back(drawn: Case) -> None:
    again = case.parse(str(drawn))
    assert again == drawn
    assert str(again) == str(drawn)


@given(ANY)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_equal_cases_make_equal_arrays(drawn: Case) -> None:
    again = case.parse(str(drawn))
    for a, b in zip(drawn.inputs(), again.inputs(), strict=True):
        assert (a is None) == (b is None)
        assert a is None or (a.tobytes() == b.tobytes() and a.shape == b.shape)  # type: ignore[union-attr]  # see above


def test_the_form_of_a_line() -> None:
    line = "conv2d x=2x3x5x5 w=4x3x3x3 b=none stride=2,1 padding=1,0,2,1 dtype=float32 data=integers seed=7"
    drawn = case.parse(line)
    assert str(drawn) == line
    assert drawn.options.stride == (2, 1)
    assert drawn.output_shape == (2, 4, 2, 6)
    assert drawn.inputs()[2] is None


def test_moments_are_made_from_the_seed() -> None:
    drawn = case.parse("batch_norm x=2x3x2x2 gain=3 bias=3 moments=True dtype=float64 seed=1")
    mean, variance = drawn.options.moments
    assert mean.shape == variance.shape == (3,)
    assert (variance > 0).all()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "unknown block ''"),
        ("conv3d x=1", "did you mean 'conv2d'?"),
        ("conv2d x=1x1x1x1", "says nothing of w"),
        ("relu x=1xtwo", "cannot read the shape x=1xtwo"),
        ("relu x=1x-1", "has a negative size"),
        ("relu x=1x1 slop=0.5", "did you mean 'slope'?"),
        ("relu x=1x1 slope=half", "cannot read the option slope=half"),
        ("relu x=1x1 dtype=float8", "unknown dtype 'float8'"),
        ("relu x=1x1 data=nice", "unknown kind of data 'nice'"),
        ("relu x=1x1 seed=-1", "wanted an integer from 0"),
        ("relu x 1x1", "cannot read ['x', '1x1']"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(line: str, words: str) -> None:
    with pytest.raises(BadInput) as error:
        case.parse(line)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("kind", ["integers", "large-integers"])
def test_sums_of_integer_data_are_exact_in_any_order(kind: str, dtype: str) -> None:
    """No partial sum exceeds the integers that the dtype holds, whatever the order: the sum of magnitudes does not."""
    limit = 2 ** (np.finfo(dtype).nmant + 1)
    for shapes in (
        ((1, 1, 1, 1), (1, 1, 1, 1), None),
        ((3, 8, 12, 12), (8, 8, 5, 5), (8,)),
        ((9, 40, 9, 9), (2, 40, 9, 9), None),
    ):
        drawn = Case("conv2d", shapes, (), dtype, kind, 3)
        inputs = drawn.inputs()
        sizes = [None if a is None else np.abs(a) for a in inputs]
        assert all(a is None or (a == np.round(a)).all() for a in inputs)
        y, pullback = blocks.block("conv2d").oracle(sizes, drawn.options)
        gradients = pullback(np.abs(drawn.dy()).astype(np.float64))
        assert max(float(a.max()) for a in (y, *gradients) if a is not None) <= limit
        assert any(a is not None and a.any() for a in inputs)
