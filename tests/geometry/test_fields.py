"""Receptive fields (size, stride, offset): the equations of the manual's chapter 5 against sets of samples, listed."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import ceil, floor

import numpy as np
import pytest

from mcnbench.geometry import (
    POINTWISE,
    IncompatibleStrides,
    ReceptiveField,
    output_size,
    overlay,
    pixels_seen,
    transposed_size,
    window_field,
)

WINDOWS = [(k, s, p) for k, s, p in product(range(1, 6), range(1, 4), range(4)) if p < k]


def samples(k: int, s: int, p: int, output: int) -> list[int]:
    """The samples that a filter at output number `output` (from 1) covers: [1, H'] + S (i'' - 1) - P- (manual 5.2)."""
    return [tap + s * (output - 1) - p for tap in range(1, k + 1)]


def test_equations_5_1_and_5_2_give_the_first_and_the_last_sample() -> None:
    vertical, horizontal = ReceptiveField(3, 2, 1.0), ReceptiveField(5, 4, 3.0)
    assert [vertical.interval(i) for i in (1, 2, 3)] == [(0, 2), (2, 4), (4, 6)]
    assert [horizontal.interval(j) for j in (1, 2)] == [(1, 5), (5, 9)]


def test_section_5_2_simple_filters() -> None:
    for k, s, p in WINDOWS:
        field = window_field(k, s, p)
        assert (field.stride, field.offset, field.size) == (s, Fraction(k + 1, 2) - p, k)
        for output in (1, 2, 5):
            first, last = field.interval(output)
            assert [first, last] == [samples(k, s, p, output)[0], samples(k, s, p, output)[-1]]


def test_section_5_2_relu_is_a_filter_of_one() -> None:
    assert window_field(1, 1, 0) == POINTWISE == ReceptiveField(size=1, stride=1, offset=1)


def test_equation_5_3_is_the_last_output_within_the_padded_input() -> None:
    """H' + S (H'' - 1) - P- <= H + P+, and H'' + 1 would not satisfy it."""
    for (k, s, p), size, after in product(WINDOWS, range(5, 12), range(3)):
        last = output_size(size, k, s, p, after)
        assert window_field(k, s, p).interval(last)[1] <= size + after < window_field(k, s, p).interval(last + 1)[1]


def test_equation_5_5_which_inputs_an_output_of_the_transpose_sees() -> None:
    """1 + U (i - 1) - C <= i'' <= H' + U (i - 1) - C, and turned round as printed (with U where S is printed)."""
    for k, u, c in WINDOWS:
        size = 4
        outputs = transposed_size(size, k, u, c, 0)
        seen = pixels_seen(window_field(k, u, c).transposed(), size, outputs)
        for i, o in product(range(1, size + 1), range(1, outputs + 1)):
            assert seen[o - 1, i - 1] == (1 + u * (i - 1) - c <= o <= k + u * (i - 1) - c)
            assert seen[o - 1, i - 1] == (ceil((o + c - k) / u) + 1 <= i <= floor((o + c - 1) / u) + 1)


def test_section_5_3_receptive_field_of_the_transposed_convolution() -> None:
    for h, u, c in WINDOWS:
        field = window_field(h, u, c).transposed()
        assert field.stride == Fraction(1, u)
        assert field.offset == Fraction(2 * c - h + 1, 2 * u) + 1
        assert field.size == Fraction(h - 1, u) + 1


def test_section_5_3_output_sizes_that_a_convolution_maps_to_the_input() -> None:
    """U (H - 1) + H' - C <= H'' < U H + H' - C, of which the transpose takes the least."""
    for (k, u, c), size in product(WINDOWS, range(1, 6)):
        possible = [o for o in range(1, 40) if output_size(o, k, u, c, 0) == size]
        listed = [o for o in range(u * (size - 1) + k - c, u * size + k - c) if o >= 1]
        assert possible == listed
        assert transposed_size(size, k, u, c, 0) == u * (size - 1) + k - c


def test_section_5_4_transposing_swaps_inputs_and_outputs() -> None:
    for (k, s, p), size in product(WINDOWS, range(5, 9)):
        field, outputs = window_field(k, s, p), output_size(size, k, s, p, 2)
        assert np.array_equal(pixels_seen(field.transposed(), outputs, size), pixels_seen(field, size, outputs).T)
        assert field.transposed().transposed() == field


def test_section_5_4_example_1() -> None:
    """For S = 2, H' = 4, P- = 1 the offset is (2P - H' + 1)/(2S) + 1 = 0.75; as printed, with S for 2S, it is 0.5."""
    assert window_field(4, 2, 1).transposed() == ReceptiveField(Fraction(5, 2), Fraction(1, 2), Fraction(3, 4))


def test_section_5_5_composition_is_the_composition_of_the_samples() -> None:
    for (k, s, p), (k2, s2, p2) in product(WINDOWS[::3], WINDOWS[::4]):
        composed = window_field(k, s, p).then(window_field(k2, s2, p2))
        for output in (1, 2, 7):
            reached = [i for j in samples(k2, s2, p2, output) for i in samples(k, s, p, j)]
            assert composed.interval(output) == (min(reached), max(reached))


def test_section_5_5_printed_intermediate_step_lacks_its_brackets() -> None:
    """The step before the result prints af bg - 1 + bf for the offset; af (bg - 1) + bf holds."""
    first, second = window_field(3, 2, 0), window_field(3, 1, 0)
    assert first.then(second).offset == 2 * (2 - 1) + 2 == 4
    assert first.then(second).interval(1) == (1, 7)


def test_section_5_5_vgg_vd_16_after_each_pooling() -> None:
    """Sizes and strides from Wu's Table 2, also those of google-research/receptive_field."""
    field, after_pooling = POINTWISE, []
    for convolutions in (2, 2, 3, 3, 3):
        for _ in range(convolutions):
            field = field.then(window_field(3, 1, 1))
        field = field.then(window_field(2, 2, 0))
        after_pooling.append((field.size, field.stride))
    assert after_pooling == [(6, 2), (16, 4), (44, 8), (100, 16), (212, 32)]
    assert field.offset == 16.5
    # The first output's field reaches from -90 to 121, counted from 0.
    assert field.interval(1) == (-89, 122)


def test_section_5_6_overlay_is_the_smallest_window_around_both() -> None:
    for (k, s, p), (k2, _, p2) in product(WINDOWS, WINDOWS):
        first, second = window_field(k, s, p), window_field(k2, s, p2)
        both = overlay(first, second)
        for output in (1, 4):
            together = samples(k, s, p, output) + samples(k2, s, p2, output)
            assert both.interval(output) == (min(together), max(together))
            assert both.stride == s


def test_section_5_6_incompatible_strides_are_refused_with_both_named() -> None:
    with pytest.raises(IncompatibleStrides, match=r"size 3, stride 2, offset 2.*size 5, stride 4, offset 1\.5"):
        overlay(window_field(3, 2, 0), POINTWISE.then(ReceptiveField(5, 4, 1.5)))


def test_up_and_down_by_three_is_exact() -> None:
    """Thirds are no binary fractions: with floats three upsamplings and poolings would not come back to stride 1."""
    field = POINTWISE
    for _ in range(3):
        field = field.then(window_field(3, 3, 0).transposed())
    for _ in range(3):
        field = field.then(window_field(3, 3, 0))
    assert field.stride == 1
    assert str(field.transposed()) == str(field.transposed().transposed().transposed())
