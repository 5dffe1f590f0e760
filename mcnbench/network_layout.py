"""Where the boxes of a network's drawing go: levels from the images down, few crossings, long networks in strips.

Layered drawing after Sugiyama, Tagawa and Toda (IEEE Trans. SMC 11(2), 1981): a box for each run of layers, a level
below all that it reads, edges over several levels held apart by places of their own, each level ordered by the
barycentre of its neighbours. Positions are in columns and levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mcnbench.network import IMAGES, Layer, Network

FOLLOWERS = ("relu", "sigmoid", "tanh", "batch_norm", "local_response_norm", "spatial_norm", "dropout", "softmax")
"""Blocks that are drawn in the box of the layer before them, whose map they keep."""

GAP = 0.3  # columns that an edge takes where it passes a level
SWEEPS = 4


@dataclass(frozen=True)
class Box:
    """Layers in a row, and where they are drawn."""

    layers: tuple[str, ...]
    x: float
    level: int
    strip: int
    again: bool = False
    """Whether it is drawn a second time, on top of the strip that continues below it."""


@dataclass(frozen=True)
class Edge:
    """From a box to one that reads it, through the places that are kept for it."""

    places: tuple[tuple[float, int], ...]
    strip: int


@dataclass(frozen=True)
class Drawing:
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    widths: tuple[float, ...]
    """Of each strip, in columns."""
    height: int
    """Levels of the longest strip."""


Node = tuple[str, ...]
"""The layers of a box; or, for the place of an edge, ("", where it comes from, where it goes, its level)."""


def draw(network: Network, levels_in_strip: int = 28) -> Drawing:
    """The drawing; a network of more levels continues in a next strip, below a level that has a single box."""
    runs = _runs(network)
    reads = {run: tuple(dict.fromkeys(runs[source] for source in _sources(network, run))) for run in runs.values()}
    level: dict[Node, int] = {}
    for run in dict.fromkeys(runs.values()):
        level[run] = 1 + max((level[source] for source in reads[run]), default=-1)
    levels, paths = _levels(reads, level)
    x = _columns(levels, paths)
    return _in_strips(levels, paths, x, levels_in_strip)


def _runs(network: Network) -> dict[str, Node]:
    """For each layer (and the images) the layers of its box, in the order of the network."""
    boxes: dict[str, list[str]] = {IMAGES: [IMAGES]}
    for layer in network.layers:
        before = layer.maps[0]
        follows = layer.block in FOLLOWERS and before != IMAGES and network.consumers[before] == (layer.name,)
        boxes[layer.name] = boxes[before] if follows and boxes[before][-1] == before else []
        boxes[layer.name].append(layer.name)
    return {name: tuple(box) for name, box in boxes.items()}


def _sources(network: Network, run: Node) -> tuple[str, ...]:
    first = next((layer for layer in network.layers if layer.name == run[0]), None)
    return () if first is None else first.maps


def _levels(reads: dict[Node, tuple[Node, ...]], level: dict[Node, int]) -> tuple[list[list[Node]], list[list[Node]]]:
    """The nodes of each level, with the places of edges that pass it; and the nodes along each edge."""
    levels: list[list[Node]] = [[] for _ in range(1 + max(level.values()))]
    for node, at in level.items():
        levels[at].append(node)
    paths = []
    for node, sources in reads.items():
        for source in sources:
            places: list[Node] = [("", source[0], node[0], str(at)) for at in range(level[source] + 1, level[node])]
            for at, place in enumerate(places, level[source] + 1):
                levels[at].append(place)
            paths.append([source, *places, node])
    return levels, paths


def _columns(levels: list[list[Node]], paths: Sequence[Sequence[Node]]) -> dict[Node, float]:
    """Orders each level by its neighbours, down and up again; gives the middle of each node's column."""
    above: dict[Node, list[Node]] = {}
    below: dict[Node, list[Node]] = {}
    for path in paths:
        for upper, lower in pairwise(path):
            above.setdefault(lower, []).append(upper)
            below.setdefault(upper, []).append(lower)
    x: dict[Node, float] = {}
    for level in levels:
        x.update(_placed(level))
    for sweep in range(2 * SWEEPS):
        down = sweep % 2 == 0
        neighbours = above if down else below
        for level in levels if down else levels[::-1]:
            old = dict(x)
            level.sort(key=lambda node: _mean([old[n] for n in neighbours.get(node, [])], old[node]))
            x.update(_placed(level))
    return x


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _placed(level: Sequence[Node]) -> dict[Node, float]:
    """The nodes of a level side by side, about 0."""
    widths = [1.0 if node[0] else GAP for node in level]
    left = -sum(widths) / 2
    placed = {}
    for node, width in zip(level, widths, strict=True):
        placed[node] = left + width / 2
        left += width
    return placed


def _in_strips(
    levels: Sequence[Sequence[Node]], paths: Sequence[Sequence[Node]], x: dict[Node, float], length: int
) -> Drawing:
    starts = [0]
    for at, level in enumerate(levels):
        if len(level) == 1 and at - starts[-1] >= length - 1 and at < len(levels) - 1:
            starts.append(at)
    strip_of, row_of = {}, {}
    for at, level in enumerate(levels):
        strip = max(i for i, start in enumerate(starts) if start < at or start == 0)
        for node in level:
            strip_of[node], row_of[node] = strip, at - starts[strip]
    boxes = [Box(node, x[node], row_of[node], strip_of[node]) for level in levels for node in level if node[0]]
    boxes += [Box(levels[start][0], 0.0, 0, strip, again=True) for strip, start in enumerate(starts) if strip]
    edges = []
    for path in paths:
        strip = strip_of[path[-1]]
        first = (x[path[0]], row_of[path[0]] if strip_of[path[0]] == strip else 0)
        edges.append(Edge((first, *((x[node], row_of[node]) for node in path[1:])), strip))
    widths = [0.0] * len(starts)
    for level in levels:
        strip = strip_of[level[0]]
        widths[strip] = max(widths[strip], 2 * max(abs(x[node]) for node in level) + 1)
    return Drawing(tuple(boxes), tuple(edges), tuple(widths), 1 + max(row_of.values()))


def layers_of(network: Network, box: Box) -> list[Layer]:
    """The layers of a box; none for the images."""
    return [layer for layer in network.layers if layer.name in box.layers]
