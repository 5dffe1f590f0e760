"""Where the windows of a pooling block lie, and sums over them: what pooling and spatial normalisation share.

A window that reaches over the border is cropped to the image: padding never counts (MatConvNet manual, section 4.3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mcnbench import geometry
from mcnbench.arrays import Array, Float64, Pair, Shape, Sides, pair, sides


class PoolingOptions(Protocol):
    @property
    def window(self) -> int | tuple[int, int]: ...
    @property
    def stride(self) -> int | tuple[int, int]: ...
    @property
    def padding(self) -> int | tuple[int, ...]: ...
    @property
    def ceil_mode(self) -> bool: ...


@dataclass(frozen=True)
class Windows:
    """The P x Q windows of R x S pixels of maps of shape (N, C, H, W)."""

    shape: Shape
    window: Pair
    stride: Pair
    padding: Sides
    places: Pair

    def taps(self) -> Iterator[tuple[slice, slice]]:
        """For each of the R x S pixels of a window, in row-major order, where the P x Q of them lie in `padded`."""
        (r, s), (sv, sh), (p, q) = self.window, self.stride, self.places
        for i in range(r):
            for j in range(s):
                yield slice(i, i + sv * (p - 1) + 1, sv), slice(j, j + sh * (q - 1) + 1, sh)

    def margins(self) -> Sides:
        """Left, right, top and bottom margins (the order of torch's pad) with which every window fits."""
        top, _, left, _ = self.padding
        height, width = self._extent()
        return left, width - left - self.shape[3], top, height - top - self.shape[2]

    def padded(self, x: Array, value: float) -> Array:
        """x extended by `value` so that every window fits, also where `ceil_mode` lets one reach beyond the padding."""
        top, _, left, _ = self.padding
        full = np.full((*x.shape[:2], *self._extent()), value, x.dtype)
        full[:, :, top : top + x.shape[2], left : left + x.shape[3]] = x
        return full

    def sum(self, x: Float64) -> Float64:
        """The sum over each window, (N, C, P, Q)."""
        padded = self.padded(x, 0.0)
        total = np.zeros((*x.shape[:2], *self.places))
        for rows, columns in self.taps():
            total += padded[:, :, rows, columns]
        return total

    def spread(self, y: Float64) -> Float64:
        """The adjoint of `sum`: each pixel's sum over the windows that see it, (N, C, H, W)."""
        full = np.zeros((*y.shape[:2], *self._extent()))
        for rows, columns in self.taps():
            full[:, :, rows, columns] += y
        top, _, left, _ = self.padding
        return full[:, :, top : top + self.shape[2], left : left + self.shape[3]]

    def overlap(self) -> int:
        """How many windows see a pixel at the most."""
        counts = [min(-(-w // s), p) for w, s, p in zip(self.window, self.stride, self.places, strict=True)]
        return counts[0] * counts[1]

    def receptive_field(self) -> tuple[geometry.ReceptiveField, geometry.ReceptiveField]:
        top, _, left, _ = self.padding
        return (
            geometry.window_field(self.window[0], self.stride[0], top),
            geometry.window_field(self.window[1], self.stride[1], left),
        )

    def divisors(self, count_include_pad: bool) -> Float64:
        """What an average divides by, (1, 1, P, Q): the pixels of each window inside the image, or inside the image
        and its padding (what `ceil_mode` adds beyond that never counts, as in PyTorch)."""
        top, bottom, left, right = self.padding if count_include_pad else (0, 0, 0, 0)
        ones = np.pad(
            np.ones((1, 1, *self.shape[2:])), ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=1
        )
        rest = (0, 0, 0, 0) if count_include_pad else self.padding
        return Windows(ones.shape, self.window, self.stride, rest, self.places).sum(ones)

    def _extent(self) -> Pair:
        top, _, left, _ = self.padding
        (r, s), (sv, sh), (p, q) = self.window, self.stride, self.places
        return max(top + self.shape[2], sv * (p - 1) + r), max(left + self.shape[3], sh * (q - 1) + s)


def pooling_windows(shape: Shape | None, options: PoolingOptions) -> Windows:
    """The windows of pooling a map of that shape.

    Raises ValueError, with what was given and needed, when they do not fit. Padding must be
    smaller than the window, so that every window sees the image (manual, section 5.2.1).
    """
    if shape is None or len(shape) != 4 or min(shape[1:]) < 1:
        raise ValueError(f"wanted x (N, C, H, W) with at least one channel and one pixel, got {shape}")
    window, stride, padding = pair(options.window), pair(options.stride), sides(options.padding)
    if min(*window, *stride) < 1 or min(padding) < 0:
        raise ValueError(
            f"wanted window and stride of at least 1 and padding of at least 0, got window={options.window}, "
            f"stride={options.stride}, padding={options.padding}"
        )
    if max(padding[:2]) >= window[0] or max(padding[2:]) >= window[1]:
        raise ValueError(f"padding {padding} must be smaller than the window {window[0]}x{window[1]} that it pads")
    top, bottom, left, right = padding
    places = (
        geometry.output_size(shape[2], window[0], stride[0], top, bottom, ceil_mode=options.ceil_mode),
        geometry.output_size(shape[3], window[1], stride[1], left, right, ceil_mode=options.ceil_mode),
    )
    if min(places) < 1:
        room = shape[2] + top + bottom, shape[3] + left + right
        raise ValueError(f"the window is {window[0]}x{window[1]}, but the padded map is only {room[0]}x{room[1]}")
    return Windows(shape, window, stride, padding, places)
