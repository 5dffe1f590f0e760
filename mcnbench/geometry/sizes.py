"""How many places a window has along one direction, and the same of its transpose.

Symbols of the documents: H (i) the input size, H' (k) the window, S or U (s) the stride, P-, P+ (p) the padding before
and after, H'' (o) the output size. A prime in Dumoulin and Visin (i', o') marks the transposed convolution.
"""

from __future__ import annotations

from dataclasses import dataclass


def extent(window: int, dilation: int = 1) -> int:
    """How many inputs a dilated window spans: dilation * (window - 1) + 1."""
    return dilation * (window - 1) + 1


def output_size(
    size: int, window: int, stride: int, before: int, after: int, dilation: int = 1, ceil_mode: bool = False
) -> int:
    """The number of places of a window along one direction: floor((size + before + after - extent) / stride) + 1.

    Manual, equation 5.3; Relationships 1, 2, 5, 6 and 7 are its special cases. With `ceil_mode` the division rounds up
    (manual 5.2.1), and a last window that would start beyond the image and its padding before it is left out (equation
    5.4), as in PyTorch and, where there is padding, in Caffe. 0 when the window fits nowhere.
    """
    room = size + before + after - extent(window, dilation)
    if room < 0:
        return 0
    if not ceil_mode:
        return room // stride + 1
    places = -(-room // stride) + 1
    return places - 1 if (places - 1) * stride >= size + before else places


def half_padding(window: int) -> tuple[int, int]:
    """The padding (before, after) that keeps the size at stride 1: Relationship 3 for an odd window.

    An even window gets the odd one after (Wu, "Introduction to convolutional neural networks", section 4).
    """
    return (window - 1) // 2, window // 2


def full_padding(window: int) -> int:
    """The padding with which a window visits every position that meets the input: k - 1 (Relationship 4)."""
    return window - 1


def leftover(size: int, window: int, stride: int, before: int, after: int, dilation: int = 1) -> int:
    """How many inputs, padding included, lie after the last window: a = (i + 2p - k) mod s of Relationship 14."""
    return (size + before + after - extent(window, dilation)) % stride


def input_sizes(outputs: int, window: int, stride: int, before: int, after: int) -> range:
    """All input sizes from which a window takes `outputs` places: U (H - 1) + H' - C <= H'' < U H + H' - C.

    Manual 5.3 (where U is once printed as S); for the inputs of a convolution, Dumoulin and Visin after Relationship 6.
    """
    least = transposed_size(outputs, window, stride, before, after)
    return range(least, least + stride)


def transposed_size(size: int, window: int, stride: int, before: int, after: int, extra: int = 0) -> int:
    """The output size of a transposed convolution: stride * (size - 1) + window - before - after + extra.

    Manual 5.3, where before and after are crops and extra is 0; Relationships 8 to 14, where extra is a, the leftover
    of the convolution that is transposed. Relationships 12 to 14 are printed with the size of the stretched input in
    place of the size of the input, s (i~' - 1) + ..., which is wrong for every stride and size above 1.
    """
    return stride * (size - 1) + window - before - after + extra


@dataclass(frozen=True)
class DirectConvolution:
    """The direct convolution, of stride 1, that equals a transposed one (its filters turned by 180 degrees).

    Its input is the stretched map (`between` zeros after each input but the last), `stretched` long, padded by `before`
    and `after`; negative padding crops, which the documents leave out.
    """

    between: int
    stretched: int
    before: int
    after: int


def equivalent_direct(
    size: int, window: int, stride: int, before: int, after: int, extra: int = 0
) -> DirectConvolution:
    """The direct convolution that equals a transposed one: p' = k - p - 1 on s (i' - 1) + 1 inputs.

    Relationships 8 to 14. The `extra` zeros of Relationship 14 go to the bottom and the right, where "top and right" is
    printed. That the filters are turned by 180 degrees is not said there.
    """
    return DirectConvolution(stride - 1, stride * (size - 1) + 1, window - 1 - before, window - 1 - after + extra)
