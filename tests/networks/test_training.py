"""Every network that is a graph, or has a block that the six chains lack, trains a step in NumPy equal to PyTorch's."""

from __future__ import annotations

import tomllib
from typing import Any

import numpy as np
import pytest

from mcnbench import backend, network
from mcnbench.arrays import Array
from mcnbench.network import FOLDER, Network
from mcnbench.network_file import parse
from mcnbench.training import Trainer

# Image size, and by how much the numbers of filters are divided, so that a step takes a second and not ten.
SIZES = {
    "lenet-5": (32, 1),
    "zfnet": (224, 8),
    "nin": (32, 4),
    "googlenet": (64, 4),
    "resnet-18": (64, 4),
    "resnet-50": (64, 4),
    "densenet-121": (64, 4),
    "fcn-8s": (64, 8),
}


def small(name: str) -> Network:
    """The network on small images with fewer filters: the same blocks in the same graph."""
    data: dict[str, Any] = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    size, divisor = SIZES[name]
    data["input"][1:] = [size, size]
    for layer in data["layers"]:
        for key in ("out_channels", "groups"):
            if key in layer:
                layer[key] = max(1, layer[key] // divisor)
    return parse(data, name, name)


def step(net: Network, name: str, variant: str | None) -> dict[str, Array]:
    """The parameters' gradients and the updated parameters of one training step in float64, and the loss."""
    seen: dict[str, Array] = {}

    def see(value: str, array: Array) -> None:
        if value.endswith(("/dw", "/w_new")) or value == net.layers[-1].name:
            seen[value] = np.array(array)

    Trainer(net, backend(name), batch=2, dtype="float64", seed=3, variant=variant).observed(2, 5, see)
    return seen


@pytest.mark.parametrize("name", SIZES)
def test_a_training_step_in_numpy_equals_pytorchs(name: str) -> None:
    net = small(name)
    ours, theirs = step(net, "numpy", None), step(net, "torch", backend("torch").variants[0])
    assert ours.keys() == theirs.keys()
    assert {f"{parameter}/dw" for parameter in net.parameters} < ours.keys()
    for value, array in theirs.items():
        assert np.linalg.norm(array) > 0, f"{value} is zero, which would hide a missing gradient"
        assert np.linalg.norm(ours[value] - array) <= 1e-7 * np.linalg.norm(array), value


def test_the_networks_tested_here_are_all_but_the_six_of_table_1_1() -> None:
    table_1_1 = {"alexnet", "vgg-f", "vgg-m", "vgg-s", "vgg-vd-16", "vgg-vd-19"}
    assert set(network.names()) - table_1_1 == set(SIZES)
