"""Sliding windows: their options in normal form, their output sizes, and the pixels that each tap meets.

Along one axis, output p of a window of R taps reads the pixels  p * stride + r * dilation - before,  r = 0 .. R-1,
of an image with ``before`` and ``after`` pixels of padding.
"""

import dataclasses

Pair = int | tuple[int, int]
Padding = int | tuple[int, int] | tuple[int, int, int, int]


@dataclasses.dataclass(frozen=True)
class Axis:
    """One axis of a sliding window: ``size`` pixels, ``taps`` taps, ``out`` outputs; a negative ``before`` crops."""

    size: int
    taps: int
    stride: int
    dilation: int
    before: int
    out: int

    def reach(self, first: int, last: int) -> tuple[int, int]:
        """The half-open range of pixels (some of them perhaps padding) that outputs first .. last-1 read."""
        start = first * self.stride - self.before
        return start, (last - 1) * self.stride - self.before + (self.taps - 1) * self.dilation + 1

    def meets(self, tap: int, outputs: slice | None = None) -> tuple[slice, slice]:
        """Those of the outputs (of all, if None) whose tap lies inside the image, and the pixels that they meet."""
        start, stop = (0, self.out) if outputs is None else (outputs.start, outputs.stop)
        offset = tap * self.dilation - self.before
        first = max(start, -(offset // self.stride))
        last = min(stop, (self.size - 1 - offset) // self.stride + 1)
        if last <= first:
            return slice(start, start), slice(0, 0)
        start = first * self.stride + offset
        return slice(first, last), slice(start, start + (last - first - 1) * self.stride + 1, self.stride)


def pairs(axes: tuple[Axis, Axis], *names: str) -> list[tuple[int, int]]:
    """(vertical, horizontal) of each of these fields, as the compiled loops take them."""
    return [(getattr(axes[0], name), getattr(axes[1], name)) for name in names]


def pair(value: Pair, name: str) -> tuple[int, int]:
    """(vertical, horizontal), both at least 1."""
    both = (value, value) if isinstance(value, int) else tuple(value)
    if len(both) != 2 or min(both) < 1:
        raise ValueError(f"{name} must be a positive int or two of them (vertical, horizontal), got {value}")
    return both[0], both[1]


def padding4(value: Padding) -> tuple[int, int, int, int]:
    """(top, bottom, left, right), none negative."""
    sides = (value, value) if isinstance(value, int) else tuple(value)
    if len(sides) == 2:
        sides = (sides[0], sides[0], sides[1], sides[1])
    if len(sides) != 4 or min(sides) < 0:
        raise ValueError(
            "padding must be a non-negative int, (vertical, horizontal) or (top, bottom, left, right), got "
            + str(value)
        )
    return sides[0], sides[1], sides[2], sides[3]


def conv_axes(
    shape: tuple[int, ...], taps: tuple[int, int], stride: Pair, padding: Padding, dilation: Pair
) -> tuple[Axis, Axis]:
    """The vertical and horizontal axis of a convolution of maps shape[2:] by filters of ``taps``.

    Raises ValueError when the dilated filter does not fit into the padded map.
    """
    steps, gaps, sides = pair(stride, "stride"), pair(dilation, "dilation"), padding4(padding)
    axes = []
    for i, name in enumerate(("height", "width")):
        before, after = sides[2 * i], sides[2 * i + 1]
        room = shape[2 + i] + before + after - (taps[i] - 1) * gaps[i] - 1
        if taps[i] < 1 or room < 0:
            raise ValueError(
                f"a filter of {name} {taps[i]} with dilation {gaps[i]} needs a padded map of {name} at least"
                f" {max(1, (taps[i] - 1) * gaps[i] + 1)}, got {shape[2 + i]} + {before} + {after}"
            )
        axes.append(Axis(shape[2 + i], taps[i], steps[i], gaps[i], before, room // steps[i] + 1))
    return axes[0], axes[1]


def pool_axes(
    shape: tuple[int, ...], window: Pair, stride: Pair, padding: Padding, ceil_mode: bool
) -> tuple[Axis, Axis]:
    """The vertical and horizontal axis of a pooling of maps shape[2:].

    With ``ceil_mode`` the output size is rounded up, but the last window must start before the image ends.
    Raises ValueError when the window does not fit, or when the padding reaches its size (a window of padding only).
    """
    taps, steps, sides = pair(window, "window"), pair(stride, "stride"), padding4(padding)
    axes = []
    for i, name in enumerate(("height", "width")):
        size, before, after = shape[2 + i], sides[2 * i], sides[2 * i + 1]
        room = size + before + after - taps[i]
        if size < 1 or room < 0:
            raise ValueError(
                f"a window of {name} {taps[i]} needs a padded map of {name} at least {taps[i]},"
                f" got {size} + {before} + {after}"
            )
        if max(before, after) >= taps[i]:
            raise ValueError(f"padding must be smaller than the window: {name} {taps[i]}, got {before} and {after}")
        out = (-(-room // steps[i]) if ceil_mode else room // steps[i]) + 1
        if ceil_mode and (out - 1) * steps[i] >= size + before:
            out -= 1
        axes.append(Axis(size, taps[i], steps[i], 1, before, out))
    return axes[0], axes[1]
