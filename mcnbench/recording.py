"""What a training step computed, kept in a folder for another process to judge (verification.py).

The worker that is measured writes; it holds no copies, so that its peak memory is that of the step. Arrays are .npy
files in their own memory order, large parameters' updates are sampled, and manifest.json says what is what.

In a step recorded `sparse`, the weights of ungrouped convolutions and their gradients are written only where they are
judged (see `Part`); the rest of their files are holes, which read as zeros.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.lib.format import open_memmap

from mcnbench import executor
from mcnbench.arrays import Array
from mcnbench.network import IMAGES, Layer, Network
from mcnbench.training import Trainer

BATCH = 2  # images of a recorded step: the fewest that show whether images are kept apart
SAMPLE = 1 << 16  # elements of a parameter whose update is judged


class Part:
    """Which part of each convolution is judged: a run of filters and of channels that begins anywhere, by the images of
    the step. Of a grouped one it is all."""

    def __init__(self, share: float, images: Array) -> None:
        self._share, self._seed = share, crc32(np.ascontiguousarray(images).tobytes())

    def of(self, layer: Layer, filters: int, channels: int) -> tuple[slice, slice]:
        """That share of the filters and of the channels, at least one of each."""
        if layer.options.groups > 1:
            return slice(0, filters), slice(0, channels)
        rng = np.random.default_rng([self._seed, crc32(layer.name.encode())])
        first, second = (self._run(count, rng) for count in (filters, channels))
        return first, second

    def _run(self, count: int, rng: np.random.Generator) -> slice:
        size = min(count, max(1, round(count * self._share)))
        low = int(rng.integers(count - size, endpoint=True))
        return slice(low, low + size)


def record(
    trainer: Trainer, folder: Path, *, seed: int, batch: int = BATCH, share: float = 1.0, sparse: bool = False
) -> None:
    """Takes one step of the trainer on a fresh batch and writes what it computed to `folder`, which must exist.

    Where `sparse`, it writes only that share of the convolutions' weights and their gradients that is to be judged."""
    network = trainer.network
    runs = [tuple(layer for layer in network.layers if layer.name in names) for names in trainer.runs]
    repeated = {gradient for gradient, of in gradients_of_parameters(network, runs).items() if of in network.parameters}
    convolutions = _weights(network) if sparse else {}
    files: dict[str, dict[str, Any]] = {}
    parts: list[Part] = []

    def see(name: str, array: Array) -> None:
        if name in repeated:
            return
        if name == IMAGES:
            parts.append(Part(share, array))
        parameter, _, kind = name.rpartition("/")
        file = f"{len(files)}.npy"
        if parameter in convolutions and kind in ("w", "dw"):
            files[name] = {"file": file, "order": tuple(range(array.ndim))}
            filters, channels = parts[0].of(convolutions[parameter], *array.shape[:2])
            _save_part(folder / file, array, filters, channels if kind == "w" else None)
            see(f"{name}/sampled", sampled(array))
            return
        if kind in ("v", "w_new", "v_new"):
            array = sampled(array)
        order = tuple(int(axis) for axis in np.argsort([-stride for stride in array.strides], kind="stable"))
        files[name] = {"file": file, "order": order}
        np.save(folder / file, array.transpose(order))

    initial = None
    if sparse and not trainer.steps_taken:
        initial = {"seed": trainer.seed, "dtype": trainer.dtype, "folder": trainer.shared}
    trainer.observed(batch, seed, see)
    manifest = {
        "runs": trainer.runs,
        "arrays": files,
        "batch": batch,
        "precision": trainer.backend.precision(trainer.dtype),
        "normwise_factor": trainer.backend.normwise_factor,
        "sparse": share if sparse else None,
        "initial": initial,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _weights(network: Network) -> dict[str, Layer]:
    """The filters of ungrouped convolutions that one layer alone uses, and that layer."""
    return {
        layer.parameters[0]: layer
        for layer in network.layers
        if layer.block == "conv2d" and layer.options.groups == 1 and len(network.consumers[layer.parameters[0]]) == 1
    }


def _save_part(path: Path, array: Array, filters: slice, channels: slice | None) -> None:
    """Those filters, and those channels of all filters if any are wanted. The channels of a filter lie together."""
    stored: Array = open_memmap(path, "w+", array.dtype, array.shape)
    stored[filters] = array[filters]
    if channels is not None:
        stored[:, channels] = array[:, channels]


class Recorded:
    """A recorded step: `r["conv1"]` is layer conv1's output; see `training.Steps.observed` for the names."""

    def __init__(self, network: Network, folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_text())
        self._folder, self._network = folder, network
        self._files: dict[str, Mapping[str, Any]] = manifest["arrays"]
        layers = {layer.name: layer for layer in network.layers}
        self.runs: list[tuple[Layer, ...]] = [tuple(layers[name] for name in names) for names in manifest["runs"]]
        self.batch: int = manifest["batch"]
        self.precision: str = manifest["precision"]
        self.normwise_factor: float | None = manifest["normwise_factor"]
        """Of the convolutions' bounds; None where they are componentwise."""
        self.sparse: float | None = manifest["sparse"]
        """The share of the convolutions of which weights and gradients are there; None if they all are."""
        self.initial: Mapping[str, Any] | None = manifest["initial"]
        """What `initial_parameters` was given for a sparse step's parameters, if they are the initial ones."""
        self._same = gradients_of_parameters(network, self.runs)

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def __getitem__(self, name: str) -> Array:
        """The array, mapped from its file; writing to it changes neither the file nor what others see."""
        entry = self._files[name]
        stored: Array = np.load(self._folder / entry["file"], mmap_mode="c")
        return stored.transpose(np.argsort(entry["order"]))

    def sampled(self, name: str) -> Array:
        """The elements by which the update of a parameter is judged, of its "conv1.w/w" or "conv1.w/dw"."""
        return self[f"{name}/sampled"] if f"{name}/sampled" in self else sampled(self[name])

    def rows(self, part: Part) -> dict[str, slice]:
        """Of the weights whose gradients are not all there, those of the filters that are."""
        found = {}
        for name, layer in _weights(self._network).items() if self.sparse else ():
            found[name] = part.of(layer, *self._network.parameters[name][:2])[0]
        return found

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
