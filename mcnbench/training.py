"""Training steps: forward and backward over a network with any backend's blocks, then stochastic gradient descent.

Forward runs the layers in order; backward is one reverse sweep that accumulates each layer's gradients into its inputs
(MatConvNet manual, section 2.3.1), shared parameters included, the images left out. The loss is the mean over the batch.
    v = momentum v + (dw + weight_decay w),   w = w - lr v;   weight decay for weights, not for biases.

What a backend may offer beside its blocks, used where it is there:
- `fused`: {("conv2d", "relu"): function}: runs these blocks in a row as one. It takes the positional inputs of all of them but
  the outputs in between, and their options; the pullback returns the gradients of these inputs.
- a pullback that takes `needs`, a tuple with a bool for each input: which gradients are wanted (else: all are made).
- `prepare(w)`: the parameter as the blocks like it best (the same logical shape).
- `sgd(w, v, dw, *, lr, momentum, weight_decay)`: updates w and v in place.
- `set_threads(n)`.
- `training_step(network, parameters, inputs, variant)`: the backend's own way, see `OwnStep`; `variants`: the names of
  the ways it has, of which the fastest is found by trying.
"""

from __future__ import annotations

import inspect
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol
from zlib import crc32

import numpy as np

from mcnbench import images as photographs
from mcnbench.arrays import Array, Shape
from mcnbench.backends import Backend
from mcnbench.errors import BadInput
from mcnbench.network import IMAGES, LABELS, Layer, Network

STD = 0.01  # of the initial weights (notes of the papers: Krizhevsky 2012, Simonyan 2015)

Observer = Callable[[str, Any], None]
"""Is told each value as it is made: its name and the array, in the backend's form."""


class OwnStep(Protocol):
    """A framework's own way of taking a training step."""

    def step(self) -> None:
        """One whole step on the inputs that it was made with, finished on return."""

    def observed(self, inputs: Mapping[str, Array], see: Observer) -> None:
        """One whole step on other inputs, by the same functions, that tells `see` what it computes (see Stepper)."""


def seeded(seed: int, name: str) -> np.random.Generator:
    """A stream of random numbers of its own for each value, so that none depends on what else is drawn."""
    return np.random.default_rng([seed, crc32(name.encode())])


def initial_parameters(network: Network, seed: int, dtype: str = "float32") -> dict[str, Array]:
    """Weights Gaussian of standard deviation 0.01, gains 1, biases 0. The same for every dtype, up to rounding."""
    made = {}
    for name, shape in network.parameters.items():
        if name.endswith(".w"):
            w = seeded(seed, name).standard_normal(shape, np.float32)
            w *= np.float32(STD)
            made[name] = w.astype(dtype, copy=False)
        else:
            made[name] = np.full(shape, float(name.endswith(".gain")), dtype)
    return made


def draw_inputs(
    network: Network, batch: int, seed: int, dtype: str = "float32", images: str | None = None
) -> dict[str, Array]:
    """Images (crops of the photographs in the folder `images`), labels and dropout masks (already scaled) for a batch."""
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
