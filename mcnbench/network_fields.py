"""What each layer of a network sees of the images: receptive fields by algebra, and the exact sets of pixels.

The fields of a layer are those of its input followed by its own (manual 5.5); a layer that reads several maps has the
overlay of theirs (manual 5.6), if their strides agree. Batch normalisation counts as at inference: in training every
output depends on all pixels of all images, through the mean and the variance.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import numpy as np

from mcnbench import blocks
from mcnbench.arrays import Shape
from mcnbench.geometry import (
    POINTWISE,
    IncompatibleStrides,
    Pixels,
    ReceptiveField,
    inputs_seen,
    overlay,
    pixels_seen,
)
from mcnbench.geometry.pixels import Mask
from mcnbench.network import IMAGES, Layer, Network, argument_shapes

Fields = tuple[ReceptiveField, ReceptiveField]


def receptive_fields(network: Network) -> dict[str, Fields | str]:
    """The vertical and horizontal receptive field of each layer's outputs among the images' pixels.

    Where a layer has none, the reason: it has no map, sees the whole map, or reads maps of incompatible strides.
    """
    shapes = network.shapes()
    known: dict[str, Fields | str] = {IMAGES: (POINTWISE, POINTWISE)}
    for layer in network.layers:
        own = _own_field(layer, shapes)
        if own is None:
            sees = "has no map" if len(shapes[layer.name]) != 4 else "sees the whole map"
            known[layer.name] = f"{layer.name} {sees}"
        else:
            known[layer.name] = _followed(layer, known, own)
    return known


def _own_field(layer: Layer, shapes: Mapping[str, Shape]) -> Fields | None:
    """The receptive field of the layer's outputs in its own inputs; None where it has none."""
    if layer.block == "batch_norm":
        return POINTWISE, POINTWISE
    return blocks.block(layer.block).receptive_field(argument_shapes(layer, shapes), layer.options)


def _followed(layer: Layer, known: dict[str, Fields | str], own: Fields) -> Fields | str:
    below: list[Fields] = []
    for name in layer.maps:
        fields = known[name]
        if isinstance(fields, str):
            return fields
        below.append((fields[0].then(own[0]), fields[1].then(own[1])))
    try:
        return overlay(*(vertical for vertical, _ in below)), overlay(*(horizontal for _, horizontal in below))
    except IncompatibleStrides as reason:
        return f"{layer.name} joins {' and '.join(dict.fromkeys(layer.maps))}: {reason}"


def pixels(network: Network, name: str) -> Pixels:
    """Exactly which pixels of the images each output of the layer (or "images") depends on."""
    shapes = network.shapes()
    height, width = network.input[1:]
    layers = {layer.name: layer for layer in network.layers}
    known = {IMAGES: Pixels.of(pixels_seen(POINTWISE, height, height), pixels_seen(POINTWISE, width, width))}
    for layer in _ancestors(layers, name):
        below = [known[source] for source in dict.fromkeys(layer.maps)]
        own = _own_field(layer, shapes)
        inputs, outputs = shapes[layer.maps[0]], shapes[layer.name]
        if own != (POINTWISE, POINTWISE) or inputs[2:] != outputs[2:]:  # a 1 x 1 filter may have padding after the map
            sets = _own_pixels(own, inputs, outputs)
            below = [each.then(sets) for each in below]
        known[layer.name] = reduce(Pixels.union, below)
    return known[name]


def _own_pixels(own: Fields | None, inputs: Shape, outputs: Shape) -> Pixels:
    if own is None:
        height, width = outputs[2:] if len(outputs) == 4 else (1, 1)
        return Pixels.everything((height, width), (inputs[2], inputs[3]))
    return Pixels.of(pixels_seen(own[0], inputs[2], outputs[2]), pixels_seen(own[1], inputs[3], outputs[3]))


def unseen_pixels(network: Network, name: str) -> int:
    """How many pixels of the images no output of the layer depends on; for images of any size.

    What the outputs see is followed back layer by layer, as products of rows and columns.
    """
    shapes = network.shapes()
    layers = {layer.name: layer for layer in network.layers}
    wanted: dict[str, list[tuple[Mask, Mask]]] = {source: [] for source in (*layers, IMAGES)}
    wanted[name] = [(np.ones(shapes[name][2], bool), np.ones(shapes[name][3], bool))]
    for layer in reversed(_ancestors(layers, name)):
        own = _own_field(layer, shapes)
        height, width = shapes[layer.maps[0]][2:]
        for v, h in wanted[layer.name]:
            if own is None:
                seen = np.full(height, v.any() and h.any()), np.ones(width, bool)
            else:
                seen = inputs_seen(own[0], height, v), inputs_seen(own[1], width, h)
            for source in layer.maps:
                if not any(_covers(other, seen) for other in wanted[source]):
                    wanted[source].append(seen)
    height, width = network.input[1:]
    if not wanted[IMAGES]:
        return height * width
    vertical, horizontal = (np.stack(masks) for masks in zip(*wanted[IMAGES], strict=True))
    kinds, rows = np.unique(vertical, axis=1, return_counts=True)
    return height * width - sum(
        int(count) * int(horizontal[kind].any(axis=0).sum()) for kind, count in zip(kinds.T, rows, strict=True)
    )


def _covers(outer: tuple[Mask, Mask], inner: tuple[Mask, Mask]) -> bool:
    return all(not (i & ~o).any() for o, i in zip(outer, inner, strict=True))


def _ancestors(layers: dict[str, Layer], name: str) -> list[Layer]:
    """The layer and all that it depends on, in an order in which they can run."""
    needed, waiting = set[str](), [name]
    while waiting:
        current = waiting.pop()
        if current != IMAGES and current not in needed:
            needed.add(current)
            waiting += layers[current].maps
    return [layer for layer in layers.values() if layer.name in needed]
