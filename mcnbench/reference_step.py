"""The parameter gradients of a whole training step in float64, from the blocks' oracles, and how far PyTorch's are.

The float64 step goes through the same sweep as any backend's (executor.py), with the oracles as its blocks;
convolutions and ReLU run on torch without autograd, which would hold too much of a whole network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from math import sqrt
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from mcnbench import blocks, executor
from mcnbench.arrays import Array, Float64, Shape
from mcnbench.backends import Backend
from mcnbench.backends.torch.training import TorchSteps
from mcnbench.blocks import max_pool2d
from mcnbench.convolution_check import Convolution, slices
from mcnbench.network import IMAGES, Network
from mcnbench.recording import Recorded
from mcnbench.windows import pooling_windows

Pullback = Callable[..., tuple[Any, ...]]


@dataclass(frozen=True)
class Outer:
    """The gradient of a fully connected layer's weights, dy^T x, made where it is looked at: it is large."""

    dy: Float64
    x: Float64
    shape: Shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Float64:
        made: Float64 = self.dy[:, rows].T @ self.x
        return made.reshape(-1, *self.shape[1:])

    def __add__(self, other: Outer | Float64) -> Float64:
        return self[:] + other[:]

    __radd__ = __add__


Gradient = Outer | Float64


@dataclass(frozen=True)
class Reference:
    """The gradients in float64 of each parameter, and PyTorch's relative errors, if they were asked for."""

    gradients: Mapping[str, Gradient]
    torch_errors: Mapping[str, float]


def reference(
    network: Network,
    values: Mapping[str, Array],
    share: float = 1.0,
    *,
    peer: bool = True,
    rows: Mapping[str, slice] = MappingProxyType({}),
) -> Reference:
    """The step on these images, labels, masks and parameters; `share` as for relative_error. `peer`: PyTorch's, too.
    The gradients of the filters in `rows` are computed in those rows only; the others are 0."""
    torchs = _torch_gradients(network, values) if peer else {}
    exact: dict[str, Gradient] = {}
    errors: dict[str, float] = {}

    def keep(name: str, gradient: Gradient) -> None:
        exact[name] = gradient
        if peer:
            errors[name] = relative_error(torchs.pop(name), gradient, share)

    units = [
        executor.Unit(unit.layers, partial(_conv2d, rows=rows[w]))
        if unit.layers[0].block == "conv2d" and (w := unit.layers[0].parameters[0]) in rows
        else unit
        for unit in executor.units(network, ORACLES)
    ]
    executor.sweep(network, units, values, np.float64(1 / len(values[IMAGES])), keep)
    order = list(network.parameters)
    return Reference({name: exact[name] for name in order}, errors)


def with_decisions(
    network: Network, recorded: Recorded, values: Mapping[str, Array], rows: Mapping[str, slice]
) -> dict[str, float]:
    """The relative errors of the recorded gradients (in those rows, where named) to a float64 step that takes the
    recorded step's decisions: what each ReLU let through, which element each maximum is. So no kink lies between the
    two, and small errors stay small."""
    outputs = {layer.name: recorded[run[-1].name] for run in recorded.runs for layer in run}
    errors: dict[str, float] = {}
    units = []
    for unit in executor.units(network, ORACLES):
        (layer,) = unit.layers
        if layer.block == "relu":
            unit = executor.Unit(unit.layers, partial(_relu, positive=torch.from_numpy(outputs[layer.name] > 0)))
        elif layer.block == "max_pool2d":
            unit = executor.Unit(unit.layers, partial(_max_pool2d, like=recorded.read(layer)))
        units.append(unit)
    start = np.float64(1 / len(values[IMAGES]))

    def compare(name: str, gradient: Gradient) -> None:
        errors[name] = relative_error(recorded[f"{name}/dw"], gradient, rows=rows.get(name))

    executor.sweep(network, units, values, start, compare)
    return errors


def relative_error(got: Array, exact: Gradient, share: float = 1.0, rows: slice | None = None) -> float:
    """In the L2 norm; a part at a time, so that large weights are not copied. Of large ones that share of the parts, or
    those rows."""
    difference = size = 0.0
    step = max(1, len(got) * (1 << 20) // max(1, got.size))
    first, end = (0, len(got)) if rows is None else (rows.start, rows.stop)
    for low in range(first, end, step * (round(1 / share) if rows is None else 1)):
        high = min(low + step, end)
        part = torch.from_numpy(exact[low:high])
        difference += float((torch.from_numpy(got[low:high]) - part).square_().sum())
        size += float(part.square().sum())
    return sqrt(difference / size) if size else (0.0 if difference == 0 else float("inf"))


def _torch_gradients(network: Network, values: Mapping[str, Array]) -> dict[str, Array]:
    """As PyTorch computes them in float32."""
    single = {name: a.astype(np.float32, copy=False) if a.dtype.kind == "f" else a for name, a in values.items()}
    parameters = {name: single.pop(name) for name in network.parameters}
    return TorchSteps(network, parameters, single).gradients()


def _conv2d(
    x: Array, w: Array, b: Array | None, *, rows: slice = slice(None), **options: Any
) -> tuple[Float64, Pullback]:
    """Large weights of a fully connected layer a few at a time: none of them is held in float64 as a whole."""
    conv = Convolution(SimpleNamespace(**options))
    x64 = torch.from_numpy(np.asarray(x, np.float64))
    some = list(slices(conv, x.shape, w, slice(0, len(w))))

    def pullback(dy: Array, needs: tuple[bool, bool, bool]) -> tuple[Gradient | None, ...]:
        gradient = torch.from_numpy(dy)
        dense = conv.is_dense(x.shape, w.shape)
        wanted = needs[0], needs[1] and not dense
        found = [conv.backward(gradient[:, part], x64, _double(w[part]), wanted) for part in some if any(wanted)]
        db = gradient.sum((0, 2, 3)).numpy() if needs[2] else None
        outer = (
            Outer(dy.reshape(len(x), -1), x64.numpy().reshape(len(x), -1), w.shape) if dense else found[0][1].numpy()
        )
        dx = reduce(torch.add, (dx for dx, _ in found)).numpy() if needs[0] else None
        return dx, outer if needs[1] else None, db

    y = [conv.forward(x64, _double(w[part]), None if b is None else _double(b[part])) for part in some]
    return torch.cat(y, 1).numpy(), pullback


def _relu(x: Float64, *, slope: float, positive: torch.Tensor | None = None) -> tuple[Float64, Pullback]:
    t = torch.from_numpy(x)
    positive = t > 0 if positive is None else positive

    def through(a: torch.Tensor) -> Array:
        return torch.where(positive, a, a * slope).numpy()

    return through(t), lambda dy: (through(torch.from_numpy(dy)),)


def _max_pool2d(x: Float64, *, like: Array, **options: Any) -> tuple[Float64, Pullback]:
    """The elements of x that are the maxima of `like`."""
    at = pooling_windows(x.shape, max_pool2d.Options(**options))
    t, pattern = (F.pad(torch.from_numpy(a), at.margins(), value=-float("inf")) for a in (x, like))
    places = F.max_pool2d(pattern, at.window, at.stride, return_indices=True)[1].flatten(2)
    left, _, top, _ = at.margins()

    def pullback(dy: Array) -> tuple[Array]:
        dx = torch.zeros_like(t).flatten(2).scatter_add_(2, places, torch.from_numpy(dy).flatten(2)).view_as(t)
        return (dx[:, :, top : top + x.shape[2], left : left + x.shape[3]].numpy(),)

    return t.flatten(2).gather(2, places).view(*x.shape[:2], *at.places).numpy(), pullback


def _oracle(name: str) -> Callable[..., tuple[Array, Any]]:
    description = blocks.block(name)
    return lambda *inputs, **options: description.oracle(inputs, description.Options(**options))


def _double(a: Array) -> torch.Tensor:
    """In float64 for as long as it is used: large weights are not kept so."""
    return torch.from_numpy(a).double()


ORACLES = Backend(
    "oracles", SimpleNamespace(**{name: _oracle(name) for name in blocks.names()} | {"conv2d": _conv2d, "relu": _relu})
)
