"""Which pixels an output depends on, established in three ways that must agree: per output position, as sets.

By algebra (`mcnbench.network_fields.pixels`); by probing a backend: which outputs change when one pixel changes; by the
gradient of the oracle. Probes are images that are zero but for one pixel, and weights are positive, so that whatever
depends on the pixel moves away from zero and nothing cancels; maxima, ReLUs and sums all let it through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mcnbench import blocks
from mcnbench.arrays import Array
from mcnbench.backends import Backend
from mcnbench.executor import options_of
from mcnbench.geometry.pixels import Mask
from mcnbench.network import IMAGES, Network

Call = Callable[..., Any]


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
