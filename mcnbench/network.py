"""Networks: directed acyclic graphs of blocks, with their shapes, parameters, arithmetic and memory.

Networks are TOML files, `configs/networks/*.toml`; mcnbench/network_file.py has the format.

Every value has one name: "images", "labels", a layer's name for its output, "conv1.w" for a parameter, "drop6.mask".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

from mcnbench import ROOT, blocks, toml_file
from mcnbench.arrays import Pair, Shape

FOLDER = ROOT / "configs" / "networks"

IMAGES, LABELS, MASK = "images", "labels", "mask"

BYTES = 4  # of a float32


@dataclass(frozen=True)
class Layer:
    """One block in a network. `arguments` names its positional inputs in order; None is an input left out."""

    name: str
    block: str
    options: Any
    arguments: tuple[str | None, ...]

    @property
    def maps(self) -> tuple[str, ...]:
        """The layers (or "images") whose outputs it reads."""
        return tuple(a for a in self.arguments if a is not None and a != LABELS and "." not in a)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters it uses, such as ("conv1.w", "conv1.b")."""
        return tuple(a for a in self.arguments if a is not None and "." in a and not a.endswith(f".{MASK}"))


@dataclass(frozen=True)
class Network:
    """A directed acyclic graph of blocks that ends in one layer; layers are in an order in which they can run."""

    name: str
    title: str
    source: str
    input: Shape
    batch: int
    lr: float
    momentum: float
    weight_decay: float
    layers: tuple[Layer, ...]
    parameters: Mapping[str, Shape]
    dropout: Mapping[str, float]
    """The probability p that each mask sets an element to zero."""

    def shapes(self, batch: int = 1) -> dict[str, Shape]:
        """The shape of every value: images, labels, parameters, masks and the layers' outputs."""
        shapes = {IMAGES: (batch, *self.input), **self.parameters}
        for layer in self.layers:
            shapes.update(free_shapes(layer, shapes))
            shapes[layer.name] = blocks.block(layer.block).output_shape(argument_shapes(layer, shapes), layer.options)
        return shapes

    @cached_property
    def consumers(self) -> dict[str, tuple[str, ...]]:
        """The layers that read each value, once for each time they read it."""
        found: dict[str, list[str]] = {}
        for layer in self.layers:
            for argument in layer.arguments:
                if argument is not None:
                    found.setdefault(argument, []).append(layer.name)
        return {value: tuple(names) for value, names in found.items()}

    @property
    def parameter_count(self) -> int:
        return sum(prod(shape) for shape in self.parameters.values())

    def multiply_adds(self, layer: Layer) -> int:
        """Multiply-adds of a convolution's output for one image; 0 for blocks without filters."""
        return self.work(layer).forward_flops // 2 if "w" in blocks.block(layer.block).INPUTS else 0

    def work(self, layer: Layer, batch: int = 1) -> blocks.Work:
        """Arithmetic and traffic of one layer."""
        return blocks.block(layer.block).work(argument_shapes(layer, self.shapes(batch)), layer.options)

    def flops(self, batch: int) -> int:
        """The arithmetic of one training step: 2 for each multiply-add of the convolutions' outputs, of the gradients
        of their inputs (but the images) and of the gradients of their filters. All else is not counted."""
        return sum(
            2 * batch * self.multiply_adds(layer) * (2 if layer.maps == (IMAGES,) else 3) for layer in self.layers
        )

    def activation_bytes(self, batch: int) -> int:
        """Memory of the images and of all layers' outputs, in float32."""
        shapes = self.shapes(batch)
        return BYTES * sum(prod(shapes[name]) for name in (IMAGES, *(layer.name for layer in self.layers)))

    def step_bytes(self, batch: int) -> int:
        """An estimate of what a training step holds at its peak, in float32: parameters, gradients and velocities;
        images and outputs, a convolution and its ReLU counted once; the gradients of the two largest outputs."""
        shapes = self.shapes(batch)
        block = {layer.name: layer.block for layer in self.layers}
        in_place = {
            layer.maps[0] for layer in self.layers if layer.block == "relu" and block.get(layer.maps[0]) == "conv2d"
        }
        sizes = {name: prod(shapes[name]) for name in (IMAGES, *block)}
        held = sum(size for name, size in sizes.items() if name not in in_place)
        return BYTES * (3 * self.parameter_count + held + sum(sorted(sizes.values())[-2:]))


def argument_shapes(layer: Layer, shapes: Mapping[str, Shape]) -> list[Shape | None]:
    """The shapes of a layer's positional inputs."""
    return [None if a is None else shapes[a] for a in layer.arguments]


def free_shapes(layer: Layer, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """The shapes of the labels and the mask that a layer needs: one label a pixel, one factor an element of its x."""
    x = shapes[layer.maps[0]]
    mask = f"{layer.name}.{MASK}"
    return {name: (*x[:1], *x[2:]) if name == LABELS else x for name in layer.arguments if name in (LABELS, mask)}


def names() -> tuple[str, ...]:
    """The networks that come with mcnbench."""
    return toml_file.names(FOLDER)


def load(name: str, image_size: Pair | None = None) -> Network:
    """The network of that name, or in the TOML file at that path; raises BadInput for what is wrong.

    `image_size`, (height, width), takes the place of the network's own."""
    from mcnbench.network_file import parse  # which needs the classes above

    path, data = toml_file.load("network", name, FOLDER)
    if image_size is not None and isinstance(data.get("input"), list):
        data["input"][1:] = image_size
    return parse(data, path.stem, where=f"'{path}'" if toml_file.is_path(name) else f"network '{name}'")
