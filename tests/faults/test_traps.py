"""Traps that other harnesses fell into, one test each: ours does not have them. The comment names where it was seen."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import mcnbench
import reports
from impl import numpy_cpu
from impl.numpy_winograd import f2x2
from mcnbench import blocks, case, network
from mcnbench.arrays import Array
from mcnbench.backends import Backend
from mcnbench.bounds import PRECISIONS
from mcnbench.compare.result import exit_code
from mcnbench.errors import BadInput
from reports import statistics, tables, text
from suites.properties import engine, relations, strategies
from suites.properties.outcome import Tally, Violated
from suites.properties.pool import Request, start
from suites.properties.subject import Subject
from suites.properties.trial import Trial
from tests.compare.test_files import PEER, compared, measurement
from tests.reports.conftest import HOLDS, Made, make_run
from tests.reports.conftest import measurement as step

__all__ = ["make_run"]  # a fixture

NUMPY = mcnbench.backend("numpy")


def judged(block: str, property: str, examples: int = 30, **functions: Callable[..., Any]) -> tuple[str, str]:
    verdict = engine.run(Backend("mine", SimpleNamespace(**functions)), block, property, examples=examples)
    return verdict.verdict, verdict.message


def conv2d(change: Callable[[Array, list[Array | None]], Any]) -> Callable[..., Any]:
    """Our convolution, after `change(y, gradients)` in place."""

    def block(*inputs: Any, **options: Any) -> Any:
        y, pullback = numpy_cpu.conv2d(*inputs, **options)
        change(y, [])

        def gradients(dy: Array) -> list[Array | None]:
            found = list(pullback(dy))
            change(y.copy(), found)
            return found

        return y, gradients

    return block


def test_the_oracle_is_not_what_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """cuDNN against a torch that calls cuDNN: both share the error. Ours is float64 on the CPU; torch float32, the peer
    of the error multiple, may be as wrong as the backend without hiding it."""
    y, pullback = blocks.block("conv2d").oracle(
        case.parse("conv2d x=1x2x3x3 w=2x2x3x3 b=2 padding=1 seed=3").inputs(),
        blocks.block("conv2d").Options(padding=1),
    )
    assert y.dtype == np.float64
    assert all(g is not None and g.dtype == np.float64 for g in pullback(y))

    def tf32(x: Any, *, slope: float) -> Any:
        y, pullback = numpy_cpu.relu(x, slope=slope)
        return y * np.float32(1 + 2**-11), pullback

    wrong = Backend("wrong", SimpleNamespace(relu=tf32))
    monkeypatch.setattr(engine, "_torch", lambda: wrong)
    verdict = engine.run(wrong, "relu", "bounded", examples=10)
    assert verdict.verdict == "VIOLATED"


def test_a_bound_does_not_grow_with_the_array() -> None:
    """JAX scales its tolerance by the size; one wrong element in a large array is then within it."""
    expected = np.ones(1_000_000)
    got = expected.copy()
    got[700_000] += 3e-7
    with pytest.raises(Violated):
        Tally().judge("y", got, expected, 1e-7)
    conv = blocks.block("conv2d")
    one, many = (case.parse(f"conv2d x={n}x3x5x5 w=2x3x3x3 b=none seed=1") for n in (1, 40))
    x, w, b = many.inputs()
    assert x is not None
    large = conv.bound((x, w, b), many.options, many.dy(), PRECISIONS["float32"])["y"]
    small = conv.bound((x[:1], w, b), one.options, many.dy()[:1], PRECISIONS["float32"])["y"]
    np.testing.assert_allclose(large[:1], small, rtol=1e-12)


def test_what_is_asked_for_arrives(tmp_path: Path) -> None:
    """BackendBench took a tolerance and did not pass it on. Options reach the backend, settings the worker, declared
    precision and factors the bound."""
    seen: dict[str, Any] = {}

    def average(x: Any, **options: Any) -> Any:
        seen.update(options)
        return numpy_cpu.avg_pool2d(x, **options)

    for block in blocks.names():
        calls: list[dict[str, Any]] = []

        def spy(*inputs: Any, name: str = block, into: list[dict[str, Any]] = calls, **options: Any) -> Any:
            into.append(options)
            return getattr(numpy_cpu, name)(*inputs, **options)

        drawn: list[case.Case] = []
        engine.run(Backend("spy", SimpleNamespace(**{block: spy})), block, "shape", examples=8, on_case=drawn.append)
        wanted = [{f.name: getattr(c.options, f.name) for f in fields(c.options) if f.name != "moments"} for c in drawn]
        assert [{k: v for k, v in got.items() if k != "moments"} for got in calls] == wanted

    mine = tmp_path / "mine.py"
    mine.write_text("from impl.numpy_cpu import relu\nprecision = {'float32': 'tf32'}\n")
    pool = start(str(mine), 1)
    try:
        request = Request("relu", "bounded", "float32", examples=7, seed=5)
        assert pool.submit([request])[request].result().examples == 7
    finally:
        pool.close()
    loaded = mcnbench.backend(str(mine))
    at = case.parse("conv2d x=1x2x3x3 w=2x2x3x3 b=2 padding=1 seed=3")
    bound = {
        name: Trial(Subject(Backend(name, what), "conv2d"), at, Tally()).bounds(at.inputs(), at.dy())["y"].max()
        for name, what in {
            "float32": SimpleNamespace(),
            "tf32": loaded.implementation,
            "normwise": SimpleNamespace(accuracy="normwise"),
            "seven": SimpleNamespace(accuracy="normwise", normwise_factor=7.0),
        }.items()
    }
    assert bound["tf32"] > 100 * bound["float32"]
    assert bound["seven"] == pytest.approx(7 * bound["normwise"])
    assert bound["normwise"] > bound["float32"]


@pytest.mark.parametrize(
    ("wrong", "property", "word"),
    [
        (lambda x, slope: None, "bounded", "VIOLATED"),
        (lambda x, slope: (None, None), "bounded", "VIOLATED"),
        (lambda x, slope: (numpy_cpu.relu(x, slope=slope)[0], None), "gradient-bounded", "UNSUPPORTED"),
        (lambda x, slope: (numpy_cpu.relu(x, slope=slope)[0], lambda dy: None), "gradient-bounded", "VIOLATED"),
        (lambda x, slope: (numpy_cpu.relu(x, slope=slope)[0], lambda dy: (None,)), "gradient-bounded", "VIOLATED"),
    ],
)
def test_none_never_passes(wrong: Callable[..., Any], property: str, word: str) -> None:
    """NNSmith returned early where a result was None."""
    assert judged("relu", property, relu=wrong)[0] == word


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e3, 1e30])
def test_an_error_is_found_on_every_scale(scale: float) -> None:
    """flashinfer counted an element only if it was beyond the absolute AND the relative tolerance."""
    expected = scale * np.arange(1.0, 9.0)
    bound = 1e-6 * np.abs(expected)
    Tally().judge("y", expected + bound / 2, expected, bound)
    with pytest.raises(Violated):
        Tally().judge("y", expected * (1 + 2e-6), expected, bound)


@pytest.mark.parametrize("which", ["y", "dx", "dw", "db"])
def test_every_output_is_compared_not_the_last_alone(which: str) -> None:
    """gpu-mode's second check compared the last output only."""
    place = {"dx": 0, "dw": 1, "db": 2}

    def spoil(y: Array, gradients: list[Array | None]) -> None:
        if which == "y" and not gradients:
            y.flat[:1] += 1
        elif gradients and which != "y" and (g := gradients[place[which]]) is not None:
            g.flat[:1] += 1

    word, message = judged("conv2d", "exact" if which == "y" else "gradient-exact", conv2d=conv2d(spoil))
    assert word == "VIOLATED"
    assert message.startswith(f"{which} is not what the oracle says")


def test_the_first_of_two_calls_of_the_pullback_is_compared_too() -> None:
    def relu(x: Array, *, slope: float) -> Any:
        y, pullback = numpy_cpu.relu(x, slope=slope)
        calls = iter(range(9))
        return y, lambda dy: tuple(g + (next(calls) == 0) for g in pullback(dy))

    assert judged("relu", "gradient-bounded", relu=relu)[0] == "VIOLATED"


def test_nan_is_no_wildcard() -> None:
    """pygpubench let anything pass where NaN was expected."""
    for got, expected in ((5.0, np.nan), (np.nan, 5.0)):
        with pytest.raises(Violated):
            Tally().judge("y", np.array([got]), np.array([expected]), 1e30)

    def hides(x: Array, *, slope: float) -> Any:
        y, pullback = numpy_cpu.relu(x, slope=slope)
        return np.nan_to_num(y), pullback

    assert judged("relu", "nan", relu=hides) == ("VIOLATED", judged("relu", "nan", relu=hides)[1])
    assert "a NaN does not show in outputs that depend on it" in judged("relu", "nan", relu=hides)[1]


def test_no_mean_is_taken_over_cases_that_only_one_side_has(make_run: Made) -> None:
    """google/benchmark took the geometric mean over sets that differed. There is one row for each network and backend,
    a ratio only where both were measured, and no mean of ratios at all."""
    path = make_run(
        step("alexnet", "numpy", [1.0, 1.0]), step("alexnet", "torch", [2.0, 2.0]), step("vgg-f", "numpy", [1.0])
    )
    table = tables.training_speed(reports.load([path]))
    rows = {(r.network, r.backend): r.ratio for r in table.itertuples()}
    assert rows["alexnet", "numpy"] == pytest.approx(2)
    assert np.isnan(rows["vgg-f", "numpy"])
    assert set(rows) == {("alexnet", "numpy"), ("alexnet", "torch"), ("vgg-f", "numpy")}
    assert "mean" not in text.as_text(table)


def test_a_failure_is_not_a_speed_of_one(make_run: Made) -> None:
    """BackendBench counted what failed as 1.0 times as fast."""
    failed = step("alexnet", "numpy", [], error="killed for memory")
    table = tables.training_speed(reports.load([make_run(failed, step("alexnet", "torch", [1.0]))]))
    ours = table[table["backend"] == "numpy"].iloc[0]
    assert (ours["state"], np.isnan(ours["ratio"])) == ("failed", True)


def test_no_sample_is_dropped() -> None:
    """tritonbench printed the maximum as the minimum, and dropped outliers without a word."""
    samples = np.array([1.0, 1.0, 1.0, 1.0, 50.0])
    found = statistics.estimate(samples)
    assert (found.median, found.low, found.high, found.rounds) == (1.0, 1.0, 50.0, 5)


def test_a_regression_does_not_end_well(tmp_path: Path) -> None:
    """nvbench's comparison exited with 0 whatever it found."""
    found = compared(tmp_path, [*measurement(), *PEER], [*measurement(seconds=0.15), *PEER])["speed"]
    assert found.verdict == "REGRESSED"
    assert exit_code([found], strict=False) == 1


def test_what_vanished_or_failed_is_not_passed_over(tmp_path: Path) -> None:
    """pytest-benchmark and github-action-benchmark compare what is left."""
    for name, new in {"gone": PEER, "failed": [*measurement(error="crashed"), *PEER]}.items():
        (tmp_path / name).mkdir()
        found = compared(tmp_path / name, [*measurement(), *PEER], list(new))["speed"]
        assert (found.verdict, exit_code([found], strict=False)) == ("MISSING", 1)


def test_a_wrong_shape_is_no_warning(tmp_path: Path) -> None:
    """Caffe2 warned where shape inference and result differed."""
    assert judged("relu", "shape", relu=lambda x, slope: (x[..., :1], None))[0] == "VIOLATED"
    path = tmp_path / "wrong.toml"
    path.write_text(
        'title="w"\ninput=[3,8,8]\nbatch=2\nlayers=[{name="c",block="conv2d",out_channels=2,kernel_size=9}]\n'
    )
    with pytest.raises(BadInput):
        network.load(str(path))


@pytest.mark.parametrize("block", strategies.names())
def test_all_randomness_is_hypothesis_own(block: str) -> None:
    """Caffe2 drew data with NumPy's global generator: failures did not replay. The line of a case is all there is."""

    def lines(state: int) -> list[tuple[str, bytes]]:
        np.random.seed(state)  # noqa: NPY002  # the global generator, on purpose
        torch.manual_seed(state)
        drawn: list[case.Case] = []
        engine.run(NUMPY, block, "shape", examples=5, seed=9, on_case=drawn.append)
        return [(str(c), b"".join(a.tobytes() for a in (*c.inputs(), c.dy()) if a is not None)) for c in drawn]

    first = lines(1)
    assert first == lines(2)
    for line, data in first:
        again = case.parse(line)
        assert b"".join(a.tobytes() for a in (*again.inputs(), again.dy()) if a is not None) == data


def test_the_receptive_field_is_asserted() -> None:
    """MatConvNet's test of receptive fields asserted nothing. Ours fails on a field that is one pixel too far."""

    def far(x: Array, **options: Any) -> Any:
        return numpy_cpu.max_pool2d(np.roll(x, 1, axis=3), **options)

    word, message = judged("max_pool2d", "geometry", max_pool2d=far)
    assert word == "VIOLATED"
    assert "receptive field" in message


@pytest.mark.parametrize("block", [name for name in strategies.names() if strategies.module(name).RELATIONS])
def test_every_relation_says_something(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A property may pass because nothing was compared: each relation has cases within the default number."""
    module = strategies.module(block)
    spoke: set[str] = set()

    def noting(relation: relations.Relation) -> relations.Relation:
        @functools.wraps(relation)
        def noted(*arguments: Any) -> relations.Pairs:
            pairs = relation(*arguments)
            if pairs:
                spoke.add(relation.__name__)
            return pairs

        return noted

    named = {relation.__name__ for relation in module.RELATIONS}
    monkeypatch.setattr(module, "RELATIONS", tuple(map(noting, module.RELATIONS)))
    assert engine.run(NUMPY, block, "metamorphic").verdict == "HOLDS"  # each relation's own tally is not mistrusted
    assert spoke == named


def test_integers_alone_hide_winograds_error_and_are_not_alone() -> None:
    """AMDMIGraphX#508: on integers F(2 x 2, 3 x 3) is exact."""
    assert judged("conv2d", "exact", 100, conv2d=f2x2.conv2d)[0] == "HOLDS"
    assert judged("conv2d", "bounded", 100, conv2d=f2x2.conv2d)[0] == "VIOLATED"


def test_no_samples_are_no_measurement(make_run: Made) -> None:
    """nvbench#231: all samples were discarded as throttled, and what was left looked measured."""
    path = make_run(step("alexnet", "numpy", [], verified=HOLDS), step("alexnet", "torch", [1.0]))
    table = tables.training_speed(reports.load([path]))
    ours = table[table["backend"] == "numpy"].iloc[0]
    assert ours["state"] == "failed"
    assert "no sample" in text.as_text(table)


@pytest.mark.parametrize("block", strategies.names())
def test_neither_inputs_nor_dy_are_constant(block: str) -> None:
    """dy = ones hides whatever depends on where a gradient comes from; equal inputs hide wrong places."""
    drawn: list[case.Case] = []
    for property in {"exact", "bounded", "ties"} & set(engine.properties(block)):
        engine.run(NUMPY, block, property, examples=20, on_case=drawn.append)
    large = [c for c in drawn if c.data != "constant" and np.prod(c.shapes[0] or 0) > 8]
    assert large
    for one in large:
        x, dy = one.inputs()[0], one.dy()
        assert x is not None
        assert len(np.unique(x)) > 1, one
        assert len(np.unique(dy)) > 1 or dy.size <= 8, one
