"""Receptive fields of whole networks: the published ones, and what exact sets say beside the algebra."""

from __future__ import annotations

import numpy as np
import pytest

from mcnbench import network
from mcnbench.network_fields import pixels, receptive_fields

# Size/stride after each pooling or convolution: the receptive fields of google-research/receptive_field's table
# (AlexNet, VGG-16) and, for the others, the manual's chapter 5 worked by hand.
KNOWN = {
    "alexnet": {
        "conv1": (11, 4),
        "pool1": (19, 8),
        "conv2": (51, 8),
        "pool2": (67, 16),
        "conv3": (99, 16),
        "conv4": (131, 16),
        "conv5": (163, 16),
        "pool5": (195, 32),
    },
    "vgg-f": {"pool5": (195, 32)},
    "vgg-m": {"pool5": (171, 32)},
    "vgg-s": {"pool5": (137, 36)},
    "vgg-vd-16": {"pool1": (6, 2), "pool2": (16, 4), "pool3": (44, 8), "pool4": (100, 16), "pool5": (212, 32)},
    "vgg-vd-19": {"pool5": (268, 32)},
}
OFFSETS = {"alexnet": 34, "vgg-f": 34, "vgg-m": 34, "vgg-s": 33, "vgg-vd-16": 16.5, "vgg-vd-19": 16.5}


@pytest.mark.parametrize("name", KNOWN)
def test_published_receptive_fields(name: str) -> None:
    fields = receptive_fields(network.load(name))
    for layer, expected in KNOWN[name].items():
        for field in fields[layer]:
            assert not isinstance(field, str)
            assert (field.size, field.stride) == expected, layer
    assert [field.offset for field in fields["pool5"] if not isinstance(field, str)] == [OFFSETS[name]] * 2


@pytest.mark.parametrize("name", KNOWN)
def test_exact_pixels_fill_the_field_where_the_image_holds_all_of_it(name: str) -> None:
    net = network.load(name)
    for layer in KNOWN[name]:
        field = receptive_fields(net)[layer][0]
        assert not isinstance(field, str)
        ((rows, _),) = pixels(net, layer).products
        for output, seen in enumerate(rows, 1):
            first, last = field.interval(output)
            inside = np.flatnonzero(seen) + 1
            if first >= 1 and last <= net.input[1]:
                assert (inside[0], inside[-1], len(inside)) == (first, last, field.size)
            else:
                assert first <= inside[0] <= inside[-1] <= last


def test_vgg_vd_16_sees_the_rows_that_its_gradient_showed() -> None:
    """Wu's Table 2, and the support of the gradient: rows -90 + 32 e .. 121 + 32 e, within the image."""
    ((rows, _),) = pixels(network.load("vgg-vd-16"), "pool5").products
    for e, row in enumerate(rows):
        assert np.flatnonzero(row).tolist() == list(range(max(-90 + 32 * e, 0), min(121 + 32 * e, 223) + 1))


def test_vgg_f_never_sees_the_last_row_and_column() -> None:
    """Its first filters, 11 at stride 4 on 224 pixels, leave one over."""
    unseen = pixels(network.load("vgg-f"), "fc8").unseen()
    assert np.argwhere(unseen).max() == 223
    assert unseen[223].all()
    assert unseen[:, 223].all()
    assert unseen.sum() == 224 + 223
