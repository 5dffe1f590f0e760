"""Runs a network forward and backward over a backend's blocks.

Forward runs the layers in order; backward is one reverse sweep that accumulates each layer's gradients into its inputs
(MatConvNet manual, section 2.3.1), shared parameters included. The gradient of the images is not computed. Outputs and
pullbacks are released as soon as nothing needs them any more.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from mcnbench.backends import Backend
from mcnbench.errors import BadInput
from mcnbench.network import IMAGES, LABELS, Layer, Network

FOLLOWERS = ("relu", "dropout")
"""What may follow the first block of a run that a backend runs as one: verification.py can see through these."""

See = Callable[[str, Any], None]
"""Is shown what a step computes, as it is computed: a value's name, or "<unit>/d<i>", "<value>/d", and the array."""


@dataclass(frozen=True)
class Unit:
    """One layer, or several in a row that the backend runs as one block."""

    layers: tuple[Layer, ...]
    function: Callable[..., Any]

    @property
    def output(self) -> str:
        return self.layers[-1].name

    @property
    def arguments(self) -> tuple[str | None, ...]:
        return arguments(self.layers)

    @property
    def options(self) -> dict[str, Any]:
        return {key: value for layer in self.layers for key, value in options_of(layer).items()}


def arguments(run: Sequence[Layer]) -> tuple[str | None, ...]:
    """The positional inputs of all blocks of a run in order, without the outputs in between."""
    inside = {layer.name for layer in run[:-1]}
    return tuple(a for layer in run for a in layer.arguments if a not in inside)


def options_of(layer: Layer) -> dict[str, Any]:
    return {field.name: getattr(layer.options, field.name) for field in fields(layer.options)}


def wanted(name: str | None) -> bool:
    """Whether a step needs the gradient of that value: not of images, labels, masks."""
    return name is not None and name not in (IMAGES, LABELS) and not name.endswith(".mask")


def runs(network: Network, fused: Mapping[tuple[str, ...], Any]) -> list[tuple[Layer, ...]]:
    """The layers in runs as long as `fused` has them, in an order in which the runs can be executed.

    A run is a straight one: each layer reads the one before it and nobody else does. Its blocks share no option's name.
    """
    found: list[tuple[Layer, ...]] = []
    taken: set[str] = set()
    for layer in network.layers:
        if layer.name in taken:
            continue
        run = [layer]
        while (following := _only_reader(network, run[-1])) is not None and following.block in FOLLOWERS:
            run.append(following)
        while len(run) > 1 and (tuple(x.block for x in run) not in fused or _clash(run)):
            run.pop()
        found.append(tuple(run))
        taken.update(x.name for x in run)
    return found


def _only_reader(network: Network, layer: Layer) -> Layer | None:
    readers = network.consumers.get(layer.name, ())
    if len(readers) != 1:
        return None
    reader = next(x for x in network.layers if x.name == readers[0])
    return reader if reader.maps == (layer.name,) else None


def _clash(run: list[Layer]) -> bool:
    count = Counter(key for layer in run for key in options_of(layer))
    return max(count.values(), default=1) > 1


def units(network: Network, backend: Backend) -> list[Unit]:
    """The network over the backend's blocks; raises BadInput for a block that it lacks."""
    fused: Mapping[tuple[str, ...], Callable[..., Any]] = getattr(backend, "fused", {})
    made = []
    for run in runs(network, fused):
        function = fused[tuple(layer.block for layer in run)] if len(run) > 1 else backend.block(run[0].block)
        if function is None:
            raise BadInput(
                f"backend '{backend.name}' has no block {run[0].block}, which layer '{run[0].name}' of network "
                f"'{network.name}' needs"
            )
        made.append(Unit(run, function))
    return made


def nothing(name: str, array: Any) -> None:
    """Looks away."""


def sweep(
    network: Network,
    units: list[Unit],
    values: Mapping[str, Any],
    start: Any,
    use_gradient: Callable[[str, Any], None],
    see: See = nothing,
) -> Any:
    """Forward and backward; returns the network's output (the loss).

    `values` are the images, labels, masks and parameters; `start` is the gradient of the output. `use_gradient` gets
    each parameter's gradient as soon as it is complete and no pullback needs that parameter any more.
    """
    held = dict(values)
    unread = Counter(a for unit in units for a in unit.arguments if a is not None and a not in values)
    pullbacks: list[Callable[..., Any]] = []
    for unit in units:
        y, pullback = unit.function(*(None if a is None else held[a] for a in unit.arguments), **unit.options)
        if pullback is None:
            raise BadInput(f"block {unit.layers[0].block} of this backend is forward-only: it cannot train")
        see(unit.output, y)
        held[unit.output] = y
        pullbacks.append(pullback)
        del y, pullback
        for a in unit.arguments:
            if a is not None and a in unread:
                unread[a] -= 1
                if not unread[a]:
                    del held[a]
    loss = held.pop(units[-1].output)
    del held
    unused = Counter(a for unit in units for a in unit.arguments if a in network.parameters)
    gradients = {units[-1].output: start}
    for unit in reversed(units):
        dy = gradients.pop(unit.output)
        if len(network.consumers.get(unit.output, ())) != 1:
            see(f"{unit.output}/d", dy)
        pullback = pullbacks.pop()
        needs = tuple(map(wanted, unit.arguments))
        if not any(needs):
            continue
        found = list(pullback(dy, needs=needs) if _takes_needs(pullback) else pullback(dy))
        del dy, pullback
        for i, (name, need) in enumerate(zip(unit.arguments, needs, strict=True)):
            gradient, found[i] = found[i], None
            if not need or name is None:
                continue
            see(f"{unit.output}/d{i}", gradient)
            gradients[name] = gradients[name] + gradient if name in gradients else gradient
            del gradient
            if name in unused:
                unused[name] -= 1
                if not unused[name]:
                    use_gradient(name, gradients.pop(name))
    return loss


def _takes_needs(pullback: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(pullback).parameters
    except ValueError:  # a builtin without a signature
        return False
    return "needs" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
