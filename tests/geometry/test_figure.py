"""`mcnbench show --figure`: every layer has its box, boxes and edges keep apart, the chosen output is the one shown."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from mcnbench import network
from mcnbench.cli import mcnbench
from mcnbench.errors import BadInput
from mcnbench.network_figure import Chosen, choose, save
from mcnbench.network_layout import draw


@pytest.mark.parametrize("name", network.names())
def test_every_layer_is_in_one_box_and_no_boxes_overlap(name: str) -> None:
    net = network.load(name)
    drawing = draw(net)
    drawn = Counter(layer for box in drawing.boxes if not box.again for layer in box.layers)
    assert drawn == Counter(["images", *(layer.name for layer in net.layers)])
    rows: dict[tuple[int, int], list[float]] = {}
    for box in drawing.boxes:
        rows.setdefault((box.strip, box.level), []).append(box.x)
        assert abs(box.x) + 0.5 <= drawing.widths[box.strip] / 2
        assert box.level < drawing.height
    for places in rows.values():
        assert all(b - a >= 1 - 1e-9 for a, b in zip(sorted(places), sorted(places)[1:], strict=False))


@pytest.mark.parametrize("name", network.names())
def test_edges_lead_down_from_box_to_box_and_pass_between_the_others(name: str) -> None:
    drawing = draw(network.load(name))
    boxes = {(box.strip, box.level): [] for box in drawing.boxes}
    for box in drawing.boxes:
        boxes[box.strip, box.level].append(box.x)
    for edge in drawing.edges:
        levels = [level for _, level in edge.places]
        assert levels == list(range(levels[0], levels[-1] + 1))
        for x, level in (edge.places[0], edge.places[-1]):
            assert x in boxes[edge.strip, level]
        for x, level in edge.places[1:-1]:
            assert all(abs(x - other) >= 0.5 for other in boxes.get((edge.strip, level), []))


def test_long_networks_continue_in_a_next_strip_below_the_last_box_of_the_one_before() -> None:
    drawing = draw(network.load("resnet-50"), levels_in_strip=28)
    assert drawing.height <= 28 + 4  # a block of the network has four levels, and is not cut
    assert len(drawing.widths) == 3
    again = {box.strip: box.layers for box in drawing.boxes if box.again}
    for strip in (1, 2):
        last = max((box for box in drawing.boxes if box.strip == strip - 1), key=lambda box: box.level)
        assert again[strip] == last.layers


def test_joins_read_all_their_branches() -> None:
    drawing = draw(network.load("googlenet"))
    join = next(box for box in drawing.boxes if box.layers == ("3a",))
    assert sum(edge.places[-1] == (join.x, join.level) for edge in drawing.edges if edge.strip == join.strip) == 4


def test_the_svg_has_the_sizes_and_fields_as_text(tmp_path: Path) -> None:
    path = tmp_path / "out.svg"
    result = CliRunner().invoke(mcnbench, ["show", "resnet-18", "--figure", str(path)], catch_exceptions=False)
    assert result.exit_code == 0
    texts = [element.text or "" for element in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]
    for text in ("images", "conv1  conv 7x7 /2", "64x112x112  rf 7/2", "512x7x7  rf 435/32", "ResNet-18"):
        assert text in texts, text
    again = tmp_path / "again.svg"
    save(network.load("resnet-18"), again)
    assert again.read_bytes() == path.read_bytes()


def test_what_the_output_does_not_see_is_dark(tmp_path: Path) -> None:
    """The first and the last output of the same map darken opposite corners of the photograph."""
    net, pictures = network.load("alexnet"), []
    for corner in ("conv5:0,0", "conv5:12,12"):
        path = tmp_path / f"{corner[6:8]}.png"
        save(net, path, corner)
        with Image.open(path) as opened:
            pictures.append(np.asarray(opened.convert("L"), np.float64))
    brighter = pictures[0] - pictures[1]
    rows, columns = np.nonzero(brighter > 40)
    other_rows, other_columns = np.nonzero(brighter < -40)
    assert rows.mean() < other_rows.mean()
    assert columns.mean() < other_columns.mean()


def test_which_output_is_shown() -> None:
    net = network.load("alexnet")
    assert choose(net, None) == Chosen("pool5", 3, 3)
    assert choose(net, "conv1") == Chosen("conv1", 27, 27)
    assert choose(net, "conv1:0,54") == Chosen("conv1", 0, 54)


@pytest.mark.parametrize(
    ("at", "sentence"),
    [
        ("conv9", "unknown layer 'conv9' in the layers of network 'alexnet' that have a map; did you mean 'conv"),
        ("loss", "unknown layer 'loss'"),
        ("conv1:55,0", "layer 'conv1' has 55x55 outputs, counted from 0, so there is no 55,0"),
        ("conv1:5", "unknown layer 'conv1:5'"),
    ],
)
def test_outputs_that_are_not_there(at: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        choose(network.load("alexnet"), at)


def test_files_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="wanted a name that ends in one of"):
        save(network.load("alexnet"), tmp_path / "out.doc")
    with pytest.raises(BadInput, match="cannot be written: No such file or directory"):
        save(network.load("alexnet"), tmp_path / "no" / "out.svg")
