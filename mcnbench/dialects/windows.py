"""Pooling and convolution in a dialect: which of its keywords put the windows where they are wanted.

Along one direction windows are placed by the padding before the map and the number of places, given window and stride;
what is averaged also depends on how many pixels each place counts. Two calls mean the same if these are equal. A
dialect has few ways to say something: they are tried one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mcnbench.arrays import Pair, Shape, Sides
from mcnbench.dialects import Inexpressible, Padding, Pooling
from mcnbench.geometry import extent, output_size
from mcnbench.geometry.conventions import caffe_output_size, same_padding


@dataclass(frozen=True)
class Places:
    """Where the windows of one direction are, and how many pixels each counts."""

    before: int
    places: int
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Line:
    """One direction of a map, and the windows that are to be placed on it."""

    size: int
    window: int
    stride: int
    dilation: int = 1

    def placed(self, before: int, after: int, *, ceil_mode: bool = False, padded: bool = False) -> Places:
        """The windows in the words of mcnbench's contract; `padded`: padding counts."""
        places = output_size(self.size, self.window, self.stride, before, after, self.dilation, ceil_mode)
        return self._counted(before, places, after, padded)

    def placed_by_caffe(self, padding: int, *, checked: bool, padded: bool) -> Places:
        """The windows of Caffe's pooling (manual 5.2.1)."""
        places = caffe_output_size(self.size, self.window, self.stride, padding, checked)
        return self._counted(padding, places, padding, padded)

    def least_after(self, places: Places) -> int:
        """The least padding behind the map with which, rounded down, there are as many places."""
        reach = (places.places - 1) * self.stride + extent(self.window, self.dilation)
        return max(0, reach - self.size - places.before)

    def _counted(self, before: int, places: int, after: int, padded: bool) -> Places:
        low, high = (-before, self.size + after) if padded else (0, self.size)
        starts = (place * self.stride - before for place in range(places))
        return Places(before, places, tuple(min(s + self.window, high) - max(s, low) for s in starts))


Lines = tuple[Line, Line]
Placed = tuple[Places, Places]
Way = tuple[dict[str, Any], Placed]


def lines(x: Shape, window: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Lines:
    """Both directions of a map (N, C, H, W)."""
    return Line(x[2], window[0], stride[0], dilation[0]), Line(x[3], window[1], stride[1], dilation[1])


def placed(line: Lines, padding: Sides, *, ceil_mode: bool = False, padded: bool = False) -> Placed:
    """The windows in the words of mcnbench's contract."""
    top, bottom, left, right = padding
    return (
        line[0].placed(top, bottom, ceil_mode=ceil_mode, padded=padded),
        line[1].placed(left, right, ceil_mode=ceil_mode, padded=padded),
    )


def pooling_ways(line: Lines, given: Sides, wanted: Placed, words: Pooling, average: bool) -> Iterator[Way]:
    """The ways to pool with the padding before the map that is wanted: the keywords, and where they put the windows."""
    half = words.largest_padding == "half"
    for keyword, padding in _paddings(line, given, wanted, words.padding):
        if any(side > (each.window // 2 if half else each.window - 1) for each, side in _per_side(line, padding)):
            continue
        for ceil_mode in (False, True) if words.rounding == "asked" else (None,):
            for include in (False, True) if average and words.divisor == "asked" else (None,):
                padded = words.divisor == "padded" if include is None else include
                if words.rounding == "ceil":
                    means = _placed_by_caffe(line, padding, padded)
                else:
                    means = placed(line, padding, ceil_mode=bool(ceil_mode), padded=padded)
                options = {"padding": keyword, "ceil_mode": ceil_mode, "count_include_pad": include}
                yield {name: value for name, value in options.items() if value is not None}, means


def padding_ways(line: Lines, given: Sides, wanted: Placed, form: Padding) -> Iterator[Way]:
    """The ways to pad a convolution with the padding before the map that is wanted."""
    for keyword, padding in _paddings(line, given, wanted, form):
        yield {"padding": keyword}, placed(line, padding)


def choose(ways: Iterable[Way], wanted: Placed, title: str, *, average: bool = False) -> dict[str, Any]:
    """The keywords of the first way that means what is wanted; raises Inexpressible if there is none."""
    divides_otherwise = False
    for keywords, means in ways:
        if same(means, wanted, average):
            return keywords
        divides_otherwise |= same(means, wanted, False)
    if divides_otherwise:
        raise Inexpressible(f"{title} divides averages at the border by another number of pixels")
    raise Inexpressible(f"{title} has no padding and rounding that puts the windows there")


def same(first: Placed, second: Placed, average: bool) -> bool:
    """Whether two placements of windows of one size are the same block."""
    return all(
        (a.before, a.places) == (b.before, b.places) and (not average or a.counts == b.counts)
        for a, b in zip(first, second, strict=True)
    )


def padding_of(keyword: Any, line: Lines) -> Sides:
    """What the keyword `padding` of any dialect stands for."""
    if keyword == "valid":
        return 0, 0, 0, 0
    if keyword == "same":
        (top, bottom), (left, right) = (same_padding(a.size, a.window, a.stride, a.dilation) for a in line)
        return top, bottom, left, right
    if len(keyword) == 2:
        return keyword[0], keyword[0], keyword[1], keyword[1]
    return keyword[0], keyword[1], keyword[2], keyword[3]


def _paddings(line: Lines, given: Sides, wanted: Placed, form: Padding) -> Iterator[tuple[Any, Sides]]:
    vertical, horizontal = wanted
    if form == "same-or-valid":
        keywords: tuple[Any, ...] = ("valid", "same")
    elif form == "symmetric":
        keywords = ((vertical.before, horizontal.before),)
    else:
        after = line[0].least_after(vertical), line[1].least_after(horizontal)
        keywords = (given, (vertical.before, after[0], horizontal.before, after[1]))
    for keyword in keywords:
        yield keyword, padding_of(keyword, line)


def _placed_by_caffe(line: Lines, padding: Sides, padded: bool) -> Placed:
    checked = max(padding) > 0
    return (
        line[0].placed_by_caffe(padding[0], checked=checked, padded=padded),
        line[1].placed_by_caffe(padding[2], checked=checked, padded=padded),
    )


def _per_side(line: Lines, padding: Sides) -> Iterator[tuple[Line, int]]:
    top, bottom, left, right = padding
    yield from ((line[0], top), (line[0], bottom), (line[1], left), (line[1], right))
