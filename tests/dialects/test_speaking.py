"""A right implementation in any dialect, spoken to in it, equals the oracle on every call that the dialect can say.

The implementations beside this file know nothing of mcnbench: loops after each library's documentation, SciPy's
convolution in the sense of mathematics, and torch.nn.functional as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcnbench import backend, blocks
from mcnbench.arrays import Array
from mcnbench.backends import Backend
from mcnbench.dialects import Inexpressible, load
from mcnbench.dialects.speaking import speak

FOLDER = Path(__file__).parent
DIALECTS = ("caffe", "matconvnet", "pytorch", "tensorflow", "theano")


def spoken(name: str) -> Backend:
    return speak(backend(str(FOLDER / f"{name}_blocks.py")), load(name))


def equals_the_oracle(subject: Backend, block: str, inputs: list[Array | None], options: dict[str, Any]) -> bool:
    """Whether the dialect can say it; raises if what it then says is wrong."""
    function = subject.block(block)
    assert function is not None
    expected, pullback = blocks.block(block).oracle(inputs, blocks.make_options(block, options))
    try:
        y, own = function(*inputs, **options)
    except Inexpressible:
        return False
    np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-12)
    if own is not None:
        dy = np.random.default_rng(1).normal(size=expected.shape)
        for got, wanted in zip(own(dy), pullback(dy), strict=True):
            if wanted is not None:
                np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12)
    return True


@st.composite
def poolings(draw: st.DrawFn) -> tuple[tuple[int, ...], dict[str, Any]]:
    window = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    size = tuple(draw(st.integers(w, 9)) for w in window)
    # Symmetric padding, that of SAME at stride 1, and any other.
    sides = [draw(st.integers(0, w - 1)) for w in window for _ in range(2)]
    match draw(st.sampled_from(["none", "symmetric", "same", "any"])):
        case "none":
            sides = [0, 0, 0, 0]
        case "symmetric":
            sides = [sides[0], sides[0], sides[2], sides[2]]
        case "same":
            sides = [(window[0] - 1) // 2, window[0] // 2, (window[1] - 1) // 2, window[1] // 2]
    stride = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    options = {"window": window, "stride": stride, "padding": tuple(sides), "ceil_mode": draw(st.booleans())}
    return (draw(st.integers(1, 2)), draw(st.integers(1, 2)), *size), options


@pytest.mark.parametrize("name", DIALECTS)
@settings(deadline=None, max_examples=40)
@given(poolings(), st.integers(0, 999))
def test_max_pooling(name: str, case: tuple[tuple[int, ...], dict[str, Any]], seed: int) -> None:
    shape, options = case
    x = np.random.default_rng(seed).permutation(np.prod(shape)).astype(np.float64).reshape(shape)
    equals_the_oracle(spoken(name), "max_pool2d", [x], options)


@pytest.mark.parametrize("name", ["caffe", "matconvnet", "pytorch", "tensorflow"])
@settings(deadline=None, max_examples=40)
@given(poolings(), st.integers(0, 999))
def test_ties(name: str, case: tuple[tuple[int, ...], dict[str, Any]], seed: int) -> None:
    """MatConvNet scans columns first; it is asked for the transposed map."""
    shape, options = case
    x = np.random.default_rng(seed).integers(0, 2, shape).astype(np.float64)
    equals_the_oracle(spoken(name), "max_pool2d", [x], options)


@pytest.mark.parametrize("name", ["caffe", "matconvnet", "pytorch", "tensorflow"])
@settings(deadline=None, max_examples=40)
@given(poolings(), st.booleans(), st.integers(0, 999))
def test_average_pooling(name: str, case: tuple[tuple[int, ...], dict[str, Any]], include: bool, seed: int) -> None:
    shape, options = case
    x = np.random.default_rng(seed).normal(size=shape)
    equals_the_oracle(spoken(name), "avg_pool2d", [x], {**options, "count_include_pad": include})


@pytest.mark.parametrize("name", ["caffe", "pytorch", "tensorflow", "theano"])
@settings(deadline=None, max_examples=40)
@given(poolings(), st.sampled_from([1, 2]), st.booleans(), st.integers(1, 2), st.integers(0, 999))
def test_convolution(
    name: str, case: tuple[tuple[int, ...], dict[str, Any]], groups: int, bias: bool, dilation: int, seed: int
) -> None:
    (n, c, *size), drawn = case
    window = [1 + (w - 1) // dilation for w in drawn["window"]]  # so that the dilated filter still fits
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, c * groups, *size))
    w = rng.normal(size=(2 * groups, c, *window))
    b = rng.normal(size=2 * groups) if bias else None
    options = {"stride": drawn["stride"], "padding": drawn["padding"], "dilation": dilation, "groups": groups}
    equals_the_oracle(spoken(name), "conv2d", [x, w, b], options)


@pytest.mark.parametrize("name", ["caffe", "pytorch"])
@pytest.mark.parametrize("window", [1, 2, 3, 4, 5])
def test_local_response_norm(name: str, window: int) -> None:
    """PyTorch divides alpha by the window and leans an even one to the lower channel; Caffe refuses that one."""
    x = np.random.default_rng(window).normal(size=(2, 6, 3, 2))
    options = {"window": window, "kappa": 1.5, "alpha": 0.3, "beta": 0.75}
    said = equals_the_oracle(spoken(name), "local_response_norm", [x], options)
    assert said == (name == "pytorch" or window % 2 == 1)


def test_batch_norm_moments_are_matconvnets_deviation() -> None:
    rng = np.random.default_rng(0)
    x, gain, bias = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=3), rng.normal(size=3)
    for moments in (None, (rng.normal(size=3), rng.random(3))):
        options = {"epsilon": 0.01, "moments": moments}
        assert equals_the_oracle(spoken("matconvnet"), "batch_norm", [x, gain, bias], options)


class Unbiased:
    """A batch normalisation that divides by n - 1."""

    @staticmethod
    def batch_norm(x: Array, gain: Array, bias: Array, *, epsilon: float, moments: Any = None) -> tuple[Array, None]:
        centred = (x - x.mean((0, 2, 3), keepdims=True)) / np.sqrt(x.var((0, 2, 3), keepdims=True, ddof=1) + epsilon)
        return gain[:, None, None] * centred + bias[:, None, None], None


def test_unbiased_variance_is_a_larger_gain_and_epsilon() -> None:
    base = load("pytorch")
    dialect = base.model_copy(update={"batch_norm": base.batch_norm.model_copy(update={"variance": "unbiased"})})
    rng = np.random.default_rng(0)
    x, gain, bias = rng.normal(size=(2, 3, 2, 1)), rng.normal(size=3), rng.normal(size=3)
    subject = speak(Backend("unbiased", Unbiased), dialect)
    assert equals_the_oracle(subject, "batch_norm", [x, gain, bias], {"epsilon": 0.01, "moments": None})
    function = subject.block("batch_norm")
    assert function is not None
    with pytest.raises(Inexpressible, match="no variance of a single pixel"):
        function(x[:1, :, :1], gain, bias, epsilon=0.01, moments=None)


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("caffe", {}, "Caffe has no padding and rounding that puts the windows there"),
        ("caffe", {"padding": (0, 1, 0, 1)}, ""),
        ("matconvnet", {}, ""),
        ("tensorflow", {"padding": (1, 1, 1, 1)}, "no padding and rounding that puts the windows there"),
        ("tensorflow", {"padding": (1, 1, 1, 1), "window": 3, "stride": 1}, ""),
        ("pytorch", {"padding": (2, 2, 2, 2), "window": 3, "stride": 1}, "no padding and rounding that puts"),
    ],
)
def test_what_cannot_be_said_is_refused_with_the_reason(name: str, options: dict[str, Any], reason: str) -> None:
    x = np.random.default_rng(0).permutation(49).astype(np.float64).reshape(1, 1, 7, 7)
    options = {"window": 2, "stride": 2, "padding": (0, 0, 0, 0), "ceil_mode": False, **options}
    function = spoken(name).block("max_pool2d")
    assert function is not None
    if not reason:
        assert equals_the_oracle(spoken(name), "max_pool2d", [x], options)
        return
    with pytest.raises(Inexpressible, match=reason):
        function(x, **options)


def test_caffe_averages_padding_in_and_refuses_what_does_not() -> None:
    x = np.random.default_rng(0).normal(size=(1, 1, 6, 6))
    options = {"window": 3, "stride": 1, "padding": (1, 1, 1, 1), "ceil_mode": True}
    assert equals_the_oracle(spoken("caffe"), "avg_pool2d", [x], {**options, "count_include_pad": True})
    function = spoken("caffe").block("avg_pool2d")
    assert function is not None
    with pytest.raises(Inexpressible, match="divides averages at the border by another number of pixels"):
        function(x, **options, count_include_pad=False)


def test_nan_and_ties_that_mean_something_else_are_refused() -> None:
    options = {"window": 2, "stride": 2, "padding": (0, 0, 0, 0), "ceil_mode": False}
    for name, x, reason in (
        ("caffe", np.array([[1.0, np.nan], [2.0, 3.0]]), "NaN in Caffe's max pooling: ignored"),
        ("theano", np.array([[1.0, 4.0], [4.0, 3.0]]), "equal maxima Theano chooses: all"),
    ):
        function = spoken(name).block("max_pool2d")
        assert function is not None
        with pytest.raises(Inexpressible, match=reason):
            function(x[None, None], **options)


def test_a_backend_in_another_dialect_is_found_wrong_without_it() -> None:
    """The test of the tests above: unspoken to, true convolution and PyTorch's normalisation differ from the oracle."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(1, 2, 5, 5)), rng.normal(size=(2, 2, 3, 3))
    options: dict[str, Any] = {"stride": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1}
    plain = backend(str(FOLDER / "theano_blocks.py"))
    with pytest.raises(AssertionError):
        equals_the_oracle(plain, "conv2d", [x, w, None], {**options, "padding": (0, 0)})
    plain = backend(str(FOLDER / "pytorch_blocks.py"))
    with pytest.raises(AssertionError):
        equals_the_oracle(plain, "local_response_norm", [x], {"window": 3, "kappa": 1.0, "alpha": 0.5, "beta": 0.75})
