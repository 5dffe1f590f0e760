"""What a training step computed, kept in a folder for another process to judge (verification.py).

The worker that is measured writes; it holds no copies, so that its peak memory is that of the step. Arrays are .npy
files in their own memory order, large parameters' updates are sampled, and manifest.json says what is what.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mcnbench import executor
from mcnbench.arrays import Array
from mcnbench.network import Layer, Network
from mcnbench.training import Trainer

BATCH = 2  # images of a recorded step: the fewest that show whether images are kept apart
SAMPLE = 1 << 16  # elements of a parameter whose update is judged


def record(trainer: Trainer, folder: Path, *, seed: int, batch: int = BATCH) -> None:
    """Takes one step of the trainer on a fresh batch and writes what it computed to `folder`, which must exist."""
    network = trainer.network
    runs = [tuple(layer for layer in network.layers if layer.name in names) for names in trainer.runs]
    repeated = {gradient for gradient, of in gradients_of_parameters(network, runs).items() if of in network.parameters}
    files: dict[str, dict[str, Any]] = {}

    def see(name: str, array: Array) -> None:
        if name in repeated:
            return
        if name.endswith(("/v", "/w_new", "/v_new")):
            array = sampled(array)
        order = tuple(int(axis) for axis in np.argsort([-stride for stride in array.strides], kind="stable"))
        file = f"{len(files)}.npy"
        np.save(folder / file, array.transpose(order))
        files[name] = {"file": file, "order": order}

    trainer.observed(batch, seed, see)
    manifest = {
        "runs": trainer.runs,
        "arrays": files,
        "batch": batch,
        "precision": trainer.backend.precision(trainer.dtype),
        "normwise_factor": trainer.backend.normwise_factor,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


class Recorded:
    """A recorded step: `r["conv1"]` is layer conv1's output; see `training.Steps.observed` for the names."""

    def __init__(self, network: Network, folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_text())
        self._folder = folder
        self._files: dict[str, Mapping[str, Any]] = manifest["arrays"]
        layers = {layer.name: layer for layer in network.layers}
        self.runs: list[tuple[Layer, ...]] = [tuple(layers[name] for name in names) for names in manifest["runs"]]
        self.batch: int = manifest["batch"]
        self.precision: str = manifest["precision"]
        self.normwise_factor: float | None = manifest["normwise_factor"]
        """Of the convolutions' bounds; None where they are componentwise."""
        self._same = gradients_of_parameters(network, self.runs)

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def __getitem__(self, name: str) -> Array:
        """The array, mapped from its file; writing to it changes neither the file nor what others see."""
        entry = self._files[name]
        stored: Array = np.load(self._folder / entry["file"], mmap_mode="c")
        return stored.transpose(np.argsort(entry["order"]))

    def read(self, layer: Layer) -> Array:
        """The layer's first input, a map that the step computed or was given."""
        return self[layer.maps[0]]

    def gradient(self, run: tuple[Layer, ...], i: int) -> Array:
        """The gradient of the run's input number `i`, by this run alone."""
        name = f"{run[-1].name}/d{i}"
        return self[name if name in self else f"{self._same[name]}/dw"]

    def arriving(self, network: Network, run: tuple[Layer, ...]) -> Array:
        """dy, the gradient of the run's output: the sum over those who read it."""
        output = run[-1].name
        if f"{output}/d" in self:
            return self[f"{output}/d"]
        reader = next(other for other in self.runs if output in executor.arguments(other))
        return self.gradient(reader, executor.arguments(reader).index(output))


def gradients_of_parameters(network: Network, runs: list[tuple[Layer, ...]]) -> dict[str, str]:
    """{"conv1/d1": "conv1.w", ...} for the parameters that one layer alone uses: the two gradients are the same."""
    return {
        f"{run[-1].name}/d{i}": name
        for run in runs
        for i, name in enumerate(executor.arguments(run))
        if name is not None and name in network.parameters and len(network.consumers[name]) == 1
    }


def sampled(array: Array) -> Array:
    """The elements by which a parameter's update is judged: all, or both ends and SAMPLE others of a large one."""
    if array.size <= 2 * SAMPLE:
        return array.reshape(-1)
    ends = SAMPLE // 8
    inner = np.random.default_rng(array.size).integers(ends, array.size - ends, SAMPLE)
    places = np.concatenate((np.arange(ends), inner, np.arange(array.size - ends, array.size)))
    return np.asarray(array[np.unravel_index(places, array.shape)])
