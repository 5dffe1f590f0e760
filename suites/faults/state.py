"""Faults that any block can have: of memory, of state from call to call, of sizes and layouts."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcnbench.arrays import Array
from suites.faults.fault import Block, Fault, Gradients, Plant, Pullback, edit_gradient, edit_y

LEFT_OVER = "state from call to call"
MEMORY = "memory"
GPU_MODE = "gpu-mode, KernelBench: wrong solutions"


def _called(right: Block, wrong_y: Any) -> Block:
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

        return lambda *inputs, **options: _called(right, change)(*inputs, **options)

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

    return _called(right, reuse)


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

    return _called(right, keep)


def _first_for_ever(right: Block) -> Block:
    """The first result for shapes and options is returned ever after."""
    kept: dict[Any, Array] = {}
    return _called(right, lambda y, inputs, options: kept.setdefault(_key(inputs, options), y.copy()).copy())


def _the_call_before(right: Block) -> Block:
    """Each call returns the result of the one before, where that fits."""
    last: dict[Any, Array] = {}

    def late(y: Array, inputs: Any, options: Any) -> Array:
        before = last.get(_key(inputs, options), y)
        last[_key(inputs, options)] = y.copy()
        return before

    return _called(right, late)


def _second_call(right: Block) -> Block:
    """From the second call with the same shapes and options on, the last row is 0."""
    seen: set[Any] = set()

    def forget(y: Array, inputs: Any, options: Any) -> Array:
        if _key(inputs, options) in seen and y.ndim:
            y[..., -1:, :] = 0
        seen.add(_key(inputs, options))
        return y

    return _called(right, forget)


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

    return _called(right, jitter)


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


def _one_in_10000(y: Array, *inputs: Any, **options: Any) -> Array:
    """Wrong at every element whose position is a multiple of 10000, counted over all calls."""
    flat = y.reshape(-1)
    start = _elements[0] % 10000
    _elements[0] += flat.size
    flat[(10000 - start) % 10000 :: 10000] *= 1.01
    return flat.reshape(y.shape)


_elements = [0]


def _batch(y: Array, *inputs: Any, **options: Any) -> Array:
    """Images beyond the first repeat the first."""
    return np.broadcast_to(y[:1], y.shape) if len(y) > 1 else y


def _read_as_if_contiguous(right: Block) -> Block:
    """Strides are ignored: as many elements as the shape has are read from the first on."""

    def flat(a: Array | None) -> Array | None:
        if a is None or a.flags.c_contiguous or min(a.strides, default=0) < 0 or a.base is None:
            return a
        return np.lib.stride_tricks.as_strided(a, (a.size,), (a.itemsize,)).reshape(a.shape).copy()

    return lambda *inputs, **options: right(*(flat(a) for a in inputs), **options)


def _refuses_channels_last(right: Block) -> Block:
    """Maps whose channels lie innermost are read as if their rows did."""

    def rows(a: Array | None) -> Array | None:
        if a is None or a.ndim != 4 or a.flags.c_contiguous or a.strides[1] != a.itemsize or a.shape[1] == 1:
            return a
        return np.ascontiguousarray(a.transpose(0, 2, 3, 1)).reshape(a.shape)

    return lambda *inputs, **options: right(*(rows(a) for a in inputs), **options)


def _last_column_unwritten(right: Block) -> Block:
    def unwritten(y: Array, inputs: Any, options: Any) -> Array:
        if y.ndim < 2:
            return y
        out = np.empty_like(y)
        out[..., :-1] = y[..., :-1]
        return out

    return _called(right, unwritten)


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


def _no_images(right: Block) -> Block:
    def wrong(*inputs: Array | None, **options: Any) -> tuple[Array, Pullback]:
        if any(a is not None and not a.size for a in inputs):
            raise IndexError("index 0 is out of bounds for axis 0 with size 0")
        return right(*inputs, **options)

    return wrong


def _anything_goes(right: Block) -> Block:
    """Sizes that do not fit give zeros."""

    def wrong(*inputs: Array | None, **options: Any) -> tuple[Array, Pullback]:
        try:
            return right(*inputs, **options)
        except ValueError:
            assert inputs[0] is not None
            return np.zeros_like(inputs[0]), lambda dy: tuple(None if a is None else np.zeros_like(a) for a in inputs)

    return wrong


def _another_error(right: Block) -> Block:
    """Sizes that do not fit raise AssertionError."""

    def wrong(*inputs: Array | None, **options: Any) -> tuple[Array, Pullback]:
        try:
            return right(*inputs, **options)
        except ValueError as error:
            raise AssertionError(str(error)) from error

    return wrong


def _wider(right: Block) -> Block:
    return _called(right, lambda y, inputs, options: y.astype(np.float64))


def _wider_dx(right: Block) -> Block:
    def wrong(*inputs: Array | None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(*inputs, **options)
        return y, lambda dy: tuple(None if g is None else g.astype(np.float64) for g in pullback(dy))

    return wrong


def _all_in_float32(right: Block) -> Block:
    """float64 is computed in float32."""

    def narrow(a: Any) -> Any:
        return a if a is None or a.dtype != np.float64 else a.astype(np.float32)

    def wrong(*inputs: Array | None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(*inputs, **options)
        return right(*(narrow(a) for a in inputs), **options)[0].astype(y.dtype), pullback

    return wrong


def _right_for_ones(right: Block) -> Block:
    def wrong(*inputs: Array | None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(*inputs, **options)
        return y, lambda dy: pullback(np.full_like(dy, dy.flat[0] if dy.size else 1))

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
    Fault("avg_pool2d/one-in-10000", "One element in 10,000 is off by a hundredth.", "races", edit_y(_one_in_10000)),
    Fault("conv2d/one-in-10000", "One element in 10,000 is off by a hundredth.", "races", edit_y(_one_in_10000)),
    Fault(
        "local_response_norm/first-image-repeated",
        "Images beyond the first repeat it.",
        "wrong only for more than one image",
        edit_y(_batch),
    ),
    Fault(
        "conv2d/strides-ignored",
        "Strided inputs are read as if contiguous.",
        "layouts",
        _read_as_if_contiguous,
        own_arrays=True,
    ),
    Fault(
        "avg_pool2d/channels-last-misread",
        "Channels-last maps are read as if they were not.",
        "layouts",
        _refuses_channels_last,
        own_arrays=True,
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
    Fault("max_pool2d/no-images", "A batch of none raises IndexError.", "boundary slip", _no_images),
    Fault("concat/sizes-not-checked", "Sizes that do not fit give zeros.", "checks left out", _anything_goes),
    Fault(
        "conv_transpose2d/another-error",
        "Sizes that do not fit raise AssertionError.",
        "checks left out",
        _another_error,
    ),
    Fault("dropout/wrong-dtype", "y is float64 for float32.", "type promotion", _wider),
    Fault("local_response_norm/wrong-dtype-backward", "dx is float64 for float32.", "type promotion", _wider_dx),
    Fault("conv_transpose2d/float32-inside", "float64 is computed in float32.", "mixed precision", _all_in_float32),
    Fault(
        "avg_pool2d/right-for-equal-dy",
        "Gradients are right for equal elements of dy only.",
        "tests with dy = ones",
        _right_for_ones,
    ),
    Fault("tanh/nan", "Every output is NaN.", GPU_MODE, edit_y(lambda y, *_, **__: np.full_like(y, np.nan))),
    Fault("conv2d/dx-nan", "dx is NaN.", GPU_MODE, edit_gradient(0, lambda g, *_, **__: np.full_like(g, np.nan))),
    Fault("p_distance/zero", "Every output is 0.", GPU_MODE, edit_y(lambda y, *_, **__: 0 * y)),
)
