"""Metamorphic relations: two calls of the block whose results must agree, with no oracle in between.

A relation is a function of (ask, inputs, options) that returns pairs of `Known`, or None where it says nothing of the
case. `ask(inputs, options)` calls the block; what it returns knows its value and how far it may be off, and can be
sliced, joined and added up, so that a relation reads like the equation it stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mcnbench.arrays import Array, Float64
from suites.properties import strategies
from suites.properties.subject import Arrays
from suites.properties.trial import Trial


@dataclass(frozen=True)
class Known:
    """An array in float64 and the bound on the error of each element."""

    value: Float64
    bound: Float64

    def __getitem__(self, index: Any) -> Known:
        return Known(self.value[index], self.bound[index])

    def __add__(self, other: Known) -> Known:
        return Known(self.value + other.value, self.bound + other.bound)

    def __mul__(self, factor: Float64 | float) -> Known:
        return Known(self.value * factor, self.bound * np.abs(factor))


Ask = Callable[..., Known]
Pairs = Sequence[tuple[Known, Known]] | None
Relation = Callable[[Ask, Arrays, Any], Pairs]


def join(parts: Sequence[Known], axis: int) -> Known:
    return Known(np.concatenate([p.value for p in parts], axis), np.concatenate([p.bound for p in parts], axis))


def total(parts: Sequence[Known]) -> Known:
    first, *rest = parts
    for part in rest:
        first = first + part
    return first


def given(value: Array | Float64 | float) -> Known:
    """A value that is known exactly."""
    value = np.asarray(value, np.float64)
    return Known(value, np.zeros(value.shape))


def metamorphic(trial: Trial) -> None:
    """Every relation of the block holds between results of the block itself."""

    def ask(inputs: Arrays, options: Any = None) -> Known:
        options = trial.case.options if options is None else options
        y = trial.call(inputs, options).y.astype(np.float64)
        bounds = trial.bounds(inputs, np.zeros(y.shape), options)
        return Known(y, bounds["y"])

    inputs = trial.case.inputs()
    for relation in strategies.module(trial.case.block).RELATIONS:
        name = relation.__name__.strip("_").replace("_", " ")
        for left, right in relation(ask, inputs, trial.case.options) or ():
            finite = np.isfinite(left.value) & np.isfinite(right.value)
            bound = np.where(finite, left.bound + right.bound, np.inf)
            message = f"the relation '{name}' does not hold between two results of the block"
            trial.tally.judge("y", left.value, right.value, bound, message=message, key=name)


def batch_in_two_parts(ask: Ask, inputs: Arrays, options: Any) -> Pairs:
    """A batch gives what its first image and the others give; all inputs with at least three axes hold images."""
    return _in_two_parts(ask, inputs, tuple(i for i, a in enumerate(inputs) if a is not None and a.ndim >= 3))


def batch_of_x_in_two_parts(ask: Ask, inputs: Arrays, options: Any) -> Pairs:
    """The same where x alone holds images, and each part is given all of w and b."""
    return _in_two_parts(ask, inputs, (0,))


def _in_two_parts(ask: Ask, inputs: Arrays, maps: tuple[int, ...]) -> Pairs:
    if len(_first(inputs)) < 2:
        return None
    parts = [
        ask([a[part] if a is not None and i in maps else a for i, a in enumerate(inputs)])
        for part in (slice(0, 1), slice(1, None))
    ]
    whole = ask(inputs)
    return [(whole, total(parts) if whole.value.ndim == 0 else join(parts, 0))]


def groups_are_separate(ask: Ask, inputs: Arrays, options: Any) -> Pairs:
    """A convolution or its transpose with groups gives the channels that each group gives by itself."""
    groups = options.groups
    if groups == 1:
        return None
    x, w, b = inputs
    assert x is not None
    assert w is not None
    biases = np.split(b, groups) if b is not None else [None] * groups
    parts = zip(np.split(x, groups, 1), np.split(w, groups), biases, strict=True)
    alone = replace(options, groups=1)
    return [(ask(inputs), join([ask(list(part), alone) for part in parts], 1))]


def bias_is_added(ask: Ask, inputs: Arrays, options: Any) -> Pairs:
    """A convolution or its transpose with a bias is the one without, plus the bias of each channel."""
    x, w, b = inputs
    if b is None:
        return None
    whole = ask(inputs)
    bias: Array = b.astype(np.float64)[None, :, None, None] * np.ones(whole.value.shape)
    return [(whole, ask([x, w, None]) + given(bias))]


def channels_apart(ask: Ask, inputs: Arrays, options: Any) -> Pairs:
    """Channels do not mix: the first and the others give what all give."""
    if _first(inputs).shape[1] < 2:
        return None
    first, others = ([None if a is None else a[:, part] for a in inputs] for part in (slice(0, 1), slice(1, None)))
    return [(ask(inputs), join([ask(first), ask(others)], 1))]


def pixels_in_another_order(ask: Ask, inputs: Arrays, options: Any) -> Pairs:
    """Columns in reverse order in all maps give the columns of y in reverse order, or the same loss."""
    flipped = [a if a is None or a.ndim < 3 else a[..., ::-1].copy() for a in inputs]
    there = ask(flipped)
    return [(ask(inputs), there if there.value.ndim == 0 else there[..., ::-1])]


def channels_in_another_order(ask: Ask, inputs: Arrays, options: Any) -> Pairs:
    """Channels in reverse order in all maps give the channels of y in reverse order."""
    return [(ask(inputs), ask([None if a is None else a[:, ::-1].copy() for a in inputs])[:, ::-1])]


def doubled_input_doubles(ask: Ask, inputs: Arrays, options: Any) -> Pairs:
    """The block is homogeneous of degree 1 in its first input: doubling that, which is exact, doubles y."""
    first, *rest = inputs
    assert first is not None
    return [(ask([2 * first, *rest]), ask(inputs) * 2.0)]


def _first(inputs: Arrays) -> Array:
    x = inputs[0]
    assert x is not None
    return x
