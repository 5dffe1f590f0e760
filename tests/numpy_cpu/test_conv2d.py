"""conv2d against PyTorch in float64: exactly on small integers, within n u of the absolute sums on reals."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impl import numpy_cpu
from tests.numpy_cpu import oracle
from tests.numpy_cpu.oracle import Array


class Case(NamedTuple):
    x: tuple[int, ...]
    w: tuple[int, ...]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def options(self) -> dict[str, Any]:
        return {k: getattr(self, k) for k in ("stride", "padding", "dilation", "groups")}


@st.composite
def cases(draw: st.DrawFn) -> Case:
    groups, images = draw(st.integers(1, 3)), draw(st.integers(0, 3))
    channels, filters = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    taps, stride, dilation = (draw(st.tuples(st.integers(1, 4), st.integers(1, 4))) for _ in range(3))
    padding = draw(st.tuples(*[st.integers(0, 3)] * 4))
    maps = [
        max(1, (taps[i] - 1) * dilation[i] + 1 - sum(padding[2 * i : 2 * i + 2])) + draw(st.integers(0, 6))
        for i in (0, 1)
    ]
    return Case(
        (images, channels * groups, *maps), (filters * groups, channels, *taps), stride, padding, dilation, groups
    )


def torch_conv2d(case: Case, x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None) -> torch.Tensor:
    top, bottom, left, right = case.padding
    padded = torch.nn.functional.pad(x, (left, right, top, bottom))
    return torch.nn.functional.conv2d(padded, w, b, case.stride, 0, case.dilation, case.groups)


def integers(rng: np.random.Generator, *shape: int) -> Array:
    return rng.integers(-3, 4, shape).astype(np.float32)


@settings(max_examples=150, deadline=None)
@given(cases(), st.integers(0, 2**32 - 1))
def test_integers_are_exact(case: Case, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, w, b = integers(rng, *case.x), integers(rng, *case.w), integers(rng, case.w[0])
    y, pullback = numpy_cpu.conv2d(x, w, b, **case.options)
    dy = integers(rng, *y.shape)
    wanted, gradients = oracle.run(lambda *a: torch_conv2d(case, *a), dy, x, w, b)
    np.testing.assert_array_equal(y, wanted)
    for name, got, want in zip(("dx", "dw", "db"), pullback(dy), gradients, strict=True):
        np.testing.assert_array_equal(got, want, err_msg=name)
        assert got.dtype == np.float32


NETWORK_LAYERS = {
    "alexnet-conv1": Case((2, 3, 227, 227), (96, 3, 11, 11), (4, 4)),
    "alexnet-conv2": Case((3, 96, 27, 27), (256, 48, 5, 5), padding=(2, 2, 2, 2), groups=2),
    "vgg-m-conv2": Case((2, 96, 54, 54), (256, 96, 5, 5), (2, 2), (1, 1, 1, 1)),
    "vgg-vd-conv2": Case((2, 64, 112, 112), (128, 64, 3, 3), padding=(1, 1, 1, 1)),
    "vgg-vd-conv5": Case((3, 512, 14, 14), (64, 512, 3, 3), padding=(1, 1, 1, 1)),
    "fully-connected": Case((5, 256, 6, 6), (400, 256, 6, 6)),
    "fully-connected-1x1": Case((5, 4096, 1, 1), (300, 4096, 1, 1)),
}


@pytest.mark.parametrize("case", NETWORK_LAYERS.values(), ids=NETWORK_LAYERS.keys())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reals_are_within_the_bound(case: Case, dtype: type) -> None:
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(s).astype(dtype) for s in (case.x, case.w, case.w[0]))
    y, pullback = numpy_cpu.conv2d(x, w, b, **case.options)
    dy = rng.standard_normal(y.shape).astype(dtype)
    wanted = oracle.run(lambda *a: torch_conv2d(case, *a), dy, x, w, b)
    sums = oracle.run(lambda *a: torch_conv2d(case, *a), *(np.abs(a) for a in (dy, x, w, b)))
    outputs, taps = len(x) * y.shape[2] * y.shape[3], w.shape[2] * w.shape[3]
    terms = (taps * w.shape[1] + 1, taps * len(w) // case.groups, outputs, outputs)
    for n, got, want, total in zip(terms, (y, *pullback(dy)), _flat(wanted), _flat(sums), strict=True):
        probable = np.expm1(7.5 * np.sqrt(n) * oracle.unit(dtype) + n * oracle.unit(dtype) ** 2)
        # float64 itself is the oracle: twice the bound, as the oracle obeys it too
        oracle.within(got, want, min(n * oracle.unit(dtype), probable) * total * (2 if dtype is np.float64 else 1))


def _flat(result: tuple[Array, list[Array]]) -> list[Array]:
    return [result[0], *result[1]]


@pytest.mark.parametrize(
    "case", [Case((2, 4, 9, 9), (6, 4, 3, 3)), Case((2, 4, 3, 3), (6, 4, 3, 3))], ids=["conv", "fc"]
)
def test_needs_leaves_out_what_is_not_wanted(case: Case) -> None:
    rng = np.random.default_rng(1)
    x, w, b = integers(rng, *case.x), integers(rng, *case.w), integers(rng, case.w[0])
    y, pullback = numpy_cpu.conv2d(x, w, b, **case.options)
    dx, dw, db = pullback(y)
    for needs in [(False, True, True), (True, False, False), (False, False, True)]:
        for wanted, got, full in zip(needs, pullback(y, needs=needs), (dx, dw, db), strict=True):
            assert (got is not None) == wanted
            if got is not None:
                np.testing.assert_array_equal(got, full)


def test_filters_may_be_ordered_krsc() -> None:
    """The order that prepare() gives: the results are the same, and dw comes in that order too."""
    rng = np.random.default_rng(2)
    for case in (Case((2, 4, 9, 9), (6, 4, 3, 3)), Case((2, 4, 3, 3), (6, 4, 3, 3))):
        x, w = integers(rng, *case.x), integers(rng, *case.w)
        reordered = np.ascontiguousarray(w.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        (y, pullback), (y2, pullback2) = (numpy_cpu.conv2d(x, a, **case.options) for a in (w, reordered))
        np.testing.assert_array_equal(y, y2)
        np.testing.assert_array_equal(pullback(y)[1], pullback2(y)[1])
        assert pullback2(y)[1].strides == reordered.strides


@pytest.mark.parametrize(
    ("x", "w", "change", "message"),
    [
        ((1, 3, 5, 5), (2, 4, 3, 3), {}, "C = 3"),
        ((1, 4, 5, 5), (3, 2, 3, 3), {"groups": 2}, "multiple of groups = 2"),
        ((1, 4, 5, 5), (4, 4, 3, 3), {"groups": 0}, "groups = 0"),
        ((1, 3, 2, 5), (2, 3, 3, 3), {}, "padded map of height at least 3, got 2"),
        ((1, 3, 5, 5), (2, 3, 3, 3), {"dilation": (1, 3)}, "width 3 with dilation 3 .* at least 7, got 5"),
        ((1, 3, 5, 5), (2, 3, 3, 3), {"stride": 0}, "stride must be"),
        ((1, 3, 5, 5), (2, 3, 3, 3), {"padding": -1}, "padding must be"),
        ((3, 5, 5), (2, 3, 3, 3), {}, "4 axes"),
    ],
)
def test_sizes_that_do_not_fit(x: tuple[int, ...], w: tuple[int, ...], change: dict[str, Any], message: str) -> None:
    options = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1} | change
    with pytest.raises(ValueError, match=message):
        numpy_cpu.conv2d(np.zeros(x, np.float32), np.zeros(w, np.float32), None, **options)


def test_dtypes_that_do_not_fit() -> None:
    options: dict[str, Any] = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    x, w = np.zeros((1, 1, 3, 3), np.float32), np.zeros((1, 1, 3, 3), np.float64)
    with pytest.raises(ValueError, match=r"w must have shape .* float32, got .* float64"):
        numpy_cpu.conv2d(x, w, **options)
    with pytest.raises(ValueError, match="float32 or float64, got int32"):
        numpy_cpu.conv2d(x.astype(np.int32), w, **options)
    with pytest.raises(ValueError, match=r"b must have shape \(1,\)"):
        numpy_cpu.conv2d(w, w, np.zeros(2), **options)
    with pytest.raises(ValueError, match="dy must have shape"):
        numpy_cpu.conv2d(w, w, **options)[1](np.zeros((1, 1, 2, 2)))
