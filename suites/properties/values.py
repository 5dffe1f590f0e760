"""Properties of what a block computes: against the oracle, against exact integers, against its own differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mcnbench import data
from mcnbench.arrays import Array, Float64
from suites.properties import strategies
from suites.properties.outcome import Unsupported, Violated
from suites.properties.subject import Result
from suites.properties.trial import Trial

STEP = 1 / 64
"""The data of `taylor` is such that adding this, or half of it, is exact in every dtype."""
SMALL_STEP = 2.0**-20
"""Exact in float64 with the same data, and small against every scale in it."""


def shape(trial: Trial) -> None:
    """y and each gradient have the shape that the block's description gives and the dtype of x."""
    result = trial.call()
    _right_dtype(trial, "y", result.y)
    try:
        gradients = result.pullback(trial.case.dy())
    except Unsupported:
        return
    for name, value in gradients.items():
        _right_dtype(trial, name, value)


def _right_dtype(trial: Trial, name: str, value: Array) -> None:
    if value.dtype != trial.case.dtype:
        raise Violated(f"wanted {name} of dtype {trial.case.dtype}, that of x, got {value.dtype}")
    trial.tally.told(name)


def exact(trial: Trial) -> None:
    """On integers whose sums are exact in any order, y equals the oracle's, bit for bit."""
    inputs = trial.case.inputs()
    bound = trial.bounds(inputs, trial.case.dy())["y"] if trial.normwise else 0.0
    trial.judge("y", trial.call(inputs).y, trial.expected(inputs)["y"], bound)


def bounded(trial: Trial) -> None:
    """On real numbers y is within the a-priori bound of the oracle."""
    inputs = trial.case.inputs()
    bound = trial.bounds(inputs, trial.case.dy())["y"]
    peer = None if trial.peer is None else trial.peer(trial.case, inputs).y
    trial.judge("y", trial.call(inputs).y, trial.expected(inputs)["y"], bound, peer=peer)


def gradient_exact(trial: Trial) -> None:
    """On integers the gradients for two random dy equal the oracle's, and <dy, y> = <dx, x> = <dw, w> exactly."""
    inputs = trial.case.inputs()
    result = trial.call(inputs)
    for which in range(2):
        dy = trial.case.dy(which)
        gradients = result.pullback(dy)
        expected = trial.expected(inputs, dy)
        bounds = trial.bounds(inputs, dy) if trial.normwise else {}
        for name, value in gradients.items():
            trial.judge(name, value, expected[name], bounds.get(name, 0.0), _nth(name, which))
        if not trial.normwise and np.array_equal(result.y, expected["y"]):  # a wrong y is another property's matter
            _adjoint(trial, result, dy, gradients)


def _adjoint(trial: Trial, result: Result, dy: Array, gradients: dict[str, Array]) -> None:
    """A block that is linear in an input has <dy, y> = <that input's gradient, that input>."""
    values = dict(zip(trial.case.names, trial.case.inputs(), strict=True))
    for group in strategies.module(trial.case.block).ADJOINT:
        names = trial.case.names if group == ("xs",) else group
        offset = _dot(gradients["db"], values["b"]) if "db" in gradients and names != ("b",) else 0.0
        forward = _dot(dy, result.y) - offset
        backward = sum(_dot(gradients[f"d{name}"], values[name]) for name in names)
        if forward != backward:
            gradient = " + ".join(f"<d{name}, {name}>" for name in names)
            left = "<dy, y> - <db, b>" if offset else "<dy, y>"
            apart = f"{left} = {forward:.17g}, but {gradient} = {backward:.17g}"
            raise Violated(f"y and the pullback do not belong together: {apart}")


def gradient_bounded(trial: Trial) -> None:
    """On real numbers the gradients for two random dy are within their bounds of the oracle's."""
    inputs = trial.case.inputs()
    result = trial.call(inputs)
    peer = None if trial.peer is None else trial.peer(trial.case, inputs)
    for which in range(2):
        dy = trial.case.dy(which)
        gradients = result.pullback(dy)
        expected, bounds = trial.expected(inputs, dy), trial.bounds(inputs, dy)
        others = {} if peer is None else peer.pullback(dy)
        for name, value in gradients.items():
            trial.judge(name, value, expected[name], bounds[name], _nth(name, which), others.get(name))


def _nth(name: str, which: int) -> str:
    again = ", when the pullback is called a second time, with another dy" if which else ""
    return f"{name} is not what the oracle says{again}"


def taylor(trial: Trial) -> None:
    """The pullback agrees with differences of the block's own y along a random direction.

    No derivative of the oracle is used, but its y tells how far differences of these steps are from the derivative:
    as far as they are from differences of far smaller steps, which float64 permits. What is left is rounding.
    """
    inputs = trial.case.inputs()
    dy = trial.case.dy()
    gradients = trial.call(inputs).pullback(dy)
    steps = {name: data.direction(g.shape, trial.case.seed, i) for i, (name, g) in enumerate(gradients.items())}

    def moved(by: float, dtype: str) -> list[Array | None]:
        names = [f"d{name}" for name in trial.case.names]
        return [
            a if a is None or n not in steps else (a.astype(np.float64) + by * steps[n]).astype(dtype)
            for n, a in zip(names, inputs, strict=True)
        ]

    def own(by: float) -> float:
        return _dot(dy, trial.call(moved(by, trial.case.dtype)).y)

    def exactly(by: float) -> float:
        return _dot(dy, trial.expected(moved(by, "float64"))["y"])

    slope = _slope(own, STEP) - (_slope(exactly, STEP) - _slope(exactly, SMALL_STEP))
    bounds = trial.bounds(inputs, dy)
    noise = bounds["y"]
    for by in (STEP, -STEP):
        noise = np.maximum(noise, trial.bounds(moved(by, trial.case.dtype), dy)["y"])
    predicted = sum(_dot(g, steps[name]) for name, g in gradients.items())
    tolerance = 3 * _dot(np.abs(dy), noise) / STEP
    tolerance += sum(_dot(np.abs(steps[name]), bounds[name]) for name in gradients)
    # The oracle's y and the dot products are rounded in float64 themselves.
    size = _dot(np.abs(dy), np.abs(trial.expected(inputs)["y"])) / SMALL_STEP
    size += sum(_dot(np.abs(steps[name]), np.abs(g)) for name, g in gradients.items())
    tolerance += 8 * (dy.size + 4) * np.finfo(np.float64).eps * size
    tolerance = tolerance if np.isfinite(tolerance) else np.inf  # 0 times a bound of inf is NaN
    message = f"the pullback says that y changes by {predicted:.6g} along a direction, but it changes by {slope:.6g}"
    trial.tally.judge("slope", np.array(predicted), np.array(slope), tolerance, message=message)


def _slope(function: Callable[[float], float], step: float) -> float:
    """Central differences with this step and half of it, extrapolated."""
    coarse = (function(step) - function(-step)) / (2 * step)
    fine = (function(step / 2) - function(-step / 2)) / step
    return (4 * fine - coarse) / 3


def nan(trial: Trial) -> None:
    """A NaN in x shows in every output that depends on it, and in no other."""
    inputs = trial.case.inputs()
    right, y = trial.expected(inputs)["y"], trial.call(inputs).y
    expected, got = np.isnan(right), np.isnan(y)
    # The transforms of a normwise algorithm mix the elements of a tile, and spread a NaN over it.
    wrong = (expected & ~got) if trial.normwise else expected != got
    if wrong.any():
        lost = int((expected & ~got).sum())
        what = "a NaN does not show in outputs that depend on it" if lost else "outputs that depend on no NaN are NaN"
        raise Violated(what, "y", y, right, None, wrong)
    trial.tally.told("y", bool(expected.any()))


def ties(trial: Trial) -> None:
    """At ties and kinks the gradient is the documented one: a pooling window's first maximum, relu's slope at 0."""
    gradient_exact(trial)


def empty_batch(trial: Trial) -> None:
    """No images give an empty y of the right shape, and gradients of zero for what all images share."""
    case = trial.case
    result = trial.call()
    gradients = result.pullback(case.dy())
    for name, value in gradients.items():
        if value.any():
            raise Violated(f"with no images {name} is not zero", name, value, np.zeros(value.shape), None, value != 0)
        trial.tally.told(name)
    if result.y.shape == () and result.y != 0:
        raise Violated(f"with no images the loss is {result.y}, not 0")
    trial.tally.told("y")


def _dot(a: Array | Float64 | None, b: Array | Float64 | None) -> float:
    assert a is not None
    assert b is not None
    return float(np.vdot(a.astype(np.float64), b.astype(np.float64)))
