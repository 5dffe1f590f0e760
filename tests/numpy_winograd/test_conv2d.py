"""conv2d by Winograd: its transforms, its agreement with im2row, and the documented bound of its rounding error."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impl import numpy_cpu, numpy_winograd
from impl.numpy_winograd import f2x2
from impl.numpy_winograd.transforms import norm_factor, transforms
from tests.numpy_cpu import oracle
from tests.numpy_cpu.oracle import Array
from tests.numpy_cpu.test_conv2d import Case, torch_conv2d

BACKENDS = {"tiles of 6": numpy_winograd, "tiles of 4": f2x2}
backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS.keys())


@pytest.mark.parametrize(("inputs", "taps"), [(4, 3), (6, 3), (6, 5)])
def test_the_transforms_filter(inputs: int, taps: int) -> None:
    t = transforms(inputs, taps, np.float64)
    rng = np.random.default_rng(0)
    g, d = rng.standard_normal(taps), rng.standard_normal(inputs)
    np.testing.assert_allclose(t.a @ ((t.g @ g) * (t.b @ d)), np.correlate(d, g, "valid"), rtol=1e-13, atol=1e-13)


def test_norm_factor() -> None:
    """5 by hand, from the points 0, 1, -1. For tiles of 6 the usual points 0, +-1, +-2 would give 96.8, ours 26.632."""
    assert norm_factor(4) == pytest.approx(5)
    assert norm_factor(6) == pytest.approx(26.632, abs=1e-3)


@st.composite
def winograd_cases(draw: st.DrawFn) -> Case:
    groups, channels, filters = draw(st.integers(1, 2)), draw(st.integers(4, 9)), draw(st.integers(1, 9))
    taps, padding = draw(st.sampled_from([3, 5])), draw(st.tuples(*[st.integers(0, 5)] * 4))
    maps = [draw(st.integers(max(1, taps - sum(padding[2 * i : 2 * i + 2])), 14)) for i in (0, 1)]
    x = (draw(st.integers(0, 5)), channels * groups, *maps)
    return Case(x, (filters * groups, channels, taps, taps), padding=padding, groups=groups)


@backends
@settings(max_examples=30, deadline=None)
@given(winograd_cases(), st.sampled_from([None, 0.0]), st.integers(0, 2**32 - 1))
def test_agrees_with_im2row(backend: ModuleType, case: Case, slope: float | None, seed: int) -> None:
    """In float64, with and without ReLU: every border, padding, number of groups and images."""
    rng = np.random.default_rng(seed)
    x, w, b = (rng.standard_normal(s) for s in (case.x, case.w, case.w[0]))
    results = []
    for module in (backend, numpy_cpu):
        if slope is None:
            y, pullback = module.conv2d(x, w, b, **case.options)
        else:
            y, pullback = module.fused["conv2d", "relu"](x, w, b, **case.options, slope=slope)
        dy = np.random.default_rng(1).standard_normal(y.shape)
        results.append((y, *pullback(dy)))
    for got, wanted in zip(*results, strict=True):
        assert got.shape == wanted.shape
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-11)


def scaled(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> Array:
    """Values of one scale, of six decades side by side, never negative (as after a ReLU), or hardly varying."""
    normal = rng.standard_normal(shape).astype(np.float32)
    if kind == "decades":
        return normal * np.float32(10) ** rng.uniform(-3, 3, shape).astype(np.float32)
    if kind == "rectified":
        return np.maximum(normal, 0)
    if kind == "offset":
        return 100 + normal
    return normal * np.float32(kind)


SIZES = {
    "few channels": Case((2, 4, 13, 13), (5, 4, 3, 3), padding=(1, 1, 1, 1)),
    "one image": Case((1, 64, 30, 30), (64, 64, 3, 3), padding=(1, 1, 1, 1)),
    "grouped": Case((4, 96, 13, 13), (64, 48, 3, 3), padding=(1, 1, 1, 1), groups=2),
    "5 x 5": Case((2, 48, 27, 27), (64, 48, 5, 5), padding=(2, 2, 2, 2)),
    "many channels": Case((2, 512, 14, 14), (128, 512, 3, 3), padding=(1, 1, 1, 1)),
}


@backends
@pytest.mark.parametrize("kind", ["1", "1e-12", "1e12", "decades", "rectified", "offset"])
@pytest.mark.parametrize("case", SIZES.values(), ids=SIZES.keys())
def test_the_error_is_within_the_documented_bound(backend: ModuleType, case: Case, kind: str) -> None:
    """|error| <= normwise_factor * c(n, u) * the largest element of the map of the absolute values.

    A bound that is never approached would not notice a fault: a ten-thousandth of it must be reached.
    """
    rng = np.random.default_rng(0)
    x, w = scaled(rng, kind, case.x), scaled(rng, kind, case.w)
    y, pullback = backend.conv2d(x, w, **case.options)
    dy = scaled(rng, kind, y.shape)
    dx, dw, _ = pullback(dy)
    wanted, (dx64, dw64) = oracle.run(lambda *a: torch_conv2d(case, *a, None), dy, x, w)
    sums, (dx_sums, dw_sums) = oracle.run(lambda *a: torch_conv2d(case, *a, None), *(np.abs(a) for a in (dy, x, w)))
    outputs, taps = len(x) * y.shape[2] * y.shape[3], case.w[2] * case.w[3]
    u = oracle.unit(np.float32)
    for name, n, got, want, total in [
        ("y", taps * case.w[1], y, wanted, sums),
        ("dx", taps * case.w[0] // case.groups, dx, dx64, dx_sums),
        ("dw", outputs, dw, dw64, dw_sums),
    ]:
        certain, probable = n * u / (1 - n * u), np.expm1(7.5 * np.sqrt(n) * u + n * u**2 / (1 - u))
        norm = total.max((2, 3), keepdims=True)
        ratio = np.max(np.abs(got - want) / (backend.normwise_factor * min(certain, probable) * norm))
        assert 1e-4 < ratio <= 1, name


@backends
def test_the_bound_sees_inputs_cut_to_bfloat16(backend: ModuleType) -> None:
    """A fault that would pass a tolerance of a per cent of the largest element."""
    case = SIZES["one image"]
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(s).astype(np.float32) for s in (case.x, case.w))
    cut = [(a.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32) for a in (x, w)]
    (y, _), (wrong, _) = (backend.conv2d(*inputs, None, **case.options) for inputs in ((x, w), cut))
    sums, _ = numpy_cpu.conv2d(np.abs(x), np.abs(w), None, **case.options)
    bound = backend.normwise_factor * 7.5 * np.sqrt(9 * 64) * oracle.unit(np.float32) * sums.max((2, 3), keepdims=True)
    assert np.max(np.abs(y - wrong) / bound) > 1


@pytest.mark.parametrize(
    "change", [{"stride": (2, 2)}, {"dilation": (2, 1)}, {"x": (1, 3, 9, 9), "w": (5, 3, 3, 3)}, {"w": (5, 4, 5, 3)}]
)
def test_what_winograd_does_not_cover_is_im2row(change: dict[str, Any]) -> None:
    case = Case((2, 4, 9, 9), (5, 4, 3, 3), padding=(1, 1, 1, 1))._replace(**change)
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(s).astype(np.float32) for s in (case.x, case.w))
    (y, pullback), (exact, exact_pullback) = (m.conv2d(x, w, None, **case.options) for m in (numpy_winograd, numpy_cpu))
    np.testing.assert_array_equal(y, exact)
    for got, wanted in zip(pullback(y)[:2], exact_pullback(y)[:2], strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_every_other_block_is_shared() -> None:
    for backend in BACKENDS.values():
        assert {name for name in numpy_cpu.__all__ if getattr(backend, name) is not getattr(numpy_cpu, name)} == {
            "accuracy",
            "conv2d",
            "fused",
        }
