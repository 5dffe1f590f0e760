"""Which pixels an output depends on, established in three ways that must agree: per output position, as sets.

By algebra (`mcnbench.geometry`, `mcnbench.network_fields.pixels`); by probing a backend: which outputs change when one
pixel changes; by the gradient of the oracle. All values are positive and probes are large, so that nothing cancels and
maxima let the probe through. `geometry` is the property of one block; the functions after it are for networks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mcnbench import blocks
from mcnbench.arrays import Array
from mcnbench.backends import Backend
from mcnbench.case import Case
from mcnbench.executor import options_of
from mcnbench.geometry.pixels import Mask, Pixels, pixels_seen
from mcnbench.network import IMAGES, Network
from suites.properties.outcome import Unsupported, Violated
from suites.properties.trial import Trial

Call = Callable[..., Any]

PROBES = 6
"""Pixels that are changed, and outputs whose gradient is taken, in one case: two corners, and what the seed picks."""


def geometry(trial: Trial) -> None:
    """A pixel changes the outputs that see it and no others; the gradient of an output is zero but where it sees."""
    case = trial.case
    sees = _algebra(case)
    inputs = _positive(case)
    probe = np.random.default_rng((case.seed, 3)).uniform(4, 8, inputs[0].shape[1:2]).astype(case.dtype)
    base = trial.call(inputs).y
    slack = trial.bounds(inputs, np.zeros(base.shape))["y"] if trial.normwise else np.zeros(base.shape)
    for h, w in _some(case.seed, *sees.shape[2:]):
        x = inputs[0].copy()
        x[0, :, h, w] += probe
        y = trial.call([x, *inputs[1:]]).y
        changed = (np.abs(y.astype(np.float64) - base) > 2 * slack)[0].any(axis=0)
        _same(trial, changed, sees[:, :, h, w], f"pixel ({h}, {w}) of x is changed")
    _gradients(trial, inputs, sees)


def _gradients(trial: Trial, inputs: list[Any], sees: Mask) -> None:
    """By the oracle, whose maximum has a gradient in one pixel only; and by the backend's own pullback."""
    result = trial.call(inputs)
    _, oracle = blocks.block(trial.case.block).oracle(inputs, trial.case.options)
    for p, q in _some(trial.case.seed, *sees.shape[:2]):
        dy: Array = np.zeros(result.y.shape, trial.case.dtype)
        dy[0, :, p, q] = np.random.default_rng((trial.case.seed, 4)).uniform(0.5, 1, dy.shape[1])
        dx, *_ = oracle(dy.astype(np.float64))
        assert dx is not None
        expected: Mask = (dx[0] != 0).any(axis=0)
        if trial.case.block == "max_pool2d":
            _same(trial, expected & ~sees[p, q], np.zeros_like(expected), f"output ({p}, {q}) has a gradient")
        else:
            _same(trial, expected, sees[p, q], f"output ({p}, {q}) has a gradient, by the oracle")
        own = next(iter(result.gradients(dy).values()), None)
        if own is not None and not trial.normwise:
            _same(trial, (own[0] != 0).any(axis=0), expected, f"output ({p}, {q}) has a gradient, by the pullback")


def _same(trial: Trial, got: Mask, expected: Mask, what: str) -> None:
    if not np.array_equal(got, expected):
        raise Violated(
            f"the receptive field is not that of the block: where {what}",
            "changed" if "changed" in what else "dx",
            got.astype(np.float64),
            expected.astype(np.float64),
            np.zeros(got.shape),
            got != expected,
        )
    trial.tally.told("pixels", bool(expected.any()) and not expected.all())


def _algebra(case: Case) -> Mask:
    """(P, Q, H, W) of the first map; raises Unsupported where a change would not show."""
    options = case.options
    x, y = blocks.required(case.shapes[0]), case.output_shape
    if case.block == "softmax" and x[1] == 1:
        raise Unsupported("the softmax of one channel is constant")
    if case.block == "batch_norm" and options.moments is None and x[0] * x[2] * x[3] == 1:
        raise Unsupported("a single pixel less its own mean is constant")
    own = blocks.block(case.block).receptive_field(case.shapes, options)
    if own is None:
        return Pixels.everything((y[2], y[3]), (x[2], x[3])).dense()
    return Pixels.of(pixels_seen(own[0], x[2], y[2]), pixels_seen(own[1], x[3], y[3])).dense()


def _positive(case: Case) -> list[Any]:
    """Inputs of the case's shapes between 0.5 and 1; None for one that is left out."""
    rng = np.random.default_rng((case.seed, 2))
    return [None if shape is None else rng.uniform(0.5, 1, shape).astype(case.dtype) for shape in case.shapes]


def _some(seed: int, rows: int, columns: int) -> list[tuple[int, int]]:
    """The first and the last place, and others."""
    rng = np.random.default_rng((seed, 5))
    places = {(0, 0), (rows - 1, columns - 1)}
    places |= {(int(rng.integers(rows)), int(rng.integers(columns))) for _ in range(PROBES - 2)}
    return sorted(places)


def probed(network: Network, backend: Backend, dtype: str = "float32", seed: int = 0) -> Mask:
    """(P, Q, H, W): whether the output changes when the pixel does, by the backend's blocks."""

    def call(block: str, *inputs: Any, **options: Any) -> tuple[Any, Any]:
        function = backend.block(block)
        if function is None:
            raise NotImplementedError(f"{backend.name} has no {block}")
        y, pullback = function(*inputs, **options)
        return y, pullback

    x = _spikes(network, dtype, seed)
    given = {name: backend.from_numpy(a) for name, a in {IMAGES: x, **_parameters(network, dtype, seed)}.items()}
    y = backend.to_numpy(_forward(network, call, given)[0])
    changed: Mask = (y != 0).any(axis=1).transpose(1, 2, 0)
    return changed.reshape(*y.shape[2:], *network.input[1:])


def by_gradient(network: Network, seed: int = 0) -> Mask:
    """(P, Q, H, W): whether the gradient of the output with respect to the pixel is other than zero, by the oracles."""
    height, width = network.input[1:]
    pixels = height * width
    _, _, p, q = network.shapes()[network.layers[-1].name]
    # One image for each pair of a pixel and an output: every gradient in a single sweep.
    x = np.repeat(_spikes(network, "float64", seed), p * q, axis=0)
    y, pullbacks = _forward(network, _oracle, {IMAGES: x, **_parameters(network, "float64", seed)})
    dy = np.zeros((pixels, p * q, y.shape[1], p * q))
    dy[:, np.arange(p * q), :, np.arange(p * q)] = 1
    dx = _backward(network, pullbacks, dy.reshape(y.shape))
    own = dx.reshape(pixels, p * q, -1, pixels)[np.arange(pixels), :, :, np.arange(pixels)]
    changes: Mask = (own != 0).any(axis=2).T
    return changes.reshape(p, q, height, width)


def _oracle(block: str, *inputs: Any, **options: Any) -> tuple[Any, Any]:
    module = blocks.block(block)
    return module.oracle(inputs, module.Options(**options))


def _forward(network: Network, call: Call, given: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The network's output, and the pullback of every layer."""
    values, pullbacks = dict(given), {}
    for layer in network.layers:
        inputs = [None if a is None else values[a] for a in layer.arguments]
        values[layer.name], pullbacks[layer.name] = call(layer.block, *inputs, **options_of(layer))
    return values[network.layers[-1].name], pullbacks


def _backward(network: Network, pullbacks: Mapping[str, Any], dy: Array) -> Array:
    """The gradient of the images."""
    gradients: dict[str, Any] = {network.layers[-1].name: dy}
    for layer in reversed(network.layers):
        for name, gradient in zip(layer.arguments, pullbacks[layer.name](gradients.pop(layer.name)), strict=True):
            if name in layer.maps:
                gradients[name] = gradients[name] + gradient if name in gradients else gradient
    found: Array = gradients[IMAGES]
    return found


def _spikes(network: Network, dtype: str, seed: int) -> Array:
    """One image for each pixel, zero but for that pixel; its channels differ."""
    channels, height, width = network.input
    x = np.zeros((height * width, channels, height * width), dtype)
    values = np.random.default_rng((seed, 0)).uniform(0.5, 1, (height * width, channels))
    x[np.arange(height * width), :, np.arange(height * width)] = values
    return x.reshape(-1, channels, height, width)


def _parameters(network: Network, dtype: str, seed: int) -> dict[str, Array]:
    """Positive weights that average, so that no tanh saturates; biases zero, so that zero stays zero."""
    rng = np.random.default_rng((seed, 1))
    made: dict[str, Array] = {}
    for name, shape in network.parameters.items():
        w = rng.uniform(0.5, 1, shape) / max(1, int(np.prod(shape[1:])))
        made[name] = (w if name.endswith(".w") else np.zeros(shape)).astype(dtype)
    return made
