"""Section 5.2.1 of the manual (pooling in Caffe) and TensorFlow's SAME, against windows that are placed one by one."""

from __future__ import annotations

from itertools import product
from math import ceil, floor

import pytest
import torch
import torch.nn.functional as F

from mcnbench.geometry import output_size
from mcnbench.geometry.conventions import caffe_output_size, floor_padding, same_output_size, same_padding

# Caffe demands a padding smaller than the window; (H, H', S, P), every combination whose window fits.
POOLINGS = [
    (size, window, stride, padding)
    for size, window, stride, padding in product(range(1, 13), range(1, 6), range(1, 6), range(5))
    if padding < window <= size + 2 * padding
]


def uncorrected(size: int, window: int, stride: int, padding: int) -> int:
    """The least number of windows, from -P- on and S apart, of which the last reaches the end of the padded input."""
    last = 0
    while stride * last + window < size + 2 * padding:
        last += 1
    return last + 1


def test_section_5_2_1_the_last_window_includes_the_last_pixel() -> None:
    for size, window, stride, padding in POOLINGS:
        assert uncorrected(size, window, stride, padding) == ceil((size - window + 2 * padding) / stride) + 1


def test_equation_5_4_holds_after_a_correction_by_at_most_one() -> None:
    for size, window, stride, padding in POOLINGS:
        naive, given = uncorrected(size, window, stride, padding), caffe_output_size(size, window, stride, padding)
        if not padding:  # Caffe then skips the check
            assert given == naive
            continue
        assert given in (naive, naive - 1)
        assert given <= floor((size - 1 + padding) / stride) + 1
        assert stride * (given - 1) - padding + 1 <= size
        if given < naive:
            assert stride * (naive - 1) - padding + 1 > size, "corrected without need"


def test_equation_5_4_needs_no_check_where_the_stride_is_at_most_the_window_and_nothing_is_padded() -> None:
    for size, window, stride, padding in POOLINGS:
        if padding + stride <= window:
            assert stride * (uncorrected(size, window, stride, padding) - 1) - padding + 1 <= size


def test_section_5_2_1_the_sum_is_rounded_down_where_up_is_printed() -> None:
    """Having used ceil(a / b) = floor((a + b - 1) / b), the manual prints ceil: 3 for 2 at H = 5, H' = 3, S = 2."""
    for size, window, stride, padding in POOLINGS:
        total = (size - 1 + padding) + (padding + stride - window)
        assert total // stride + 1 == uncorrected(size, window, stride, padding)
    assert uncorrected(5, 3, 2, 0) == 2
    assert ceil((5 - 1) / 2 + (2 - 3) / 2) + 1 == 3


def test_section_5_2_1_the_equivalent_padding_gives_caffes_size() -> None:
    """min(P- + S - 1, H' - 1), shown there to be sufficient, is exact, but where Caffe skips the check and S > H'."""
    for size, window, stride, padding in POOLINGS:
        equivalent = output_size(size, window, stride, padding, floor_padding(window, stride, padding))
        caffe = caffe_output_size(size, window, stride, padding)
        if padding or stride <= window:
            assert equivalent == caffe == output_size(size, window, stride, padding, padding, ceil_mode=True)
        else:
            assert caffe - equivalent in (0, 1)


def test_section_5_2_1_the_closing_example_contradicts_the_formula() -> None:
    """H' = 3, S = 1, P- = 0 is said to need a right padding of 1. It needs none; S = 2 would need 1."""
    assert floor_padding(window=3, stride=1, padding=0) == 0
    assert floor_padding(window=3, stride=2, padding=0) == 1
    for size in range(3, 13):
        caffe = caffe_output_size(size, 3, 1, 0)
        assert caffe == output_size(size, 3, 1, 0, 0) == size - 2
        assert output_size(size, 3, 1, 0, 1) == caffe + 1, "the printed padding gives one output too many"


def test_caffe_without_padding_may_add_a_window_outside_of_the_image() -> None:
    """H = 5, H' = 1, S = 3: windows start at 0, 3 and 6, the last beyond the image; PyTorch's ceil_mode has two."""
    assert caffe_output_size(5, 1, 3, 0) == 3
    assert output_size(5, 1, 3, 0, 0, ceil_mode=True) == 2
    assert F.max_pool2d(torch.zeros(1, 1, 5, 1), (1, 1), (3, 1), ceil_mode=True).shape[2] == 2


@pytest.mark.parametrize(
    ("size", "window", "stride", "expected"),
    [
        (5, 3, 2, (1, 1)),
        (6, 3, 2, (0, 1)),
        (224, 7, 2, (2, 3)),
        (7, 1, 2, (0, 0)),
        (4, 2, 1, (0, 1)),
        (10, 3, 5, (0, 0)),
    ],
)
def test_same_padding(size: int, window: int, stride: int, expected: tuple[int, int]) -> None:
    """By hand from TensorFlow's documentation: outputs ceil(size / stride), the odd padding after."""
    assert same_padding(size, window, stride) == expected


def test_same_padding_gives_the_input_size_over_the_stride_and_pytorchs_same_at_stride_1() -> None:
    for size, window, stride, dilation in product(range(1, 14), range(1, 6), range(1, 6), (1, 2)):
        assert same_output_size(size, window, stride, dilation) == ceil(size / stride)
        before, after = same_padding(size, window, stride, dilation)
        assert 0 <= after - before <= 1
    for size, window, dilation in product((5, 6), (1, 3, 5), (1, 2)):
        x, w = torch.rand(1, 1, size, 1, dtype=torch.float64), torch.rand(1, 1, window, 1, dtype=torch.float64)
        before, after = same_padding(size, window, 1, dilation)
        padded = F.conv2d(F.pad(x, (0, 0, before, after)), w, dilation=(dilation, 1))
        assert torch.allclose(padded, F.conv2d(x, w, padding="same", dilation=(dilation, 1)))
