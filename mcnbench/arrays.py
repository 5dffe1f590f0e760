"""The types of arrays and shapes, and how an option that stands for both directions is written."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Float64 = npt.NDArray[np.float64]
Shape = tuple[int, ...]
Pair = tuple[int, int]
Sides = tuple[int, int, int, int]


def pair(value: int | tuple[int, ...]) -> Pair:
    """An int or (vertical, horizontal) as (vertical, horizontal)."""
    if isinstance(value, int):
        return value, value
    if len(value) != 2:
        raise ValueError(f"wanted an int or (vertical, horizontal), got {value!r}")
    return value[0], value[1]


def sides(value: int | tuple[int, ...]) -> Sides:
    """An int, (vertical, horizontal) or (top, bottom, left, right) as (top, bottom, left, right)."""
    if isinstance(value, int):
        return value, value, value, value
    if len(value) == 2:
        return value[0], value[0], value[1], value[1]
    if len(value) != 4:
        raise ValueError(
            f"wanted padding as an int, (vertical, horizontal) or (top, bottom, left, right), got {value!r}"
        )
    return value[0], value[1], value[2], value[3]
