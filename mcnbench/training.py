"""Training steps: forward, backward, stochastic gradient descent, on any network with any backend.

The loss is the mean over the batch, and the update, in place, is
    v = momentum v + (dw + weight_decay w),   w = w - lr v;   weight decay for weights ("w"), not for biases and gains.
Initial parameters, images, labels and dropout masks come from a seed and are the same for every backend.

What a backend may offer beside its blocks; each is used where it is there:
- `fused`: {("conv2d", "relu"): function}, blocks in a row that it runs as one (see executor.py for which). The function
  takes the positional inputs of all of them but the outputs in between, and all their options.
- pullbacks that take `needs`, a tuple with a bool for each input: which gradients are wanted (else all are made).
- `prepare(a)`: a copy of a parameter, of images or of a mask in the memory order its blocks like best, of the same
  logical shape.
- `sgd(w, v, dw, *, lr, momentum, weight_decay)`: updates w and v, or parts of them as flat arrays, in place.
- `training_step(network, parameters, inputs, variant)`: a framework's own way, an object with the methods of `Steps`;
  `variants`: the names of the ways it has. The fastest is found by trying its `gradients()` (see `Varied`) and named.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

import numpy as np
from numpy.lib.format import open_memmap

from mcnbench import executor
from mcnbench import images as photographs
from mcnbench.arrays import Array
from mcnbench.backends import Backend
from mcnbench.errors import BadInput
from mcnbench.executor import See
from mcnbench.network import IMAGES, LABELS, Network

LONG_TRY = 0.2  # seconds: a backend's way whose step takes longer is tried once, others twice
STD = 0.01  # of the initial weights (Krizhevsky et al. 2012, section 5; Simonyan and Zisserman 2015, section 3.1)


class Steps(Protocol):
    """A way of taking training steps, on a network and parameters that it holds."""

    @property
    def runs(self) -> Sequence[tuple[str, ...]]:
        """The layers' names, those that are computed as one block together."""

    def step(self) -> None:
        """One whole step on the inputs it was made with; all is done on return."""

    def observed(self, inputs: Mapping[str, Array], see: See) -> None:
        """One whole step on other inputs, by the same functions, that shows `see` as arrays of NumPy:

        each run's output under its last layer's name; the gradients of its inputs, "relu1/d0", ...; where a value has
        not exactly one reader, its total gradient, "pool3/d"; the initial gradient, "loss/d"; and for each parameter
        "conv1.w/w" and "conv1.w/v" before the update, "conv1.w/dw", "conv1.w/w_new" and "conv1.w/v_new" after it.
        """


class Varied(Steps, Protocol):
    """Steps of which a backend has variants."""

    def gradients(self) -> object:
        """Forward and backward on the inputs it was made with; nothing is updated. All is done on return."""


def seeded(seed: int, name: str) -> np.random.Generator:
    """A stream of random numbers of its own for each value, so that none depends on what else is drawn."""
    return np.random.default_rng([seed, crc32(name.encode())])


def initial_parameters(
    network: Network, seed: int, dtype: str = "float32", folder: str | None = None
) -> dict[str, Array]:
    """Weights Gaussian of standard deviation 0.01, gains 1, biases 0. The same for every dtype, up to rounding.

    Of several processes that name the same `folder`, which exists, the first draws them, and all read them there."""
    if folder is None:
        return {
            name: _drawn(name, np.empty(shape, np.float32), seed, dtype) for name, shape in network.parameters.items()
        }
    with Path(folder, "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
        finished = Path(folder, "finished")
        if not finished.exists():
            for name, shape in network.parameters.items():
                _drawn(name, open_memmap(Path(folder, f"{name}.npy"), "w+", np.float32, shape), seed, "float32")
            finished.touch()
    mapped = {name: np.load(Path(folder, f"{name}.npy"), mmap_mode="c") for name in network.parameters}
    return {name: w.astype(dtype, copy=False) for name, w in mapped.items()}


def _drawn(name: str, w: Array, seed: int, dtype: str) -> Array:
    """Fills w."""
    if name.endswith(".w"):
        seeded(seed, name).standard_normal(out=w, dtype=np.float32)
        w *= np.float32(STD)
    else:
        w[:] = float(name.endswith(".gain"))
    return w.astype(dtype, copy=False)


def draw_inputs(
    network: Network, batch: int, seed: int, dtype: str = "float32", images: str | None = None
) -> dict[str, Array]:
    """Images (crops of the photographs in the folder `images`), labels and dropout masks (scaled) for a batch."""
    shapes = network.shapes(batch)
    drawn = {IMAGES: photographs.crops(batch, network.input, seeded(seed, IMAGES), images).astype(dtype, copy=False)}
    for layer in network.layers:
        if LABELS in layer.arguments:
            classes = shapes[layer.maps[0]][1]
            drawn[LABELS] = seeded(seed, LABELS).integers(classes, size=shapes[LABELS])
    for mask, p in network.dropout.items():
        kept = seeded(seed, mask).random(shapes[mask], np.float32) >= p
        drawn[mask] = kept.astype(dtype) / np.asarray(1 - p, dtype)
    return drawn


def refuse_without_loss(network: Network) -> None:
    """Raises BadInput for a network that does not end in a loss."""
    end = network.layers[-1].name
    if network.shapes()[end] != ():
        raise BadInput(f"network '{network.name}' ends in '{end}', which is not a loss: it cannot be trained")


class BlockSteps:
    """Training steps over a backend's blocks."""

    def __init__(self, network: Network, backend: Backend, parameters: dict[str, Array], inputs: dict[str, Array]):
        self.network, self.backend = network, backend
        self.units = executor.units(network, backend)
        self.dtype = inputs[IMAGES].dtype
        self._prepare = getattr(backend, "prepare", _as_is)
        self.parameters: dict[str, Any] = {}
        self.velocities: dict[str, Any] = {}
        for name in list(parameters):
            w = parameters.pop(name)  # so that each is held once
            self.velocities[name] = self._prepare(backend.from_numpy(np.zeros_like(w)))
            self.parameters[name] = self._prepare(backend.from_numpy(w))
        self.inputs = self.given(inputs)

    @property
    def runs(self) -> list[tuple[str, ...]]:
        return [tuple(layer.name for layer in unit.layers) for unit in self.units]

    def step(self) -> None:
        self._step(self.inputs, executor.nothing)

    def observed(self, inputs: Mapping[str, Array], see: See) -> None:
        self._step(self.given(inputs), lambda name, array: see(name, self.backend.to_numpy(array)))

    def given(self, inputs: Mapping[str, Array]) -> dict[str, Any]:
        return {name: self._prepare(self.backend.from_numpy(array)) for name, array in inputs.items()}

    def _step(self, inputs: dict[str, Any], see: See) -> None:
        def update(name: str, dw: Any) -> None:
            see(f"{name}/w", self.parameters[name])
            see(f"{name}/v", self.velocities[name])
            see(f"{name}/dw", dw)
            self.update(name, dw)
            see(f"{name}/w_new", self.parameters[name])
            see(f"{name}/v_new", self.velocities[name])

        start = self.backend.from_numpy(np.asarray(1 / len(inputs[IMAGES]), self.dtype))
        executor.sweep(self.network, self.units, inputs | self.parameters, start, update, see)
        self.backend.synchronize()

    def update(self, name: str, dw: Any) -> None:
        net, w, v = self.network, self.parameters[name], self.velocities[name]
        if sgd := self.sgd(name):
            sgd(w, v, dw)
        else:  # out of place, as not all arrays can be written to
            v = net.momentum * v + (dw + self._decay(name) * w)
            self.velocities[name], self.parameters[name] = v, w - net.lr * v

    def sgd(self, name: str) -> Callable[[Any, Any, Any], None] | None:
        """The backend's own update of that parameter, or of parts of it: of w and v, by dw; None where it has none."""
        net, sgd = self.network, getattr(self.backend, "sgd", None)
        return sgd and partial(sgd, lr=net.lr, momentum=net.momentum, weight_decay=self._decay(name))

    def _decay(self, name: str) -> float:
        return self.network.weight_decay if name.endswith(".w") else 0.0


class Trainer:
    """Takes training steps of a network on a backend.

    `images` is the number of images of a step, `flops` its arithmetic (see `Network.flops`), `variant` the name of the
    backend's own way that is used (None where it has none), `tried` the seconds a step took in each way on a small
    batch, `shared` the folder that the initial parameters come from, if any (see initial_parameters). Raises BadInput
    for a network without a loss, and for blocks that the backend lacks.
    """

    def __init__(
        self,
        network: Network,
        backend: Backend,
        batch: int,
        *,
        dtype: str = "float32",
        seed: int = 0,
        images: str | None = None,
        variant: str | None = None,
        shared: str | None = None,
    ) -> None:
        refuse_without_loss(network)
        self.network, self.backend, self.dtype, self.seed = network, backend, dtype, seed
        self.images, self.flops = batch, network.flops(batch)
        self.tried: dict[str, float] = {}
        self.shared = shared
        parameters = initial_parameters(network, seed, dtype, shared)
        if shared is not None:  # steps shall run in memory of their own
            parameters = {name: np.array(w) for name, w in parameters.items()}
        variants: Sequence[str] = getattr(backend, "variants", [])
        if variant is None and variants:
            few = draw_inputs(network, max(1, batch // 8), seed, dtype, images)
            own = backend.training_step
            own(network, dict(parameters), few, variants[0]).gradients()  # the first call of all takes fresh memory
            self.tried = {name: _try(own(network, dict(parameters), few, name)) for name in variants}
            variant = min(self.tried, key=self.tried.__getitem__)
        self.variant = variant
        self.steps_taken = 0
        self._folder = images
        self._steps = self._make(parameters, draw_inputs(network, batch, seed, dtype, images), variant)

    def step(self) -> None:
        """One whole step of stochastic gradient descent on the same images; all is done on return."""
        self._steps.step()
        self.steps_taken += 1

    def observed(self, batch: int, seed: int, see: See) -> None:
        """One whole step, with the parameters as they are, on a fresh small batch that `see` is shown (see Steps)."""
        inputs = draw_inputs(self.network, batch, seed, self.dtype, self._folder)
        for name, array in inputs.items():
            see(name, array)
        self._steps.observed(inputs, see)
        self.steps_taken += 1

    @property
    def runs(self) -> Sequence[tuple[str, ...]]:
        """The layers' names, those that the backend computes as one block together."""
        return self._steps.runs

    def _make(self, parameters: dict[str, Array], inputs: dict[str, Array], variant: str | None) -> Steps:
        if own := getattr(self.backend, "training_step", None):
            steps: Steps = own(self.network, parameters, inputs, variant)
            return steps
        return BlockSteps(self.network, self.backend, parameters, inputs)


def _try(steps: Varied) -> float:
    """Seconds of forward and backward. As nothing is updated, the parameters need no copy."""
    times: list[float] = []
    while len(times) < 2 and sum(times) < LONG_TRY:
        start = time.perf_counter()
        steps.gradients()
        times.append(time.perf_counter() - start)
    return min(times)


def _as_is(a: Any) -> Any:
    return a
