"""A network as a figure: the graph with the size and the receptive field of every map, and fields over a photograph."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch, Rectangle
from matplotlib.path import Path as Curve
from PIL import Image

from mcnbench.errors import BadInput, unknown
from mcnbench.geometry.fields import as_text
from mcnbench.images import photograph
from mcnbench.network import IMAGES, Layer, Network
from mcnbench.network_fields import Fields, pixels, receptive_fields
from mcnbench.network_layout import Box, Drawing, draw, layers_of
from mcnbench.network_table import Row, rows

WIDTH, HEIGHT = 1.75, 0.62  # inches of a column and of a level
PHOTOGRAPH = 5.0  # inches
LARGEST = 1024  # pixels: the exact sets of larger images take long
COLOURS = {
    "conv2d": "#cfe3f5",
    "conv_transpose2d": "#b9d8c2",
    "max_pool2d": "#f5d9b8",
    "avg_pool2d": "#f3e6ae",
    "add": "#e3cdec",
    "concat": "#e3cdec",
}
FIELD = "#d62728"


@dataclass(frozen=True)
class Chosen:
    """The layer and the output, row and column from 0, whose receptive field is shown."""

    layer: str
    row: int
    column: int


def choose(network: Network, text: str | None) -> Chosen:
    """The output that "LAYER" (its middle one) or "LAYER:ROW,COLUMN" names; without text, of the last map of some size.

    Raises BadInput for an unknown layer, one without a map, and an output that it does not have.
    """
    shapes = network.shapes()
    maps = {layer.name: shapes[layer.name][2:] for layer in network.layers if len(shapes[layer.name]) == 4}
    if text is None:
        layer = next((name for name in reversed(maps) if max(maps[name]) > 1), next(iter(maps)))
        return Chosen(layer, maps[layer][0] // 2, maps[layer][1] // 2)
    match = re.fullmatch(r"(.*?)(?::([0-9]+),([0-9]+))?", text)
    assert match is not None
    layer = match[1]
    if layer not in maps:
        raise unknown("layer", layer, maps, where=f"the layers of network '{network.name}' that have a map")
    height, width = maps[layer]
    if match[2] is None:
        return Chosen(layer, height // 2, width // 2)
    row, column = int(match[2]), int(match[3])
    if row >= height or column >= width:
        raise BadInput(f"layer '{layer}' has {height}x{width} outputs, counted from 0, so there is no {row},{column}")
    return Chosen(layer, row, column)


def save(network: Network, path: Path, at: str | None = None) -> None:
    """Draws the network and the receptive field of the chosen output into a file of the kind that its name tells.

    Raises BadInput for images that are too large, for a kind of file that matplotlib does not know, and for a path that
    cannot be written.
    """
    if max(network.input[1:]) > LARGEST:
        raise BadInput(f"--figure draws images of up to {LARGEST}x{LARGEST} pixels; leave it out for larger ones")
    chosen, drawing = choose(network, at), draw(network)
    graph_width = WIDTH * sum(drawing.widths)
    height = max(HEIGHT * drawing.height, PHOTOGRAPH + 1)
    figure = Figure(figsize=(graph_width + PHOTOGRAPH + 0.6, height + 0.5), layout=None)
    supported = figure.canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in supported:
        raise BadInput(f"--figure is '{path}'; wanted a name that ends in one of {', '.join(sorted(supported))}")
    total_width, total_height = figure.get_size_inches()
    graph = figure.add_axes((0, 0, graph_width / total_width, height / total_height))
    _graph(graph, network, drawing, {row.layer: row for row in rows(network, 1)}, chosen.layer)
    side = PHOTOGRAPH / total_width, PHOTOGRAPH / total_height
    photo = figure.add_axes((1 - side[0] - 0.2 / total_width, 1 - side[1] - 0.9 / total_height, *side))
    _fields(photo, network, chosen)
    figure.text(0.15 / total_width, 1 - 0.3 / total_height, network.title, fontsize=13, fontweight="bold")
    try:
        # An SVG's text stays text, which can be searched; without date and random names equal calls make equal files.
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": network.name}):
            figure.savefig(path, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
    except OSError as error:
        raise BadInput(f"--figure '{path}' cannot be written: {error.strerror}") from error


def _graph(axes: Axes, network: Network, drawing: Drawing, table: dict[str, Row], chosen: str) -> None:
    starts = np.concatenate([[0.0], np.cumsum(drawing.widths)])
    middle = [start + width / 2 for start, width in zip(starts, drawing.widths, strict=False)]
    for edge in drawing.edges:
        points = [(middle[edge.strip] + x, float(level)) for x, level in edge.places]
        axes.add_patch(PathPatch(_curve(points), fill=False, edgecolor="#888888", linewidth=0.8))
    for box in drawing.boxes:
        lines = _label(network, box, table)
        layers = layers_of(network, box)
        colour = COLOURS.get(layers[0].block, "#eeeeee") if layers else "#ffffff"
        marked = chosen in box.layers
        axes.add_patch(
            FancyBboxPatch(
                (middle[box.strip] + box.x - 0.46, box.level - 0.34),
                0.92,
                0.68,
                boxstyle="round,pad=0,rounding_size=0.06",
                facecolor=colour,
                edgecolor=FIELD if marked else "#555555",
                linewidth=1.6 if marked else 0.6,
                linestyle="--" if box.again else "-",
            )
        )
        axes.text(middle[box.strip] + box.x, box.level, "\n".join(lines), ha="center", va="center", fontsize=6.4)
    axes.set_xlim(0, starts[-1])
    axes.set_ylim(axes.get_figure().get_size_inches()[1] / HEIGHT - 1.4, -0.6)  # type: ignore[union-attr]  # has one
    axes.axis("off")


def _curve(points: list[tuple[float, float]]) -> Curve:
    """A smooth line that leaves and enters every place vertically."""
    vertices, codes = [points[0]], [Curve.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(points):
        vertices += [(x0, (y0 + y1) / 2), (x1, (y0 + y1) / 2), (x1, y1)]
        codes += [Curve.CURVE4] * 3
    return Curve(vertices, codes)


def _label(network: Network, box: Box, table: dict[str, Row]) -> list[str]:
    layers = layers_of(network, box)
    if not layers:
        return [IMAGES, "x".join(map(str, network.input))]
    first, last = table[layers[0].name], table[layers[-1].name]
    head = f"{first.layer}  {_what(first)}"
    followers = " ".join(layer.block.replace("local_response_norm", "lrn") for layer in layers[1:])
    size = "x".join(map(str, last.output)) or "1"
    return [line for line in (head, followers, f"{size}  {_field_text(last)}") if line]


def _what(row: Row) -> str:
    words = {"conv2d": "conv", "conv_transpose2d": "conv^T", "max_pool2d": "max", "avg_pool2d": "mean"}
    text = words.get(row.block, row.block)
    if row.support is not None:
        text += f" {row.support[0]}x{row.support[1]}"
    if row.stride not in (None, (1, 1)):
        text += f" /{row.stride[0]}" if row.stride[0] == row.stride[1] else f" /{row.stride[0]}x{row.stride[1]}"
    return text


def _field_text(row: Row) -> str:
    if row.receptive_field is None:
        return "no rf" if len(row.output) == 3 else ""
    vertical, horizontal = (f"{as_text(each.size)}/{as_text(each.stride)}" for each in row.receptive_field)
    return f"rf {vertical}" if vertical == horizontal else f"rf {vertical} x {horizontal}"


def _fields(axes: Axes, network: Network, chosen: Chosen) -> None:
    """The photograph as the network's input, dark where the output sees nothing; the fields on the way to it."""
    height, width = network.input[1:]
    seen = pixels(network, chosen.layer).at(chosen.row, chosen.column)
    image = _photograph(height, width)
    image[~seen] = 0.35 * image[~seen] + 0.1 * np.array(to_rgb("#202040"))
    axes.imshow(image, extent=(0.5, width + 0.5, height + 0.5, 0.5), interpolation="nearest")
    fields = receptive_fields(network)
    own = fields[chosen.layer]
    title = f"{chosen.layer}, output ({chosen.row}, {chosen.column}) sees {int(seen.sum()):,} of {seen.size:,} pixels"
    if isinstance(own, str):
        axes.set_title(f"{title}\nno receptive field: {own}", fontsize=8, wrap=True)
    else:
        axes.set_title(f"{title}\nreceptive field: {_words(own)}", fontsize=8)
        way = [name for name in _way(network, chosen.layer) if not isinstance(fields[name], str)]
        colours = np.linspace(0.25, 0.95, max(len(way), 1))
        for name, shade in zip(way, colours, strict=False):
            _outline(axes, _nearest(network, name, fields[name], own, chosen), (shade, shade, 1 - shade / 2), 0.8)
        _outline(axes, _box(own, chosen.row, chosen.column), to_rgb(FIELD), 1.8)
    axes.autoscale_view()
    axes.tick_params(labelsize=7)
    axes.set_xlabel(
        "pixels, counted from 1; the last field is red, those on the way to it from blue to yellow", fontsize=7
    )


def _photograph(height: int, width: int) -> np.ndarray[tuple[int, int, int], np.dtype[np.float64]]:
    with Image.open(photograph()) as opened:
        whole = opened.convert("RGB")
    scale = min(whole.width / width, whole.height / height)
    box = (whole.width - scale * width) / 2, 0.0, (whole.width + scale * width) / 2, scale * height
    return np.asarray(whole.resize((width, height), Image.Resampling.BILINEAR, box), np.float64) / 255


def _way(network: Network, name: str) -> list[str]:
    """The layers from the images to this one, along first inputs, whose fields grow."""
    layers: dict[str, Layer] = {layer.name: layer for layer in network.layers}
    way = []
    while name != IMAGES:
        name = layers[name].maps[0]
        way.append(name)
    return way[::-1][1:]


def _nearest(network: Network, name: str, fields: Fields | str, own: Fields, chosen: Chosen) -> Rectangle:
    """The field of the layer's output whose centre is nearest to that of the chosen output."""
    assert not isinstance(fields, str)
    places = []
    for field, target, output, count in zip(
        fields, own, (chosen.row, chosen.column), network.shapes()[name][2:], strict=True
    ):
        centre = float(target.stride) * output + float(target.offset)
        places.append(min(max(round((centre - float(field.offset)) / float(field.stride)), 0), count - 1))
    return _box(fields, places[0], places[1])


def _box(fields: Fields, row: int, column: int) -> Rectangle:
    (top, bottom), (left, right) = (
        tuple(map(float, field.interval(place + 1))) for field, place in zip(fields, (row, column), strict=True)
    )
    return Rectangle((left - 0.5, top - 0.5), right - left + 1, bottom - top + 1)


def _outline(axes: Axes, box: Rectangle, colour: tuple[float, float, float], width: float) -> None:
    box.set(fill=False, edgecolor=colour, linewidth=width)
    axes.add_patch(box)


def _words(own: Fields) -> str:
    vertical, horizontal = map(str, own)
    return vertical if vertical == horizontal else f"vertical {vertical}; horizontal {horizontal}"
