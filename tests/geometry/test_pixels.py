"""Sets of pixels: single blocks against their definition, compositions and unions against a dictionary of sets."""

from __future__ import annotations

from itertools import product

import numpy as np

from mcnbench.geometry import POINTWISE, Pixels, inputs_seen, output_size, pixels_seen, window_field
from mcnbench.geometry.pixels import Mask


def definition(size: int, k: int, s: int, before: int, after: int, dilation: int = 1) -> Mask:
    """y[p] reads x[p s + r dilation - before] for r = 0 .. k - 1, where it lies in the image."""
    outputs = output_size(size, k, s, before, after, dilation)
    seen = np.zeros((outputs, size), bool)
    for p, r in product(range(outputs), range(k)):
        if 0 <= p * s + r * dilation - before < size:
            seen[p, p * s + r * dilation - before] = True
    return seen


def block(size: int, k: int, s: int, before: int, after: int, dilation: int = 1) -> Mask:
    return pixels_seen(window_field(k, s, before, dilation), size, output_size(size, k, s, before, after, dilation))


def test_borders_dilation_holes_and_asymmetric_padding() -> None:
    for size, k, s, before, after, dilation in product((5, 8), (1, 2, 3), (1, 2, 3), range(3), range(3), (1, 2)):
        expected = definition(size, k, s, before, after, dilation)
        assert np.array_equal(block(size, k, s, before, after, dilation), expected)


def test_a_window_that_overhangs_in_ceil_mode_sees_what_is_in_the_image() -> None:
    seen = pixels_seen(window_field(3, 2, 0), 6, output_size(6, 3, 2, 0, 0, ceil_mode=True))
    assert [np.flatnonzero(row).tolist() for row in seen] == [[0, 1, 2], [2, 3, 4], [4, 5]]


def test_composition_respects_the_border_of_the_map_between() -> None:
    """The envelope of output 1 starts at -1; what the second block sees there is its own padding, not the image."""
    first, second = block(7, 3, 2, 0, 0), block(3, 3, 1, 1, 1)
    composed = Pixels.of(first, first).then(Pixels.of(second, second))
    vertical, _ = composed.products[0]
    for p in range(3):
        expected = {j for q in np.flatnonzero(second[p]) for j in np.flatnonzero(first[q])}
        assert set(np.flatnonzero(vertical[p])) == expected
    field = window_field(3, 2, 0).then(window_field(3, 1, 1))
    assert field.interval(1) == (-1, 5)


def test_a_union_of_branches_is_not_a_rectangle() -> None:
    """A column filter beside a row filter makes a cross."""
    column = Pixels.of(block(5, 3, 1, 1, 1), pixels_seen(POINTWISE, 5, 5))
    row = Pixels.of(pixels_seen(POINTWISE, 5, 5), block(5, 3, 1, 1, 1))
    cross = column.union(row)
    assert np.argwhere(cross.at(2, 2)).tolist() == [[1, 2], [2, 1], [2, 2], [2, 3], [3, 2]]
    assert np.array_equal(cross.dense()[2, 2], cross.at(2, 2))


def test_a_shortcut_within_a_wider_path_adds_nothing_and_is_dropped() -> None:
    wide = Pixels.of(block(5, 3, 1, 1, 1), block(5, 3, 1, 1, 1))
    shortcut = Pixels.of(pixels_seen(POINTWISE, 5, 5), pixels_seen(POINTWISE, 5, 5))
    for both in (wide.union(shortcut), shortcut.union(wide)):
        assert len(both.products) == 1
        assert np.array_equal(both.dense(), wide.dense())


def test_unseen_pixels_between_and_behind_windows() -> None:
    rows, columns = block(8, 2, 3, 0, 0), block(6, 3, 2, 1, 1)
    unseen = Pixels.of(rows, columns).unseen()
    assert np.flatnonzero(unseen.all(axis=1)).tolist() == [2, 5]  # between the windows
    assert np.flatnonzero(unseen.all(axis=0)).tolist() == []
    behind = Pixels.of(block(6, 3, 2, 0, 0), block(6, 3, 2, 0, 0)).unseen()
    assert np.flatnonzero(behind.all(axis=1)).tolist() == [5]  # behind the last window, Figure 2.18


def test_inputs_that_chosen_outputs_see_without_the_matrix() -> None:
    rng = np.random.default_rng(0)
    for size, k, s, before, dilation in product((5, 8), (1, 2, 3), (1, 2, 3), range(3), (1, 2)):
        field, outputs = window_field(k, s, before, dilation), output_size(size, k, s, before, 2, dilation)
        for each, inputs, count in ((field, size, outputs), (field.transposed(), outputs, size)):
            if each is not field and dilation > 1:
                continue  # a transposed window has no holes of its own
            chosen = rng.random(count) < 0.5
            expected = pixels_seen(each, inputs, count)[chosen].any(axis=0)
            assert np.array_equal(inputs_seen(each, inputs, chosen), expected)


def test_everything() -> None:
    assert Pixels.everything((2, 1), (3, 4)).dense().shape == (2, 1, 3, 4)
    assert not Pixels.everything((2, 1), (3, 4)).unseen().any()
