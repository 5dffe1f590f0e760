"""Sizes, drawn in a few integers each, every one of which shrinks to the smallest that is valid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hypothesis import strategies as st

from mcnbench.arrays import Shape
from suites.properties.strategies import Draw

LARGE = 40
"""The largest size of the one axis of a case that may be large, beyond the tiles and vectors of most kernels."""


def integer(draw: Draw, low: int, high: int) -> int:
    """An integer from low to high, both included, all alike (st.integers prefers the ends); draws nothing if there is
    no choice."""
    return int(draw(_choices(*range(low, high + 1)))) if low < high else low


def many(draw: Draw, high: int, least: int = 1) -> int:
    """A size of the axis that may be large: mostly one of the largest fifth, beyond powers of two such as 32;
    shrinks to the least."""
    sizes = tuple(range(least, high + 1))
    return int(draw(_choices(*sizes, *sizes[-(len(sizes) // 5) :] * 8)))


def pick(draw: Draw, *choices: Any) -> Any:
    """One of the choices; shrinks to the first."""
    return draw(_choices(*choices))


@lru_cache(maxsize=None, typed=True)  # 1 is not True here
def _choices(*choices: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(choices)


def map_shape(draw: Draw, channels: int = 5, images: int = 3, size: int = 5, least: int = 1) -> Shape:
    """(N, C, H, W); in one of six cases one of them is large."""
    large = integer(draw, 0, 23)
    most = [images, channels, size, size]
    lows = (1, 1, least, least)
    return tuple(
        many(draw, LARGE, low) if i == large - 20 else integer(draw, low, high)
        for i, (low, high) in enumerate(zip(lows, most, strict=True))
    )


@dataclass(frozen=True)
class Axis:
    """One direction of a window that slides over a map, valid by construction."""

    size: int
    window: int
    stride: int
    before: int
    after: int
    dilation: int


def conv_axis(draw: Draw, large: bool = False, cover: bool = False) -> Axis:
    """A filter along one direction: any padding, also larger than the filter; the filter may exceed the image.
    `cover`: the filter covers an image without padding."""
    size = many(draw, LARGE) if large else integer(draw, 1, 7)
    before, after = integer(draw, 0, 3), integer(draw, 0, 3)
    room = size + before + after
    window = integer(draw, 1, min(room, 5))
    dilation = integer(draw, 1, min(3, (room - 1) // (window - 1))) if window > 1 else 1
    stride = integer(draw, 1, 4)
    # Only now: a case that draws less counts as simpler, and everything would shrink to covering filters.
    return Axis(size, size, 1, 0, 0, 1) if cover else Axis(size, window, stride, before, after, dilation)


def pool_axis(draw: Draw, large: bool = False, power_of_two: bool = False) -> Axis:
    """A pooling window along one direction; its padding is smaller than the window."""
    window = 2 ** integer(draw, 0, 2) if power_of_two else integer(draw, 1, 5)
    before, after = (0, 0) if power_of_two else (integer(draw, 0, window - 1), integer(draw, 0, window - 1))
    least = max(1, window - before - after)
    size = many(draw, LARGE, least) if large else integer(draw, least, max(least, 7))
    return Axis(size, window, integer(draw, 1, 4), before, after, 1)


def padding(vertical: Axis, horizontal: Axis) -> tuple[int, int, int, int]:
    """(top, bottom, left, right)."""
    return vertical.before, vertical.after, horizontal.before, horizontal.after


def break_one(draw: Draw, shape: Shape, axis: int) -> Shape:
    """The shape with one more along that axis."""
    return (*shape[:axis], shape[axis] + integer(draw, 1, 2), *shape[axis + 1 :])
