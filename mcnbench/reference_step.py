"""The parameter gradients of a whole training step in float64, from the blocks' oracles, and PyTorch's in float32.

The float64 step goes through the same sweep as any backend's (executor.py), with the oracles as its blocks;
convolutions and ReLU run on torch without autograd, which would hold too much of a whole network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from mcnbench import blocks, executor
from mcnbench.arrays import Array, Float64
from mcnbench.backends import Backend
from mcnbench.backends.torch.training import TorchSteps
from mcnbench.convolution_check import Convolution
from mcnbench.network import IMAGES, Network

Pullback = Callable[..., tuple[Any, ...]]


def float64_gradients(
    network: Network, values: Mapping[str, Array], use_gradient: Callable[[str, Float64], None]
) -> float:
    """Hands each parameter's gradient to `use_gradient` as it is done; returns the mean loss. `values` are the images,
    labels, masks and parameters, in any floating-point dtype."""
    units = executor.units(network, ORACLES)
    batch = len(values[IMAGES])
    loss = executor.sweep(network, units, values, np.float64(1 / batch), use_gradient)
    return float(loss) / batch


def torch_gradients(network: Network, values: Mapping[str, Array]) -> dict[str, Array]:
    """The parameters' gradients as PyTorch computes them in the values' own dtype."""
    parameters = {name: values[name] for name in network.parameters}
    inputs = {name: array for name, array in values.items() if name not in parameters}
    return TorchSteps(network, parameters, inputs).gradients()


def _conv2d(x: Array, w: Array, b: Array | None, **options: Any) -> tuple[Float64, Pullback]:
    conv = Convolution(SimpleNamespace(**options), options["groups"])
    x64 = torch.from_numpy(np.asarray(x, np.float64))

    def pullback(dy: Array, needs: tuple[bool, bool, bool]) -> tuple[Array | None, ...]:
        gradient = torch.from_numpy(dy)
        dx, dw = conv.backward(gradient, x64, _double(w), needs[:2])
        db = gradient.sum((0, 2, 3)).numpy() if needs[2] else None
        return dx.numpy() if needs[0] else None, dw.numpy() if needs[1] else None, db

    return conv.forward(x64, _double(w), None if b is None else _double(b)).numpy(), pullback


def _relu(x: Float64, *, slope: float) -> tuple[Float64, Pullback]:
    t = torch.from_numpy(x)
    positive = t > 0

    def through(a: torch.Tensor) -> Array:
        return torch.where(positive, a, a * slope).numpy()

    return through(t), lambda dy: (through(torch.from_numpy(dy)),)


def _oracle(name: str) -> Callable[..., tuple[Array, Any]]:
    description = blocks.block(name)
    return lambda *inputs, **options: description.oracle(inputs, description.Options(**options))


def _double(a: Array) -> torch.Tensor:
    """In float64 for as long as it is used: large weights are not kept so."""
    return torch.from_numpy(a).double()


ORACLES = Backend(
    "oracles", SimpleNamespace(**{name: _oracle(name) for name in blocks.names()} | {"conv2d": _conv2d, "relu": _relu})
)
