"""max_pool2d against PyTorch: permutations (no ties) exactly, ties and NaN by what is documented."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impl import numpy_cpu
from tests.numpy_cpu import oracle


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(0, 2),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_agrees_with_torch(
    shape: tuple[int, int, int, int], window: int, stride: int, padding: int, ceil_mode: bool, seed: int
) -> None:
    padding = min(padding, window // 2)
    if min(shape[2:]) + 2 * padding < window:
        return
    rng = np.random.default_rng(seed)
    x = rng.permutation(int(np.prod(shape))).reshape(shape).astype(np.float32)
    y, pullback = numpy_cpu.max_pool2d(x, window=window, stride=stride, padding=padding, ceil_mode=ceil_mode)
    dy = rng.integers(-4, 5, y.shape).astype(np.float32)
    wanted, (dx,) = oracle.run(
        lambda t: torch.nn.functional.max_pool2d(t, window, stride, padding, ceil_mode=ceil_mode), dy, x
    )
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(pullback(dy)[0], dx)


def test_padding_on_one_side_reads_as_minus_infinity() -> None:
    x = -np.arange(1, 17, dtype=np.float32).reshape(1, 1, 4, 4)
    y, pullback = numpy_cpu.max_pool2d(x, window=3, stride=3, padding=(0, 2, 0, 2))
    np.testing.assert_array_equal(y[0, 0], [[-1, -4], [-13, -16]])
    np.testing.assert_array_equal(
        np.argwhere(pullback(np.ones_like(y))[0]), [[0, 0, 0, 0], [0, 0, 0, 3], [0, 0, 3, 0], [0, 0, 3, 3]]
    )


@pytest.mark.parametrize(("window", "stride"), [(2, 2), (3, 2), (2, 1), (3, 3)])
def test_a_tie_goes_to_the_first_maximum_in_row_major_order(window: int, stride: int) -> None:
    rng = np.random.default_rng(3)
    x = rng.integers(0, 2, (2, 3, 9, 9)).astype(np.float32)
    y, pullback = numpy_cpu.max_pool2d(x, window=window, stride=stride, padding=0)
    dy = rng.integers(1, 5, y.shape).astype(np.float32)
    wanted = np.zeros_like(x)
    for n, c, p, q in np.ndindex(*y.shape):
        part = x[n, c, p * stride : p * stride + window, q * stride : q * stride + window]
        i, j = np.unravel_index(np.argmax(part), part.shape)
        wanted[n, c, p * stride + i, q * stride + j] += dy[n, c, p, q]
    np.testing.assert_array_equal(pullback(dy)[0], wanted)


def test_nan_propagates_to_the_windows_that_hold_it() -> None:
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    x[0, 0, 1, 1] = np.nan
    y, pullback = numpy_cpu.max_pool2d(x, window=2, stride=2, padding=0)
    np.testing.assert_array_equal(y[0, 0], [[np.nan, 7], [13, 15]])
    assert pullback(np.ones_like(y))[0][0, 0, 1, 1] == 1


def test_all_minus_infinity() -> None:
    x = np.full((1, 1, 4, 4), -np.inf, np.float32)
    y, pullback = numpy_cpu.max_pool2d(x, window=2, stride=2, padding=0)
    assert (y == -np.inf).all()
    np.testing.assert_array_equal(pullback(np.ones_like(y))[0][0, 0], np.tile([[1, 0], [0, 0]], (2, 2)))


@pytest.mark.parametrize(
    ("window", "padding", "message"),
    [
        (5, 0, "needs a padded map of height at least 5, got 4"),
        (2, 2, "smaller than the window"),
        (0, 0, "window must"),
    ],
)
def test_sizes_that_do_not_fit(window: int, padding: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        numpy_cpu.max_pool2d(np.zeros((1, 1, 4, 4), np.float32), window=window, stride=1, padding=padding)
