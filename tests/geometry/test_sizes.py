"""Sizes: equation 5.3 of the manual and Relationships 1 to 14, each against windows that are placed and counted, or
against the shape and the values that PyTorch's transposed convolution gives."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mcnbench import geometry
from mcnbench.geometry import equivalent_direct, leftover, output_size, transposed_size


def placed(size: int, window: int, stride: int, before: int, after: int, dilation: int = 1) -> int:
    """Windows put down one by one on the padded line until the next one would stick out."""
    span = [dilation * tap for tap in range(window)]
    line = range(-before, size + after)
    return sum(all(start + tap in line for tap in span) for start in range(-before, size + after, stride))


SMALL = [
    (i, k, s, p) for i, k, s, p in product(range(1, 11), range(1, 6), range(1, 4), range(4)) if i + 2 * p >= k
]  # every combination whose window fits somewhere


def convolution_size(i: int, k: int, s: int, p: int) -> int:
    return F.conv2d(torch.zeros(1, 1, i, 1), torch.zeros(1, 1, k, 1), stride=(s, 1), padding=(p, 0)).shape[2]


@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_equation_5_3_counts_the_places_of_a_window(dilation: int) -> None:
    for i, k, s, before, after in product(range(1, 11), range(1, 6), range(1, 5), range(3), range(3)):
        assert output_size(i, k, s, before, after, dilation) == placed(i, k, s, before, after, dilation)


def test_extent_of_a_dilated_window_is_not_what_the_help_of_vl_nnconv_prints() -> None:
    """It prints FH * (DILATEY - 1) for the rows to subtract beyond the first; dilation * (window - 1) is right."""
    assert geometry.extent(3, 1) == 3
    assert geometry.extent(3, 2) == 5
    assert output_size(9, 3, 1, 0, 0, dilation=1) == 7


def test_relationship_1_no_padding_unit_stride() -> None:
    for i, k, s, p in SMALL:
        if s == 1 and p == 0:
            assert output_size(i, k, 1, 0, 0) == (i - k) + 1 == convolution_size(i, k, s, p)


def test_relationship_2_padding_unit_stride() -> None:
    for i, k, s, p in SMALL:
        if s == 1:
            assert output_size(i, k, 1, p, p) == (i - k) + 2 * p + 1 == convolution_size(i, k, s, p)


def test_relationship_3_half_padding_keeps_the_size() -> None:
    for i, k in product(range(1, 11), range(1, 8)):
        before, after = geometry.half_padding(k)
        assert output_size(i, k, 1, before, after) == i
        if k % 2:
            assert before == after == k // 2


def test_relationship_4_full_padding() -> None:
    for i, k in product(range(1, 11), range(1, 6)):
        p = geometry.full_padding(k)
        assert output_size(i, k, 1, p, p) == i + (k - 1) == convolution_size(i, k, 1, p)


def test_relationship_5_no_padding_any_stride() -> None:
    for i, k, s, p in SMALL:
        if p == 0:
            assert output_size(i, k, s, 0, 0) == (i - k) // s + 1 == convolution_size(i, k, s, p)


def test_relationship_6_any_padding_any_stride() -> None:
    for i, k, s, p in SMALL:
        assert output_size(i, k, s, p, p) == (i + 2 * p - k) // s + 1 == convolution_size(i, k, s, p)


def test_relationship_6_gives_one_size_for_s_inputs() -> None:
    for i, k, s, p in SMALL:
        o = output_size(i, k, s, p, p)
        if leftover(i, k, s, p, p) == 0:
            assert {output_size(i + a, k, s, p, p) for a in range(s)} == {o}
        assert [j for j in range(1, 20) if output_size(j, k, s, p, p) == o] == [
            j for j in geometry.input_sizes(o, k, s, p, p) if j >= 1
        ]


def test_relationship_7_pooling_has_the_sizes_of_a_filter() -> None:
    for i, k, s, p in SMALL:
        if p == 0:
            pooled = F.max_pool2d(torch.zeros(1, 1, i, 1), (k, 1), (s, 1)).shape[2]
            assert output_size(i, k, s, 0, 0) == (i - k) // s + 1 == pooled


def test_ceil_mode_is_pytorchs() -> None:
    for i, k, s, p in SMALL:
        if p <= k // 2:
            x = torch.zeros(1, 1, i, 1)
            pooled = F.max_pool2d(x, (k, 1), (s, 1), (p, 0), ceil_mode=True).shape[2]
            assert output_size(i, k, s, p, p, ceil_mode=True) == pooled


def transposed(i: int, k: int, s: int, p: int, a: int) -> np.ndarray:
    """The transposed convolution of 1, 2, ... by filters 1, 2, ... along one direction, as PyTorch computes it."""
    x, w = torch.arange(1.0, i + 1).reshape(1, 1, i, 1), torch.arange(1.0, k + 1).reshape(1, 1, k, 1)
    y = F.conv_transpose2d(x, w, stride=(s, 1), padding=(p, 0), output_padding=(a, 0))
    return np.asarray(y[0, 0, :, 0])


def direct(i: int, k: int, s: int, p: int, a: int) -> np.ndarray:
    """The same by the equivalent direct convolution: stretched, padded (or cropped), with the filters turned round."""
    how = equivalent_direct(i, k, s, p, p, a)
    line = np.zeros(how.stretched)
    line[:: how.between + 1] = np.arange(1, i + 1)
    line = np.pad(line, (max(how.before, 0), max(how.after, 0)))
    line = line[max(-how.before, 0) : len(line) - max(-how.after, 0)]
    return np.convolve(line, np.arange(1, k + 1), "valid")  # np.convolve turns the filter round


def check_transposed(i: int, k: int, s: int, p: int) -> int:
    """Size and values of the transpose of the convolution (i, k, s, p); returns its size o'."""
    inputs, a = output_size(i, k, s, p, p), leftover(i, k, s, p, p)
    size = transposed_size(inputs, k, s, p, p, a)
    assert size == i
    assert transposed(inputs, k, s, p, a).tolist() == direct(inputs, k, s, p, a).tolist()
    assert len(transposed(inputs, k, s, p, a)) == size
    return size


CONVOLUTIONS = [(i, k, s, p) for i, k, s, p in SMALL if p <= k]


def test_relationship_8_transpose_of_no_padding_unit_stride() -> None:
    for i, k, s, p in CONVOLUTIONS:
        if s == 1 and p == 0:
            inputs = output_size(i, k, s, p, p)
            assert check_transposed(i, k, s, p) == inputs + (k - 1)
            assert equivalent_direct(inputs, k, s, p, p).before == k - 1


def test_relationship_9_transpose_of_padding_unit_stride() -> None:
    for i, k, s, p in CONVOLUTIONS:
        if s == 1:
            inputs = output_size(i, k, s, p, p)
            assert check_transposed(i, k, s, p) == inputs + (k - 1) - 2 * p
            assert equivalent_direct(inputs, k, s, p, p).before == k - p - 1


def test_relationship_10_transpose_of_half_padding() -> None:
    for i, k, s, p in CONVOLUTIONS:
        if s == 1 and k % 2 and p == k // 2:
            inputs = output_size(i, k, s, p, p)
            assert check_transposed(i, k, s, p) == inputs
            assert equivalent_direct(inputs, k, s, p, p).before == p


def test_relationship_11_transpose_of_full_padding() -> None:
    for i, k, s, p in CONVOLUTIONS:
        if s == 1 and p == k - 1:
            inputs = output_size(i, k, s, p, p)
            assert check_transposed(i, k, s, p) == inputs - (k - 1)
            assert equivalent_direct(inputs, k, s, p, p).before == 0


def test_relationship_12_transpose_of_no_padding_any_stride() -> None:
    for i, k, s, p in CONVOLUTIONS:
        if p == 0 and (i - k) % s == 0:
            inputs = output_size(i, k, s, p, p)
            how = equivalent_direct(inputs, k, s, p, p)
            assert check_transposed(i, k, s, p) == s * (inputs - 1) + k
            assert (how.stretched, how.before, how.after) == (inputs + (inputs - 1) * (s - 1), k - 1, k - 1)
            if s > 1 and inputs > 1:  # as printed, with the stretched input's size
                assert s * (how.stretched - 1) + k != i


def test_relationship_13_transpose_of_padding_any_stride() -> None:
    for i, k, s, p in CONVOLUTIONS:
        if (i + 2 * p - k) % s == 0:
            inputs = output_size(i, k, s, p, p)
            how = equivalent_direct(inputs, k, s, p, p)
            assert check_transposed(i, k, s, p) == s * (inputs - 1) + k - 2 * p
            assert (how.before, how.after) == (k - p - 1, k - p - 1)


def test_relationship_14_transpose_of_any_convolution() -> None:
    for i, k, s, p in CONVOLUTIONS:
        inputs, a = output_size(i, k, s, p, p), (i + 2 * p - k) % s
        how = equivalent_direct(inputs, k, s, p, p, a)
        assert check_transposed(i, k, s, p) == s * (inputs - 1) + a + k - 2 * p
        assert how.after - how.before == a, "the extra zeros belong at the bottom and the right"


def test_relationship_14_figure_2_26() -> None:
    """Values from PyTorch (conv_transpose2d of 1..9 by 1..9, stride 2, padding 1, output_padding 1)."""
    x, w = torch.arange(1.0, 10).reshape(1, 1, 3, 3), torch.arange(1.0, 10).reshape(1, 1, 3, 3)
    y = F.conv_transpose2d(x, w, stride=2, padding=1, output_padding=1)[0, 0]
    how = equivalent_direct(3, 3, 2, 1, 1, 1)
    stretched = torch.zeros(1, 1, how.stretched, how.stretched)
    stretched[..., ::2, ::2] = x
    again = F.conv2d(F.pad(stretched, (how.before, how.after, how.before, how.after)), w.flip(2, 3))[0, 0]
    assert y[0].tolist() == [5, 14, 10, 24, 15, 18]
    assert torch.equal(y, again)


@pytest.mark.parametrize(
    ("figure", "parameters", "expected"),
    [
        ("2.12", (4, 3, 1, 0), 2),
        ("2.13", (5, 4, 1, 2), 6),
        ("2.14", (5, 3, 1, 1), 5),
        ("2.15", (5, 3, 1, 2), 7),
        ("2.16", (5, 3, 2, 0), 2),
        ("2.17", (5, 3, 2, 1), 3),
        ("2.18", (6, 3, 2, 1), 3),
    ],
)
def test_the_figures_of_dumoulin_and_visin(figure: str, parameters: tuple[int, int, int, int], expected: int) -> None:
    i, k, s, p = parameters
    assert output_size(i, k, s, p, p) == expected == placed(i, k, s, p, p), figure


@pytest.mark.parametrize(
    ("figure", "parameters", "inputs", "stretched", "before"),
    [
        ("2.20", (4, 3, 1, 0), 2, 2, 2),
        ("2.21", (5, 4, 1, 2), 6, 6, 1),
        ("2.22", (5, 3, 1, 1), 5, 5, 1),
        ("2.23", (5, 3, 1, 2), 7, 7, 0),
        ("2.24", (5, 3, 2, 0), 2, 3, 2),
        ("2.25", (5, 3, 2, 1), 3, 5, 1),  # printed "over a 2x2 input"
        ("2.26", (6, 3, 2, 1), 3, 5, 1),  # printed "over a 2x2 input"
    ],
)
def test_the_figures_of_transposed_convolutions(
    figure: str, parameters: tuple[int, int, int, int], inputs: int, stretched: int, before: int
) -> None:
    i, k, s, p = parameters
    how = equivalent_direct(inputs, k, s, p, p, leftover(i, k, s, p, p))
    assert output_size(i, k, s, p, p) == inputs, figure
    assert (how.stretched, how.before) == (stretched, before), figure
    assert check_transposed(i, k, s, p) == i
