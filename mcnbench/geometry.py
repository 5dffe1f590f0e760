"""Sizes and receptive fields, along one direction at a time, after chapter 5 of the MatConvNet manual."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReceptiveField:
    """Which inputs one output sees along one direction (manual 5.2): output i (1-based) has its field's centre at
    stride * (i - 1) + offset (1-based input coordinates), and the field spans size inputs, padding included."""

    size: int
    stride: int
    offset: float

    def then(self, following: ReceptiveField) -> ReceptiveField:
        """The receptive field of `following` applied to this block's output (manual, equation for compositions)."""
        return ReceptiveField(
            size=self.stride * (following.size - 1) + self.size,
            stride=self.stride * following.stride,
            offset=self.stride * (following.offset - 1) + self.offset,
        )


POINTWISE = ReceptiveField(1, 1, 1.0)


def extent(window: int, dilation: int = 1) -> int:
    """How many inputs a dilated window spans: dilation * (window - 1) + 1."""
    return dilation * (window - 1) + 1


def window_field(window: int, stride: int, before: int, dilation: int = 1) -> ReceptiveField:
    """The receptive field of a filter or a pooling window with `before` padding on its low side (manual 5.2)."""
    size = extent(window, dilation)
    return ReceptiveField(size, stride, (size + 1) / 2 - before)


def output_size(
    size: int, window: int, stride: int, before: int, after: int, dilation: int = 1, ceil_mode: bool = False
) -> int:
    """The number of places of a window along one direction: floor((size + before + after - extent) / stride) + 1.

    With `ceil_mode` the division rounds up, and a last window that would start beyond the image and its padding
    before it is left out, as in PyTorch and Caffe. 0 when the window fits nowhere.
    """
    room = size + before + after - extent(window, dilation)
    if room < 0:
        return 0
    if not ceil_mode:
        return room // stride + 1
    places = -(-room // stride) + 1
    return places - 1 if (places - 1) * stride >= size + before else places
