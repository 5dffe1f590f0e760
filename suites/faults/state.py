"""Faults that any block can have: of memory, and of state from call to call."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcnbench.arrays import Array
from suites.faults.fault import Block, Fault, Gradients, Plant, Pullback

LEFT_OVER = "state from call to call"
MEMORY = "memory"
GPU_MODE = "gpu-mode, KernelBench: wrong solutions"


def called(right: Block, wrong_y: Any) -> Block:
    """y becomes `wrong_y(y, inputs, options)`; the gradients stay."""

    def wrong(*inputs: Array | None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(*inputs, **options)
        return wrong_y(y, inputs, options), pullback

    return wrong


def _key(inputs: tuple[Array | None, ...], options: dict[str, Any]) -> Any:
    return tuple(None if a is None else (a.shape, a.dtype.str) for a in inputs), str(sorted(options.items()))


def _writes_into(which: int) -> Plant:
    def plant(right: Block) -> Block:
        def change(y: Array, inputs: tuple[Array | None, ...], options: dict[str, Any]) -> Array:
            a = inputs[which]
            if a is not None and a.flags.writeable and a.dtype.kind == "f":
                a *= 2
            return y

        return lambda *inputs, **options: called(right, change)(*inputs, **options)

    return plant


def _writes_into_dy(right: Block) -> Block:
    def wrong(*inputs: Array | None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(*inputs, **options)

        def gradients(dy: Array) -> Gradients:
            found = pullback(dy)
            dy *= 2
            return found

        return y, gradients

    return wrong


def _pullback_writes_into_y(right: Block) -> Block:
    def wrong(*inputs: Array | None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(*inputs, **options)

        def gradients(dy: Array) -> Gradients:
            found = pullback(dy)
            y[...] = 0
            return found

        return y, gradients

    return wrong


def _one_buffer(right: Block) -> Block:
    """Results of one shape share one buffer."""
    buffers: dict[Any, Array] = {}

    def reuse(y: Array, inputs: Any, options: Any) -> Array:
        buffer = buffers.setdefault((y.shape, y.dtype.str), np.empty_like(y))
        buffer[...] = y
        return buffer

    return called(right, reuse)


def _one_buffer_for_dx(right: Block) -> Block:
    buffers: dict[Any, Array] = {}

    def wrong(*inputs: Array | None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(*inputs, **options)

        def gradients(dy: Array) -> Gradients:
            dx, *rest = pullback(dy)
            assert dx is not None
            buffer = buffers.setdefault((dx.shape, dx.dtype.str), np.empty_like(dx))
            buffer[...] = dx
            return (buffer, *rest)

        return y, gradients

    return wrong


def _kept_by_address(right: Block) -> Block:
    """A result is kept under the address and the shape of the first input."""
    kept: dict[Any, Any] = {}

    def keep(y: Array, inputs: tuple[Array | None, ...], options: dict[str, Any]) -> Array:
        first = inputs[0]
        assert first is not None
        # The array is held as well, so that its address is not given to another.
        return np.asarray(kept.setdefault((first.ctypes.data, *_key(inputs, options)), (first, y.copy()))[1]).copy()

    return called(right, keep)


def _first_for_ever(right: Block) -> Block:
    """The first result for shapes and options is returned ever after."""
    kept: dict[Any, Array] = {}
    return called(right, lambda y, inputs, options: kept.setdefault(_key(inputs, options), y.copy()).copy())


def _the_call_before(right: Block) -> Block:
    """Each call returns the result of the one before, where that fits."""
    last: dict[Any, Array] = {}

    def late(y: Array, inputs: Any, options: Any) -> Array:
        before = last.get(_key(inputs, options), y)
        last[_key(inputs, options)] = y.copy()
        return before

    return called(right, late)


def _second_call(right: Block) -> Block:
    """From the second call with the same shapes and options on, the last row is 0."""
    seen: set[Any] = set()

    def forget(y: Array, inputs: Any, options: Any) -> Array:
        if _key(inputs, options) in seen and y.ndim:
            y[..., -1:, :] = 0
        seen.add(_key(inputs, options))
        return y

    return called(right, forget)


def _pullback_once(right: Block) -> Block:
    """The pullback's second call gives zeros: what it needed was freed by the first."""

    def wrong(*inputs: Array | None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(*inputs, **options)
        calls = [0]

        def gradients(dy: Array) -> Gradients:
            calls[0] += 1
            found = pullback(dy)
            return found if calls[0] == 1 else tuple(None if g is None else 0 * g for g in found)

        return y, gradients

    return wrong


def _first_dy(right: Block) -> Block:
    """The pullback returns the gradients of its first dy ever after."""

    def wrong(*inputs: Array | None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(*inputs, **options)
        kept: list[Gradients] = []

        def gradients(dy: Array) -> Gradients:
            kept.append(pullback(dy))
            return tuple(None if g is None else g.copy() for g in kept[0])

        return y, gradients

    return wrong


def _reads_inputs_late(right: Block) -> Block:
    """The pullback of the last call is used by all: the context is kept in one place."""
    latest: dict[Any, Pullback] = {}

    def wrong(*inputs: Array | None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(*inputs, **options)
        latest[_key(inputs, options)] = latest.get(_key(inputs, options), pullback)
        return y, latest[_key(inputs, options)]

    return wrong


def _one_run_in_ten(right: Block) -> Block:
    """The last bit of one element differs in every tenth call."""
    calls = [0]

    def jitter(y: Array, inputs: Any, options: Any) -> Array:
        calls[0] += 1
        if calls[0] % 10 == 0 and y.size:
            flat = y.reshape(-1).copy()
            flat[-1] = np.nextafter(flat[-1], np.inf, dtype=y.dtype)
            return flat.reshape(y.shape)
        return y

    return called(right, jitter)


def _gradients_in_another_order(right: Block) -> Block:
    """The sum behind a gradient is added in another order from call to call."""
    calls = [0]

    def wrong(*inputs: Array | None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(*inputs, **options)

        def gradients(dy: Array) -> Gradients:
            calls[0] += 1
            factor = 1 + (calls[0] % 2) * np.finfo(dy.dtype).eps
            return tuple(None if g is None else (g * factor).astype(g.dtype) for g in pullback(dy))

        return y, gradients

    return wrong


def _last_column_unwritten(right: Block) -> Block:
    def unwritten(y: Array, inputs: Any, options: Any) -> Array:
        if y.ndim < 2:
            return y
        out = np.empty_like(y)
        out[..., :-1] = y[..., :-1]
        return out

    return called(right, unwritten)


def _nowhere_initialised_dx(right: Block) -> Block:
    """dx is written only where it is other than 0."""

    def wrong(*inputs: Array | None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(*inputs, **options)

        def gradients(dy: Array) -> Gradients:
            dx, *rest = pullback(dy)
            assert dx is not None
            out = np.empty_like(dx)
            np.copyto(out, dx, where=dx != 0)
            return (out, *rest)

        return y, gradients

    return wrong


FAULTS = (
    Fault("relu/writes-into-x", "x is doubled in place.", MEMORY, _writes_into(0), own_arrays=True),
    Fault("conv2d/writes-into-w", "w is doubled in place.", MEMORY, _writes_into(1), own_arrays=True),
    Fault("batch_norm/writes-into-gain", "gain is doubled in place.", MEMORY, _writes_into(1), own_arrays=True),
    Fault("tanh/writes-into-dy", "The pullback doubles dy in place.", MEMORY, _writes_into_dy, own_arrays=True),
    Fault(
        "sigmoid/pullback-writes-into-y",
        "The pullback sets y to 0, which was returned before.",
        MEMORY,
        _pullback_writes_into_y,
        own_arrays=True,
    ),
    Fault("max_pool2d/one-buffer", "Results of one shape share a buffer.", GPU_MODE, _one_buffer, own_arrays=True),
    Fault("conv2d/one-buffer-for-dx", "dx of one shape share a buffer.", MEMORY, _one_buffer_for_dx, own_arrays=True),
    Fault(
        "conv2d/kept-by-address",
        "Results are kept under the address of x.",
        GPU_MODE,
        _kept_by_address,
        own_arrays=True,
    ),
    Fault(
        "softmax/first-for-ever",
        "The first result for sizes and options is returned ever after.",
        GPU_MODE,
        _first_for_ever,
    ),
    Fault("add/the-call-before", "Each call returns the result of the one before.", GPU_MODE, _the_call_before),
    Fault("conv_transpose2d/second-call", "From the second call on the last row is 0.", LEFT_OVER, _second_call),
    Fault("conv2d/pullback-once", "The pullback's second call gives zeros.", LEFT_OVER, _pullback_once),
    Fault("batch_norm/first-dy", "The pullback keeps the gradients of its first dy.", LEFT_OVER, _first_dy),
    Fault(
        "max_pool2d/context-of-the-first-call",
        "All calls share the pullback of the first.",
        LEFT_OVER,
        _reads_inputs_late,
    ),
    Fault("conv2d/one-run-in-ten", "The last bit of an element differs in one run of ten.", "races", _one_run_in_ten),
    Fault(
        "conv2d/gradients-in-another-order",
        "Gradients differ in the last bit from call to call.",
        "atomic additions",
        _gradients_in_another_order,
    ),
    Fault(
        "spatial_norm/last-column-unwritten",
        "The last column of y is not written.",
        MEMORY,
        _last_column_unwritten,
        own_arrays=True,
    ),
    Fault(
        "max_pool2d/dx-not-set-to-zero",
        "dx is written only where it is not 0.",
        MEMORY,
        _nowhere_initialised_dx,
        own_arrays=True,
    ),
)
