"""Implementations that cheat: each is caught, and the verdict names what it does."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from impl import numpy_cpu
from mcnbench.arrays import Array
from mcnbench.backends import Backend
from suites.properties import engine

Block = Callable[..., Any]
right = numpy_cpu.max_pool2d


def keeps_results_by_address(x: Array, **options: Any) -> Any:
    key = (x.ctypes.data, x.shape, x.dtype.str, str(options))
    if key not in by_address:
        by_address[key] = x, right(x, **options)  # x is kept as well, so that nothing else gets its memory
    return by_address[key][1]


by_address: dict[Any, Any] = {}


def returns_the_first_result(x: Array, **options: Any) -> Any:
    return first.setdefault((x.shape, x.dtype.str, str(options)), right(x, **options))


first: dict[Any, Any] = {}


def calls_torch(x: Array, *, window: Any, stride: Any, padding: Any, ceil_mode: bool) -> Any:
    from mcnbench.backends import torch as own

    y, pullback = own.max_pool2d(
        torch.from_numpy(x.copy()), window=window, stride=stride, padding=padding, ceil_mode=ceil_mode
    )
    return y.detach().numpy(), lambda dy: tuple(g.numpy() for g in pullback(torch.from_numpy(dy.copy())))


def writes_into_inputs(x: Array, **options: Any) -> Any:
    found = right(x, **options)
    x[...] = 0
    return found


def reuses_a_buffer(x: Array, **options: Any) -> Any:
    y, pullback = right(x, **options)
    buffer = buffers.setdefault((y.shape, y.dtype.str), np.empty_like(y))
    buffer[...] = y
    return buffer[...], pullback


buffers: dict[Any, Array] = {}


def skips_work_when_called_again(x: Array, **options: Any) -> Any:
    """As if only the first two calls were looked at, and the others were for the clock."""
    key = (x.shape, x.dtype.str, str(options))
    calls[key] = calls.get(key, 0) + 1
    if calls[key] <= 2:
        latest[key] = right(x, **options)
    return latest[key]


calls: dict[Any, int] = {}
latest: dict[Any, Any] = {}


def returns_nan(x: Array, **options: Any) -> Any:
    y, pullback = right(x, **options)
    return np.full_like(y, np.nan), lambda dy: tuple(np.full_like(g, np.nan) for g in pullback(dy))


KEPT = "other values give the very y of an earlier call: a result was kept and returned again"
CHEATS = [
    (keeps_results_by_address, "deterministic", "VIOLATED", KEPT),
    (returns_the_first_result, "deterministic", "VIOLATED", KEPT),
    (skips_work_when_called_again, "deterministic", "VIOLATED", KEPT),
    (calls_torch, "bounded", "MISTRUSTED", "comparing torch with torch proves nothing"),
    (calls_torch, "gradient-bounded", "MISTRUSTED", "comparing torch with torch proves nothing"),
    (writes_into_inputs, "leaves-inputs", "VIOLATED", "the block changes its input x in place"),
    (reuses_a_buffer, "deterministic", "VIOLATED", "results share a buffer"),
    (returns_nan, "bounded", "VIOLATED", "the only element is NaN"),
    (returns_nan, "gradient-bounded", "VIOLATED", "the only element is NaN"),
    (returns_nan, "nan", "VIOLATED", "outputs that depend on no NaN are NaN"),
]


@pytest.mark.parametrize(
    ("cheat", "property", "word", "named"), CHEATS, ids=[f"{c[0].__name__}-{c[1]}" for c in CHEATS]
)
def test_caught_and_named(cheat: Block, property: str, word: str, named: str) -> None:
    for state in (by_address, first, buffers, calls, latest):
        state.clear()
    verdict = engine.run(Backend("mine.py", SimpleNamespace(max_pool2d=cheat)), "max_pool2d", property, examples=20)
    assert verdict.verdict == word, verdict
    assert named in verdict.message, verdict.message


@pytest.mark.parametrize("property", ["deterministic", "leaves-inputs", "bounded", "gradient-bounded", "nan"])
def test_what_does_not_cheat_holds(property: str) -> None:
    verdict = engine.run(Backend("mine.py", SimpleNamespace(max_pool2d=right)), "max_pool2d", property, examples=20)
    assert verdict.verdict == "HOLDS", verdict
