"""What a backend's process does with a network: takes steps from parameters that a safetensors file holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from mcnbench import network, training
from mcnbench.arrays import Array
from mcnbench.backends import Backend
from mcnbench.errors import BadInput
from mcnbench.network import IMAGES, LABELS, Network

TRAINED_ON = 1500
"""Images of scikit-learn's digits that are trained on; the other 297 are for the accuracy."""
LR = 0.05


@dataclass
class Stepper:
    """Steps on the batches that each request names."""

    network: Network
    steps: training.Steps
    dtype: str

    def step(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """What one step computed, by the names of `training.Steps.observed`."""
        seen: dict[str, Array] = {}
        cast = {k: a.astype(self.dtype) if a.dtype.kind == "f" else a for k, a in inputs.items()}
        self.steps.observed(cast, lambda name, a: seen.__setitem__(name, np.array(a)))
        return seen


_held: list[Stepper] = []
"""The stepper of this process; `begin` replaces it."""


def save_parameters(net: Network, path: Path, seed: int, scaled: bool) -> None:
    """Initial parameters, the same for all frameworks; scaled ones have a deviation of 1 / sqrt(terms) (LeCun et al.
    1998, Efficient BackProp, section 4.6), from which a network of tanh learns in few steps."""
    from safetensors.numpy import save_file

    parameters = training.initial_parameters(net, seed)
    for name, w in parameters.items():
        if scaled and name.endswith(".w"):
            parameters[name] = (w / np.float32(training.STD * np.sqrt(w[0].size))).astype(np.float32)
    save_file(parameters, path)


def begin(backend: Backend, name: str, path: str, dtype: str, batch: int, lr: float | None) -> bool:
    """Reads the parameters; raises what the backend cannot train by."""
    from safetensors.numpy import load_file

    net = network.load(name)
    if lr is not None:
        net = replace(net, lr=lr)
    parameters = {key: w.astype(dtype) for key, w in load_file(path).items()}
    inputs = training.draw_inputs(net, batch, 0, dtype)
    own = getattr(backend, "training_step", None)
    variants = getattr(backend, "variants", [None])
    steps: training.Steps = (
        own(net, parameters, inputs, variants[0]) if own else training.BlockSteps(net, backend, parameters, inputs)
    )
    _held[:] = [Stepper(net, steps, dtype)]
    return True


def one_step(backend: Backend, batch: int, seed: int) -> dict[str, Array] | str:
    """The loss and each parameter's gradient on a fresh batch, or why the backend cannot train."""
    (held,) = _held
    inputs = training.draw_inputs(held.network, batch, seed)
    try:
        seen = held.step(inputs)
    except BadInput as reason:
        return str(reason)
    gradients = {name: seen[f"{name}/dw"] for name in held.network.parameters}
    return {"loss": seen[held.network.layers[-1].name] / batch, **gradients}


@cache
def digits() -> tuple[Array, Array]:
    """scikit-learn's handwritten digits: images (1797, 1, 32, 32) from -1 to 1, each pixel a square of 4x4; labels."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.kron(found.images / 8 - 1, np.ones((1, 4, 4))).astype(np.float32)
    return images[:, None], found.target.astype(np.int64)[:, None, None]


def batch_of(step: int, size: int, seed: int) -> Array:
    """Which images a step trains on."""
    return np.random.default_rng((seed, step)).choice(TRAINED_ON, size, replace=False)


def train(backend: Backend, step: int, size: int, seed: int) -> Array:
    """One step on that step's digits; all parameters after it, as one vector."""
    (held,) = _held
    images, labels = digits()
    chosen = batch_of(step, size, seed)
    seen = held.step({IMAGES: images[chosen], LABELS: labels[chosen]})
    return np.concatenate([seen[f"{name}/w_new"].ravel() for name in held.network.parameters])


def accuracy(backend: Backend) -> float:
    """The share of the digits that were not trained on which the network tells, by the backend's own forward pass."""
    (held,) = _held
    images, labels = (a[TRAINED_ON:] for a in digits())
    scores = held.step({IMAGES: images, LABELS: labels})[held.network.layers[-1].maps[0]]
    return float((scores.argmax(1) == labels).mean())
