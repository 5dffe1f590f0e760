"""Networks as data: the known answers of the six networks, the format, and what a wrong file is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mcnbench import network
from mcnbench.errors import BadInput
from mcnbench.network import Network
from mcnbench.network_file import parse

# Parameters, multiply-adds of the convolutions for one image, the map after the last pooling; counted from the layers
# of the papers' tables. AlexNet's 60,965,224, VGG-VD-16's 138,357,544 and 19's 143,667,240 parameters are also the
# sizes of the models that were published.
KNOWN = {
    "alexnet": (60_965_224, 724_406_816, (256, 6, 6)),
    "vgg-f": (60_834_536, 724_005_632, (256, 6, 6)),
    "vgg-m": (102_908_520, 1_676_172_320, (512, 6, 6)),
    "vgg-s": (102_908_520, 2_637_708_320, (512, 6, 6)),
    "vgg-vd-16": (138_357_544, 15_470_264_320, (512, 7, 7)),
    "vgg-vd-19": (143_667_240, 19_632_062_464, (512, 7, 7)),
}

# MatConvNet manual, table 1.1.
PUBLISHED_BATCH = {"alexnet": 256, "vgg-f": 256, "vgg-m": 128, "vgg-s": 128, "vgg-vd-16": 24, "vgg-vd-19": 24}


@pytest.mark.parametrize("name", KNOWN)
def test_known_answers(name: str) -> None:
    net = network.load(name)
    parameters, multiply_adds, last_map = KNOWN[name]
    assert net.parameter_count == parameters
    assert sum(net.multiply_adds(layer) for layer in net.layers) == multiply_adds
    assert net.shapes(1)["pool5"] == (1, *last_map)
    assert net.batch == PUBLISHED_BATCH[name]
    assert net.source, "each network states where it is from"


def test_the_six_networks_come_along() -> None:
    assert set(KNOWN) <= set(network.names())


def test_arithmetic_of_a_step_leaves_out_the_gradient_of_the_images() -> None:
    net = network.load("alexnet")
    first = net.multiply_adds(net.layers[0])
    assert net.layers[0].maps == ("images",)
    assert net.flops(7) == 7 * 2 * (3 * 724_406_816 - first)


def test_memory_of_a_step_grows_with_the_batch_by_what_an_image_holds() -> None:
    net = network.load("vgg-vd-16")
    assert net.step_bytes(1) > 3 * 4 * net.parameter_count
    outputs = net.activation_bytes(2) - net.activation_bytes(1)
    grown = net.step_bytes(25) - net.step_bytes(24)
    assert 0.5 * outputs < grown < 1.1 * outputs


def test_layers_run_after_what_they_read(graph: Network) -> None:
    order = [layer.name for layer in graph.layers]
    assert order[0] == "stem"
    assert order[-1] == "loss"  # which comes first in the file
    for layer in graph.layers:
        assert all(source == "images" or order.index(source) < order.index(layer.name) for source in layer.maps)


def test_shared_parameters_are_counted_once(graph: Network) -> None:
    assert graph.consumers["left.w"] == ("left", "again")
    assert not any(name.startswith("again") for name in graph.parameters)
    # stem 8 x 3 x 3 x 3 + 8, left 8 x 8 x 3 x 3, right 8 x 8 + 8, scores 7 x 16 x 6 x 6 + 7
    assert graph.parameter_count == 224 + 576 + 72 + 4039


def test_shapes_of_labels_and_masks_follow_the_batch(chain: Network) -> None:
    shapes = chain.shapes(5)
    assert shapes["labels"] == (5, 1, 1)
    assert shapes["drop3.mask"] == shapes["relu3"] == (5, 12, 1, 1)
    assert shapes["loss"] == ()


def net(*layers: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"input": [3, 8, 8], "batch": 2, "layers": list(layers)} | keys


def conv(name: str = "conv", **keys: Any) -> dict[str, Any]:
    return {"name": name, "block": "conv2d", "out_channels": 4, "kernel_size": 3} | keys


def relu(name: str = "relu", **keys: Any) -> dict[str, Any]:
    return {"name": name, "block": "relu"} | keys


WRONG = {
    "unknown key 'bach' in net.toml; did you mean 'batch'?": net(conv(), bach=3),
    "net.toml has no 'batch'": {"input": [3, 8, 8], "layers": [conv()]},
    "'input' in net.toml is [3, 8]; wanted [channels, height, width]": net(conv(), input=[3, 8]),
    "'batch' in net.toml is 0; wanted a whole number of at least 1": net(conv(), batch=0),
    "'layers' in net.toml is []; wanted a list of tables": net(),
    "unknown block 'conv3d' in layer 'conv' of net.toml; did you mean 'conv2d'?": net(conv(block="conv3d")),
    "unknown option 'strid' in layer 'conv' of net.toml (conv2d); did you mean 'stride'?": net(conv(strid=2)),
    "layer 'conv' of net.toml (conv2d) has no 'kernel_size'": net(
        {"name": "conv", "block": "conv2d", "out_channels": 4}
    ),
    "'stride' of layer 'conv' of net.toml is '2'; wanted int": net(conv(stride="2")),
    "'out_channels' of layer 'conv' of net.toml is 0; wanted at least 1": net(conv(out_channels=0)),
    "'p' of layer 'drop' of net.toml is 1.0; wanted a probability": net({"name": "drop", "block": "dropout", "p": 1.0}),
    "two layers of net.toml have the name 'conv'": net(conv(), conv()),
    "layer 2 of net.toml has the name 'labels'": net(conv(), relu("labels")),
    "layer 1 of net.toml has the name None": net({"block": "relu"}),
    "unknown input 'con' in layer 'relu' of net.toml; did you mean 'conv'?": net(conv(), relu(inputs=["con"])),
    "layers of net.toml form a cycle: ": net(conv(inputs="relu"), relu(inputs="conv")),
    "no layer of net.toml reads the output of layer 'conv'": net(conv(), relu(inputs="images")),
    "layer 'sum' of net.toml (add) does not fit its input conv 4x6x6, images 3x8x8": net(
        conv(), {"name": "sum", "block": "add", "inputs": ["conv", "images"]}
    ),
    "layer 'conv' of net.toml (conv2d) does not fit its input images 3x8x8: the filters span 9x9": net(
        conv(kernel_size=9)
    ),
    "layer 'conv' of net.toml (conv2d) does not fit its input images 3x8x8: x has 3 channels": net(conv(groups=2)),
    "layer 'relu' of net.toml (relu) has 2 inputs, conv, images; wanted 1": net(
        conv(), relu(inputs=["conv", "images"])
    ),
    "layer 'b' of net.toml (relu) cannot share the parameters of 'conv' (conv2d)": net(
        conv(), relu("b", parameters="conv")
    ),
    "unknown layer 'cnv' in 'parameters' of layer 'b' of net.toml": net(
        conv(), {"name": "b", "block": "conv2d", "parameters": "cnv"}
    ),
    "unknown option 'out_channels' in layer 'b' of net.toml (conv2d)": net(conv(), conv("b", parameters="conv")),
    "layer 'again' of net.toml (softmax_log_loss) does not fit its input loss (a single number)": net(
        conv(), {"name": "loss", "block": "softmax_log_loss"}, {"name": "again", "block": "softmax_log_loss"}
    ),
    "layer 'second' of net.toml needs labels of shape (8, 8) an image, but another layer (6, 6)": net(
        conv(),
        {"name": "first", "block": "softmax_log_loss"},
        {"name": "second", "block": "softmax_log_loss", "inputs": "images"},
        {"name": "loss", "block": "add", "inputs": ["first", "second"]},
    ),
}


@pytest.mark.parametrize("message", WRONG, ids=lambda message: message[:40])
def test_a_wrong_network_is_refused_in_one_sentence(message: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse(WRONG[message], "net", where="net.toml")
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"layers = [", "is not TOML"), (b"\xff\xfe", "is not TOML"), (None, "cannot be read: No such file")],
)
def test_a_file_that_is_not_a_network(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "net.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput, match=message):
        network.load(str(path))


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(BadInput, match=r"^unknown network 'alexnt'; did you mean 'alexnet'\?$"):
        network.load("alexnt")
