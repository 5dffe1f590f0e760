"""Receptive fields where branches meet: overlaid where their strides agree, refused where not; exact sets always."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcnbench.network_fields import pixels, receptive_fields
from mcnbench.network_file import parse


def graph(*layers: dict[str, Any], size: int = 9) -> Any:
    return parse({"input": [1, size, size], "batch": 1, "layers": list(layers)}, "graph", "the test")


def conv(name: str, kernel_size: int, inputs: str | None = None, **options: Any) -> dict[str, Any]:
    source = {} if inputs is None else {"inputs": [inputs]}
    return {"name": name, "block": "conv2d", "out_channels": 1, "kernel_size": kernel_size, **source, **options}


def test_branches_of_equal_stride_are_overlaid() -> None:
    net = graph(
        conv("wide", 5, "images", stride=2, padding=2),
        conv("narrow", 1, "images", stride=2),
        {"name": "join", "block": "add", "inputs": ["wide", "narrow"]},
    )
    field = receptive_fields(net)["join"][0]
    assert not isinstance(field, str)
    assert (field.size, field.stride, field.offset) == (5, 2, 1)


def test_branches_of_different_strides_have_no_field_but_exact_pixels() -> None:
    net = graph(
        conv("slow", 5, "images"),
        conv("fast", 1, "images", stride=2),
        {"name": "join", "block": "add", "inputs": ["slow", "fast"]},
        {"name": "relu", "block": "relu"},
    )
    reason = receptive_fields(net)["relu"]
    assert isinstance(reason, str)
    assert "join joins slow and fast" in reason
    assert "stride 1" in reason
    assert "stride 2" in reason
    seen = pixels(net, "relu")
    assert seen.at(4, 4)[8, 8]
    assert seen.at(4, 4)[4:, 4:].sum() == 25
    assert np.flatnonzero(seen.at(0, 4)[:, 4:].any(axis=0)).tolist() == [0, 1, 2, 3, 4]


def test_a_filter_of_one_pixel_may_have_padding_behind_the_map() -> None:
    """Its field is that of a pointwise block, but its last output sees nothing; found by test_three_ways.py."""
    net = graph(conv("wider", 1, "images", padding=[0, 1, 0, 0]), size=2)
    seen = pixels(net, "wider")
    assert seen.dense().shape == (3, 2, 2, 2)
    assert seen.at(1, 0)[1, 0]
    assert not seen.at(2, 0).any()
