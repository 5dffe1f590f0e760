"""The networks equal the published ones: parameters, maps, arithmetic, receptive fields, each with its source."""

from __future__ import annotations

import pytest

from mcnbench import network
from mcnbench.geometry import Pixels
from mcnbench.network import Network
from mcnbench.network_fields import pixels, receptive_fields
from mcnbench.network_table import rows

# Parameters as counted by the source that the network's file names; FCN-8s' by hand, from the sizes in its file.
PARAMETERS = {
    "lenet-5": 60_000 + 850,
    "zfnet": 62_357_608,
    "nin": 966_986,
    "googlenet": 6_998_552,
    "resnet-18": 11_689_512,
    "resnet-50": 25_557_032,
    "densenet-121": 7_978_856,
    "fcn-8s": 134_382_239,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(name: str) -> None:
    assert network.load(name).parameter_count == PARAMETERS[name]


def maps(name: str, *layers: str) -> list[tuple[int, ...]]:
    shapes = network.load(name).shapes()
    return [shapes[layer][1:] for layer in layers]


def multiply_adds(net: Network, prefix: str = "") -> int:
    return sum(row.multiply_adds for row in rows(net, 1) if row.layer.startswith(prefix))


def test_lenet_5_has_the_connections_of_the_paper() -> None:
    """LeCun et al. 1998, section II.B: connections of C1, S2, C3, S4, C5 and F6, a bias being one; parameters of each.

    S2 and S4 add four inputs before the gain, so that 5 connections make one output; our mean is a block without any.
    """
    net = network.load("lenet-5")
    table = rows(net, 1)
    connections = {"c1_": 122_304, "c3_": 151_600, "c5": 48_120, "f6": 10_164}
    parameters = {"c1_": 156, "s2_": 12, "c3_": 1_516, "s4": 32, "c5": 48_120, "f6": 10_164}
    for prefix, expected in connections.items():
        convolutions = [row for row in table if row.block == "conv2d" and row.layer.startswith(prefix)]
        biases = sum(row.output[0] * row.output[1] * row.output[2] for row in convolutions)
        assert sum(row.multiply_adds for row in convolutions) + biases == expected, prefix
    for prefix, expected in parameters.items():
        assert sum(row.parameters for row in table if row.layer.startswith(prefix)) == expected, prefix
    assert maps("lenet-5", "c1_0", "s2_0", "c3", "s4", "c5", "f6") == [
        (1, 28, 28), (1, 14, 14), (16, 10, 10), (16, 5, 5), (120, 1, 1), (84, 1, 1),
    ]  # fmt: skip


def test_lenet_5_connects_c3_as_table_i() -> None:
    """Every column of table I, and that every map of S2 goes to 10 maps of C3, as its rows say."""
    net = network.load("lenet-5")
    read = {layer.name: layer.maps for layer in net.layers if layer.name.endswith("_from")}
    assert [len(maps) for maps in read.values()] == [3] * 6 + [4] * 9 + [6]
    assert [sum(f"s2_{i}_tanh" in maps for maps in read.values()) for i in range(6)] == [10] * 6
    assert len(set(read.values())) == 16


def test_zfnet_has_the_maps_of_figure_3() -> None:
    """Zeiler and Fergus 2014, figure 3. 110 is odd for the pooling: rounding down would give 54."""
    assert [size for _, size, _ in maps("zfnet", "conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5")] == [
        110, 55, 26, 13, 13, 13, 13,
    ]  # fmt: skip
    assert maps("zfnet", "pool5", "fc6", "fc8") == [(256, 6, 6), (4096, 1, 1), (1000, 1, 1)]


def test_a_window_over_the_map_follows_the_image_size() -> None:
    for size in (64, 224, 320):
        assert network.load("resnet-18", (size, size)).shapes()["pool5"] == (1, 512, 1, 1)


def test_nin_ends_in_one_average_for_each_class() -> None:
    assert maps("nin", "pool1", "pool2", "cccp6", "pool3") == [(96, 16, 16), (192, 8, 8), (10, 8, 8), (10, 1, 1)]


def test_googlenet_has_the_sizes_and_the_arithmetic_of_table_1() -> None:
    """Szegedy et al. 2015, table 1: the output sizes, and the column "ops" in millions of multiply-adds.

    Two of its rows do not follow from the filters that it gives: 34M for conv1 (118M) and 54M for 5a (51M); nor does
    its column "params" for conv1, 4c and 5a.
    """
    outputs = {"3a": 256, "3b": 480, "4a": 512, "4b": 512, "4c": 512, "4d": 528, "4e": 832, "5a": 832, "5b": 1024}
    assert {name: shape[0] for name, shape in zip(outputs, maps("googlenet", *outputs), strict=True)} == outputs
    assert maps("googlenet", "conv1", "pool1", "conv2", "pool2", "pool3", "pool4", "5b", "pool5") == [
        (64, 112, 112), (64, 56, 56), (192, 56, 56), (192, 28, 28), (480, 14, 14), (832, 7, 7), (1024, 7, 7),
        (1024, 1, 1),
    ]  # fmt: skip
    millions = {
        "conv2": 360,
        "3a": 128,
        "3b": 304,
        "4a": 73,
        "4b": 88,
        "4c": 100,
        "4d": 119,
        "4e": 170,
        "5b": 71,
        "fc": 1,
    }
    net = network.load("googlenet")
    for prefix, printed in millions.items():
        assert multiply_adds(net, prefix) / 1e6 == pytest.approx(printed, abs=0.7), prefix


def test_resnets_have_the_arithmetic_and_sizes_of_table_1() -> None:
    """He et al. 2016, table 1: 1.8e9 and 3.8e9 multiply-adds, maps of 56, 28, 14 and 7."""
    assert multiply_adds(network.load("resnet-18")) == pytest.approx(1.8e9, rel=0.01)
    assert multiply_adds(network.load("resnet-50")) == pytest.approx(3.8e9, rel=0.02)
    assert maps("resnet-18", "conv2_2", "conv3_2", "conv4_2", "conv5_2") == [
        (64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7),
    ]  # fmt: skip
    assert maps("resnet-50", "conv2_3", "conv3_4", "conv4_6", "conv5_3") == [
        (256, 56, 56), (512, 28, 28), (1024, 14, 14), (2048, 7, 7),
    ]  # fmt: skip


def test_densenet_121_has_the_sizes_of_table_1() -> None:
    """Huang et al. 2017, table 1; torchvision gives 2.83e9 multiply-adds."""
    assert maps("densenet-121", "dense1_6", "pool2", "dense2_12", "pool3", "dense3_24", "pool4", "dense4_16") == [
        (256, 56, 56), (128, 28, 28), (512, 28, 28), (256, 14, 14), (1024, 14, 14), (512, 7, 7), (1024, 7, 7),
    ]  # fmt: skip
    assert multiply_adds(network.load("densenet-121")) == pytest.approx(2.83e9, rel=0.01)


def test_fcn_8s_predicts_every_pixel() -> None:
    assert maps("fcn-8s", "pool3", "pool4", "fc7", "fuse4", "fuse3", "up_fuse3") == [
        (256, 28, 28), (512, 14, 14), (4096, 7, 7), (21, 14, 14), (21, 28, 28), (21, 224, 224),
    ]  # fmt: skip
    assert network.load("fcn-8s", (64, 96)).shapes()["up_fuse3"] == (1, 21, 64, 96)


# Size and stride: Araujo, Norris and Sim, Computing receptive fields of convolutional neural networks, Distill 2019
# (ResNet-50); Long et al. 2015, table 1 (FCN).
FIELDS = {
    ("resnet-50", "conv5_3"): (483, 32),
    ("fcn-8s", "fc7"): (404, 32),
    ("lenet-5", "c5"): (32, 4),
}


@pytest.mark.parametrize(("name", "layer"), FIELDS)
def test_receptive_fields(name: str, layer: str) -> None:
    for field in receptive_fields(network.load(name))[layer]:
        assert not isinstance(field, str)
        assert (field.size, field.stride) == FIELDS[name, layer]


@pytest.mark.parametrize("name", ["googlenet", "resnet-18", "resnet-50", "densenet-121", "fcn-8s"])
def test_all_branches_are_compatible_and_none_is_shifted_against_another(name: str) -> None:
    """Every layer that joins maps has a receptive field, and all maps that it joins have the same offset and stride."""
    net = network.load(name)
    fields = receptive_fields(net)
    joins = [layer for layer in net.layers if layer.block in ("add", "concat")]
    assert joins
    for layer in joins:
        below = [fields[source][0] for source in layer.maps]
        assert len({(f.stride, f.offset) for f in below if not isinstance(f, str)}) == 1, layer.name
        assert not any(isinstance(f, str) for f in below), layer.name


def test_the_exact_pixels_of_a_densenet_are_one_product_though_its_branches_are_many() -> None:
    seen: Pixels = pixels(network.load("densenet-121", (64, 64)), "dense2_12")
    assert len(seen.products) == 1
    assert not seen.unseen().any()
