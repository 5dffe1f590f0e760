"""Algebra, probing a backend and the oracle's gradient agree on random chains and graphs, output by output, as sets.

`pytest tests/geometry/test_three_ways.py --hypothesis-profile=thorough` tries 2,000 chains and 500 graphs.
"""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from mcnbench import backend
from mcnbench.geometry.pixels import Mask
from mcnbench.network import Network
from mcnbench.network_fields import pixels, receptive_fields, unseen_pixels
from suites.properties.geometry import by_gradient, probed
from suites.properties.networks import chains, graphs


def agree(network: Network) -> None:
    seen = pixels(network, network.layers[-1].name).dense()
    same(seen, by_gradient(network), "the oracle's gradient", network)
    for name in ("numpy", "torch"):
        same(seen, probed(network, backend(name)), f"probing {name}", network)
    within_field(network, seen)
    assert unseen_pixels(network, network.layers[-1].name) == np.count_nonzero(~seen.any(axis=(0, 1)))


def same(algebra: Mask, other: Mask, way: str, network: Network) -> None:
    wrong = np.argwhere(algebra != other)
    if len(wrong):
        p, q, h, w = wrong[0]
        says = "sees" if algebra[p, q, h, w] else "does not see"
        raise AssertionError(
            f"output ({p}, {q}) {says} pixel ({h}, {w}) by algebra, but not so by {way}; {len(wrong)} such pairs in "
            f"{[(layer.block, layer.options, layer.maps) for layer in network.layers]}"
        )


def within_field(network: Network, seen: Mask) -> None:
    """Every set lies within the sliding window; it reaches both ends of one that the image holds as a whole.

    Transposed convolutions are left out of the second half: their fields are wider than what they see (manual 5.3).
    """
    fields = receptive_fields(network)[network.layers[-1].name]
    if isinstance(fields, str):
        assert "different strides" in fields
        return
    if not seen.any():  # windows that lie in the padding in one direction see nothing in the other either
        return
    tight = all(layer.block != "conv_transpose2d" for layer in network.layers)
    for field, axis in zip(fields, (0, 1), strict=True):
        along = seen.any(axis=(1 - axis, 3 - axis))
        for output, places in enumerate(along, 1):
            first, last = field.interval(output)
            inside = np.flatnonzero(places) + 1
            assert all(first <= place <= last for place in inside)
            if tight and first >= 1 and last <= len(places):
                assert (inside[0], inside[-1]) == (first, last)


@settings(max_examples=settings.default.max_examples, deadline=None)
@given(chains())
def test_three_ways_agree_on_chains(network: Network) -> None:
    agree(network)


@settings(max_examples=settings.default.max_examples // 4, deadline=None)
@given(graphs())
def test_three_ways_agree_on_graphs(network: Network) -> None:
    agree(network)
