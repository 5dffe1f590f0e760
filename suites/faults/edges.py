"""Faults that any block can have: of sizes, layouts and dtypes, and of elements that few tests look at."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcnbench.arrays import Array
from suites.faults.fault import Block, Fault, Pullback, edit_gradient, edit_y
from suites.faults.state import GPU_MODE, called


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
    return called(right, lambda y, inputs, options: y.astype(np.float64))


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
