"""Properties of how a block treats memory: its inputs, its outputs, its earlier results, the layout it is given."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from mcnbench.arrays import Array
from suites.properties.outcome import Unsupported, Violated
from suites.properties.subject import Arrays, Result
from suites.properties.trial import Trial

M_PERTURB = -6  # mallopt (glibc): bytes that are freed become this one, bytes that are handed out its complement


def leaves_inputs(trial: Trial) -> None:
    """Neither the block nor its pullback changes x, w, b, the arrays among the options, or dy."""
    case, backend = trial.case, trial.subject.backend
    inputs = case.inputs()
    arrays = [None if a is None else backend.from_numpy(a) for a in inputs]
    held = [(name, a) for name, a in zip(case.names, arrays, strict=True) if a is not None]
    before = {name: backend.to_numpy(a).copy() for name, a in held}
    result = trial.subject.on(case, arrays, inputs, case.options)
    _unchanged(trial, held, before, "the block")
    y, dy = result.y.copy(), backend.from_numpy(case.dy())
    try:
        result.pullback_on(dy)
    except Unsupported:
        return
    _unchanged(trial, held, before, "the pullback")
    trial.same("dy", backend.to_numpy(dy), case.dy(), "the pullback changes dy in place")
    trial.same("y", backend.to_numpy(result.raw), y, "the pullback changes the y that was returned before")


def _unchanged(trial: Trial, held: list[tuple[str, Any]], before: dict[str, Array], who: str) -> None:
    for name, a in held:
        now = trial.subject.backend.to_numpy(a)
        trial.same(name, now, before[name], f"{who} changes its input {name} in place")


def writes_all(trial: Trial) -> None:
    """Every element of y and of the gradients is written: the memory they may be given holds NaN in one call and
    numbers of 1e30 in another, and neither shows."""
    case = trial.case
    inputs, dy = case.inputs(), case.dy()
    bounds = trial.bounds(inputs, dy)
    plain = _poisoned(trial, np.nan, 0x01, dy)
    other = _poisoned(trial, 1e30 if case.dtype != "float16" else 6e4, 0x7F, dy)
    expected = trial.expected(inputs, dy)
    for name, value in plain.items():
        first, second = value.astype(np.float64), other[name].astype(np.float64)
        judged = np.isfinite(bounds[name]) & np.isfinite(expected[name])
        with np.errstate(all="ignore"):
            fine = ~judged | (np.abs(first - second) <= 2 * bounds[name])
            fine |= np.isnan(first) & np.isnan(second)  # wrong, but not for what the memory held
        if not fine.all():
            message = f"{name} holds what was in its memory before the call: those elements are never written"
            raise Violated(message, name, np.where(fine, value, first), expected[name], bounds[name], ~fine)
        trial.tally.told(name, bool(judged.any()))


def _poisoned(trial: Trial, value: float, byte: int, dy: Array) -> dict[str, Array]:
    """y and the gradients from calls whose fresh memory holds `value`, or `byte` and its complement."""
    case, backend = trial.case, trial.subject.backend
    inputs = case.inputs()
    arrays = [None if a is None else backend.from_numpy(a) for a in inputs]
    shapes = {case.output_shape, *(a.shape for a in inputs if a is not None)}
    with _perturbed_malloc(byte):
        _fill_free_memory(trial, shapes, value)
        result = trial.subject.on(case, arrays, inputs, case.options)
        found = {"y": result.y.copy()}
        _fill_free_memory(trial, shapes, value)
        found |= {name: g.copy() for name, g in result.gradients(dy).items()}
    return found


def _fill_free_memory(trial: Trial, shapes: set[tuple[int, ...]], value: float) -> None:
    """Takes memory of each of these sizes from the backend's own allocator, fills it, and gives it back."""
    taken = [
        trial.subject.backend.from_numpy(np.full(shape, value, trial.case.dtype)) for shape in shapes for _ in range(4)
    ]
    del taken


@contextmanager
def _perturbed_malloc(byte: int) -> Iterator[None]:
    mallopt = getattr(_LIBC, "mallopt", None)
    if mallopt is not None:
        mallopt(M_PERTURB, byte)
    try:
        yield
    finally:
        if mallopt is not None:
            mallopt(M_PERTURB, 0)


_LIBC = ctypes.CDLL(None)


def strided_inputs(trial: Trial) -> None:
    """Inputs and dy that are every second element of larger arrays, transposed, reversed, one element off the alignment
    of their memory or repeated by stride 0 give the same result as contiguous copies; what lies between the elements is
    NaN. Elements that are wrong anyway are another property's matter."""
    inputs, dy = trial.case.inputs(), trial.case.dy()
    _same_in(LAYOUTS, trial, inputs, dy)
    # Along a row; dy is one value all over, as the gradient of a sum is.
    alike = [a if a is None or not a.size else _alike(a, a.ndim - 1) for a in inputs]
    _same_in((REPEATED,), trial, alike, _alike(dy, 0) if dy.size else dy)


def _alike(a: Array, axis: int) -> Array:
    """The elements along `axis` and all axes after it replaced by the first of them."""
    first = tuple(slice(None) if i < axis else slice(0, 1) for i in range(a.ndim))
    return np.broadcast_to(a[first], a.shape).copy()


def _same_in(layouts: Sequence[str], trial: Trial, inputs: Arrays, dy: Array) -> None:
    """What the block gives for the inputs and dy in each layout is what it gives for contiguous ones."""
    case, backend = trial.case, trial.subject.backend
    bounds = trial.bounds(inputs, dy)
    plain = trial.call(inputs)
    expected = {"y": plain.y.copy()} | {name: g.copy() for name, g in plain.gradients(dy).items()}
    right = trial.expected(inputs, dy)
    with np.errstate(all="ignore"):
        limits = {
            name: np.where(np.abs(y - right[name]) <= bounds[name], 2 * bounds[name], np.inf)
            for name, y in expected.items()
        }
    for layout in layouts:
        arrays = [a if a is None else arranged(backend, a, layout) for a in inputs]
        if all(a is None for a in arrays):
            continue
        given = [
            b if b is not None else None if a is None else backend.from_numpy(a)
            for a, b in zip(inputs, arrays, strict=True)
        ]
        result = trial.subject.on(case, given, inputs, case.options)
        got = {"y": result.y}
        strided = arranged(backend, dy, layout)
        if len(expected) > 1:
            got |= result.pullback(dy) if strided is None else result.pullback_on(strided)
        for name, value in got.items():
            wide = expected[name].astype(np.float64)
            trial.judge(name, value, wide, limits[name], f"{name} differs when the inputs are {layout}")


LAYOUTS = (
    "every second element of larger arrays",
    "transposed in memory",
    "reversed in memory",
    "channels last",
    "one element off the alignment of their memory",
)
REPEATED = "repeated by stride 0"


def arranged(backend: Any, a: Array, layout: str) -> Any:
    """The values of `a` in the backend's array type and that layout; None where that type or array has no such view."""
    if a.ndim == 0 or not a.size:
        return None
    try:
        if layout == LAYOUTS[0]:
            large = np.full((*a.shape[:-1], 2 * a.shape[-1]), np.nan if a.dtype.kind == "f" else 0, a.dtype)
            large[..., ::2] = a
            return backend.from_numpy(large)[..., ::2]
        if layout == LAYOUTS[1] and a.ndim >= 2:
            return backend.from_numpy(np.ascontiguousarray(a.swapaxes(-1, -2))).swapaxes(-1, -2)
        if layout == LAYOUTS[2]:
            return backend.from_numpy(np.ascontiguousarray(a[..., ::-1]))[..., ::-1]
        if layout == LAYOUTS[3] and a.ndim == 4:
            last = np.ascontiguousarray(a.transpose(0, 2, 3, 1))
            return backend.from_numpy(last).swapaxes(-1, -2).swapaxes(-2, -3)
        if layout == LAYOUTS[4]:
            return backend.from_numpy(np.concatenate([a.ravel()[:1], a.ravel()]))[1:].reshape(a.shape)
        if layout == REPEATED:
            return _repeated(backend, a)
    except (AttributeError, ValueError, TypeError, IndexError):  # torch has no reversed views, other types no views
        return None
    return None


def _repeated(backend: Any, a: Array) -> Any:
    """`a`, whose last axes hold one value each, with stride 0 along those; one element of memory is not NaN there."""
    axes = [i for i in range(a.ndim) if (a == a[(slice(None),) * i + (slice(0, 1),)]).all()]
    first = tuple(slice(0, 1) if i in axes else slice(None) for i in range(a.ndim))
    large = np.full(a.shape, np.nan if a.dtype.kind == "f" else 0, a.dtype)
    large[first] = a[first]
    view = backend.from_numpy(large)[first]
    if isinstance(view, np.ndarray):  # not broadcast_to, whose arrays are read-only: that would be another matter
        strides = tuple(0 if i in axes else step for i, step in enumerate(view.strides))
        return np.lib.stride_tricks.as_strided(view, a.shape, strides)
    if hasattr(view, "expand"):
        return view.expand(a.shape)
    wide = np.broadcast_to(view, a.shape)
    return wide if type(wide) is type(view) else None


def deterministic(trial: Trial) -> None:
    """The same call gives the same bits again, an earlier result stays what it was, and other values in the same
    memory give a new result."""
    case, backend = trial.case, trial.subject.backend
    inputs = case.inputs()
    arrays = [None if a is None else backend.from_numpy(a) for a in inputs]
    result = trial.subject.on(case, arrays, inputs, case.options)
    first = result.y.copy()
    gradients = result.gradients(case.dy())
    copies = {name: g.copy() for name, g in gradients.items()}
    again = trial.subject.on(case, arrays, inputs, case.options)
    trial.same("y", again.y, first, "the same call gives another y")
    trial.same("y", backend.to_numpy(result.raw), first, "a later call changes the y that was returned before")
    for name, value in result.gradients(case.dy()).items():
        trial.same(name, value, copies[name], f"the same pullback on the same dy gives another {name}")
    result.gradients(case.dy(1))
    for name, value in gradients.items():
        trial.same(name, value, copies[name], f"a later call changes the {name} that was returned before")
    _new_values(trial, arrays, inputs, result, {"y": first, **copies})


def _new_values(
    trial: Trial, arrays: list[Any], inputs: tuple[Array | None, ...], earlier: Result, before: dict[str, Array]
) -> None:
    """Other values elsewhere leave the earlier result, whose values were `before`, as it was; other values at the same
    addresses give a new one: a result that was kept under the address would show. What was wrong before is another
    property's matter."""
    case, backend, first = trial.case, trial.subject.backend, before["y"]
    others = [a if a is None or a.dtype.kind != "f" else np.flip(a).copy() for a in inputs]
    fresh = trial.call(others).y.astype(np.float64)
    message = "a later call changes the y that was returned before: results share a buffer"
    trial.same("y", backend.to_numpy(earlier.raw), first, message)
    for array, other in zip(arrays, others, strict=True):
        if other is None or other.dtype.kind != "f" or not other.ndim:
            continue
        try:
            array[...] = backend.from_numpy(other)
        except (TypeError, ValueError, RuntimeError):  # an array type that cannot be written to keeps no address
            return
    dy = case.dy()
    result, expected, bounds = (
        trial.subject.on(case, arrays, others, case.options),
        trial.expected(others, dy),
        trial.bounds(others, dy),
    )
    got = result.y
    judged = np.where(np.isfinite(expected["y"]), bounds["y"], np.inf)
    wrong = np.abs(got.astype(np.float64) - expected["y"]) > judged
    if wrong.any() and got.tobytes() == first.tobytes() and _right(trial, "y", first):
        message = "other values give the very y of an earlier call: a result was kept and returned again"
        raise Violated(message, "y", got, expected["y"], None, wrong)
    bound = 2 * np.where(np.isfinite(fresh), bounds["y"], np.inf)
    trial.judge("y", got, fresh, bound, "other values in the same memory give another y than in fresh memory")
    for name, value in result.gradients(dy).items():
        message = f"after a call with other values its pullback gives a wrong {name}, as of an earlier call"
        try:
            trial.judge(name, value, expected[name], bounds[name], message)
        except Violated:
            if name in before and _right(trial, name, before[name]):
                raise


def _right(trial: Trial, name: str, value: Array) -> bool:
    """Whether that is what the oracle says of the case's own inputs."""
    inputs, dy = trial.case.inputs(), trial.case.dy()
    expected, bound = trial.expected(inputs, dy)[name], trial.bounds(inputs, dy)[name]
    with np.errstate(all="ignore"):
        return bool((~(np.abs(value.astype(np.float64) - expected) > bound)).all())
