"""`mcnbench show`: what it prints, in three formats, and what it says about bad input."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mcnbench import network
from mcnbench.cli import mcnbench

# notes of the six networks: parameters and multiply-adds of one image, the totals of the manual's Table 1.1 networks
KNOWN = {
    "alexnet": (60_965_224, 724_406_816),
    "vgg-f": (60_834_536, 724_005_632),
    "vgg-m": (102_908_520, 1_676_172_320),
    "vgg-s": (102_908_520, 2_637_708_320),
    "vgg-vd-16": (138_357_544, 15_470_264_320),
    "vgg-vd-19": (143_667_240, 19_632_062_464),
}


def show(*arguments: str) -> str:
    result = CliRunner().invoke(mcnbench, ["show", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("name", KNOWN)
def test_json_has_the_known_totals_and_the_sum_of_its_layers(name: str) -> None:
    shown = json.loads(show(name, "--format", "json", "--batch", "3"))
    parameters, multiply_adds = KNOWN[name]
    totals, layers = shown["totals"], shown["layers"]
    assert (totals["parameters"], totals["multiply_adds"]) == (parameters, multiply_adds)
    assert sum(layer["parameters"] for layer in layers) == parameters
    assert totals["parameter_bytes"] == 4 * parameters
    assert totals["data_bytes"] == network.load(name).activation_bytes(3)


def test_json_of_one_layer_says_all_that_vl_simplenn_display_does() -> None:
    layers = {layer["layer"]: layer for layer in json.loads(show("alexnet", "--format", "json"))["layers"]}
    assert layers["conv2"] == {
        "layer": "conv2",
        "block": "conv2d",
        "inputs": ["norm1"],
        "support": [5, 5],
        "filters": [256, 48],
        "stride": [1, 1],
        "padding": [2, 2, 2, 2],
        "ceil_mode": None,
        "dilation": [1, 1],
        "groups": 2,
        "output": [256, 27, 27],
        "receptive_field": {"size": [51, 51], "stride": [8, 8], "offset": [10, 10]},
        "no_receptive_field": "",
        "parameters": 256 * 48 * 25 + 256,
        "parameter_bytes": 4 * (256 * 48 * 25 + 256),
        "output_bytes": 4 * 256 * 256 * 27 * 27,
        "multiply_adds": 27 * 27 * 256 * 48 * 25,
    }
    assert layers["norm1"]["support"] is None, "a window over channels is none over the map"
    assert layers["loss"]["receptive_field"] is None
    assert layers["loss"]["no_receptive_field"] == "loss has no map"


def test_csv_has_the_numbers_of_json_in_columns() -> None:
    lines = list(csv.DictReader(io.StringIO(show("vgg-s", "--format", "csv", "--batch", "2"))))
    layers = json.loads(show("vgg-s", "--format", "json", "--batch", "2"))["layers"]
    assert [line["layer"] for line in lines] == [layer["layer"] for layer in layers]
    for line, layer in zip(lines, layers, strict=True):
        assert int(line["output_bytes"]) == layer["output_bytes"]
        if layer["padding"]:
            sides = [int(line[f"padding_{side}"]) for side in ("top", "bottom", "left", "right")]
            assert sides == layer["padding"]
        if layer["receptive_field"]:
            assert float(line["field_offset_vertical"]) == layer["receptive_field"]["offset"][0]


def test_markdown_is_a_table_of_equally_long_lines_with_the_totals_under_it() -> None:
    lines = show("vgg-f", "--batch", "1").splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len({len(line) for line in table}) == 1
    assert len(table) == 2 + len(network.load("vgg-f").layers)
    pool1 = next(line for line in table if " pool1 " in line)
    assert [cell.strip() for cell in pool1.split("|")][2:10] == [
        "pool1", "max_pool2d", "3x3", "", "2", "0 1 0 1", "64x27x27", "19",
    ]  # fmt: skip
    assert "Parameters: 60,834,536 (232.1 MiB)." in lines
    assert "Multiply-adds: 724,005,632 an image." in lines
    assert "No output of the last map sees 447 of the 50,176 pixels." in lines


def test_pooling_that_rounds_up_says_so() -> None:
    pool1 = next(line for line in show("zfnet").splitlines() if " pool1 " in line)
    assert " 0 ceil " in pool1
    assert " ceil " not in show("alexnet")


def test_another_image_size_changes_the_maps_and_not_the_parameters() -> None:
    shown = json.loads(show("vgg-vd-16", "--image-size", "224x320", "--format", "json"))
    assert shown["input"] == [3, 224, 320]
    assert [layer["output"] for layer in shown["layers"] if layer["layer"] == "fc8"] == [[1000, 1, 4]]
    assert shown["totals"]["parameters"] == KNOWN["vgg-vd-16"][0]


def test_images_of_any_size_are_shown_at_once() -> None:
    """A million pixels a side, no matrix of outputs and inputs; filters of 11 at stride 4 leave one row and column."""
    totals = json.loads(show("vgg-f", "--image-size", "1000000", "--format", "json", "--batch", "1"))["totals"]
    assert totals["unseen_pixels"] == 1_000_000**2 - 999_999**2


def test_branches_that_are_not_compatible_are_named_and_what_follows_them_has_no_field(tmp_path: Path) -> None:
    path = tmp_path / "odd.toml"
    path.write_text(
        """
        input = [1, 9, 9]
        batch = 2
        layers = [
          { name = "slow", block = "conv2d", out_channels = 1, kernel_size = 5 },
          { name = "fast", block = "conv2d", inputs = ["images"], out_channels = 1, kernel_size = 1, stride = 2 },
          { name = "join", block = "add", inputs = ["slow", "fast"] },
          { name = "relu", block = "relu" },
          { name = "loss", block = "softmax_log_loss" },
        ]
        """
    )
    printed = show(str(path))
    reason = (
        "join joins slow and fast: the receptive fields (size 5, stride 1, offset 3) and (size 1, stride 2, offset 1) "
        "have different strides, so no sliding window holds both"
    )
    assert f"No receptive field from join on (2 layers): {reason}." in printed.splitlines()
    layers = {layer["layer"]: layer for layer in json.loads(show(str(path), "--format", "json"))["layers"]}
    assert layers["relu"]["receptive_field"] is None
    assert layers["relu"]["no_receptive_field"] == reason
    assert layers["fast"]["receptive_field"]["stride"] == [2, 2]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["alexnte"], "unknown network 'alexnte'; did you mean 'alexnet'?"),
        (["alexnet", "--image-size", "0"], "--image-size is '0'; wanted a number of pixels"),
        (["alexnet", "--image-size", "12x"], "--image-size is '12x'; wanted a number of pixels"),
        (["alexnet", "--image-size", "100"], "layer 'fc6' of network 'alexnet' (conv2d) does not fit its input pool5"),
        (["no/such.toml"], "network file 'no/such.toml' cannot be read"),
        (["alexnet", "--batch", "0"], "Invalid value for '--batch'"),
        (["alexnet", "--format", "html"], "Invalid value for '--format'"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments: list[str], sentence: str) -> None:
    call = [sys.executable, "-m", "mcnbench", "show", *arguments]
    done = subprocess.run(call, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 2
    assert done.stdout == ""
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_show_imports_no_heavy_library() -> None:
    """Importing PyTorch alone takes longer than the second that showing a network may take."""
    code = (
        "import sys; from click.testing import CliRunner; from mcnbench.cli import mcnbench\n"
        "assert CliRunner().invoke(mcnbench, ['show', 'alexnet']).exit_code == 0\n"
        "heavy = {'torch', 'pandas', 'matplotlib', 'scipy', 'hypothesis'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
