"""Where an array is wrong, in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mcnbench.pattern import describe

RIGHT = np.random.default_rng(0).normal(size=(2, 4, 5, 6))


def changed(*index: Any, to: float | None = None) -> np.ndarray[Any, np.dtype[np.float64]]:
    got = RIGHT.copy()
    got[index] = to if to is not None else got[index] + np.random.default_rng(1).normal(size=got[index].shape)
    return got


@pytest.mark.parametrize(
    ("got", "words"),
    [
        (changed(..., -1), "only the last column"),
        (changed(..., -1, to=0.0), "only the last column (40 of 240 elements); zero stands there"),
        (changed(..., 0, slice(None), to=np.nan), "only the first row (48 of 240 elements); NaN stands there"),
        (changed(slice(None), slice(1, None, 2)), "every second channel from channel 1"),
        (changed(1), "only the last image"),
        (changed(slice(None), 2), "only channel 2"),
        (changed(..., slice(4, 6)), "only the last 2 columns"),
        (changed(..., slice(1, 4)), "only columns 1 to 3"),
        (changed(0, 1, 2, 3), "only column 3 of row 2 of channel 1 of the first image (1 of 240 elements)"),
        (RIGHT * 2, "every element is 2 times the right one"),
        (-RIGHT, "every element has the wrong sign"),
        (RIGHT + 1, "every element is off by +1"),
        (RIGHT * 0, "every element is zero"),
        (RIGHT * np.nan, "every element is NaN"),
        (RIGHT[:, :, ::-1], "the rows are in reverse order"),
        (RIGHT[:, :, ::-1, ::-1], "turned by 180 degrees"),
        (np.roll(RIGHT, 1, 1), "the channels are rolled by 1"),
        (RIGHT[:, [1, 0, 3, 2]], "the channels stand in the order 1, 0, 3, 2"),
        (np.random.default_rng(2).normal(size=RIGHT.shape), "every element is wrong"),
    ],
)
def test_patterns(got: np.ndarray[Any, np.dtype[np.float64]], words: str) -> None:
    assert words in describe("y", got, RIGHT, ~(np.abs(got - RIGHT) <= 1e-12))


def test_transposed() -> None:
    right = np.random.default_rng(0).normal(size=(1, 2, 4, 4))
    got = right.swapaxes(2, 3).copy()
    assert describe("y", got, right, got != right) == "transposed: rows and columns are exchanged"


def test_off_by_one_row() -> None:
    got = np.zeros_like(RIGHT)
    got[:, :, 1:] = RIGHT[:, :, :-1]
    assert describe("y", got, RIGHT, got != RIGHT) == "off by one row: what belongs there stands one later"


def test_border_and_factor() -> None:
    got = RIGHT / 2
    got[..., 1:-1, 1:-1] = RIGHT[..., 1:-1, 1:-1]
    words = describe("y", got, RIGHT, got != RIGHT)
    assert words.startswith("only the border of the map")
    assert words.endswith("0.5 times the right value stands there")


def test_filters_are_named_in_dw() -> None:
    got = RIGHT.copy()
    got[1] = 0
    assert describe("dw", got, RIGHT, got != RIGHT).startswith("only the last filter")
