"""Pooling in Caffe and padding in TensorFlow, along one direction, and what they are in the manual's terms.

Symbols of the manual's section 5.2.1: H the input size, H' the window, S the stride, P- and P+ the padding before and
after, H'' the output size.
"""

from __future__ import annotations

from mcnbench.geometry.sizes import extent, output_size


def caffe_output_size(size: int, window: int, stride: int, padding: int, checked: bool | None = None) -> int:
    """The output size of Caffe's pooling: ceil((H - H' + 2 P) / S) + 1, less one where equation 5.4 demands it.

    The last window must include the last pixel of the padded input, but must not start beyond the image: S (H'' - 1) -
    P- + 1 <= H (equation 5.4). Without padding Caffe skips this check; where also S > H', the last window may then lie
    outside of the image altogether, which `output_size` with ceil_mode never allows. `checked` tells whether it checks:
    it does in both directions if either is padded, as its pooling layer has it, and is the default for this one alone.

    In the manual the step from ceil to floor, ceil(a / b) = floor((a + b - 1) / b), keeps the sign of ceil around the
    sum (H - 1 + P-) / S + (P+ + S - H') / S; it must be that of floor. 0 when the window fits nowhere.
    """
    room = size + 2 * padding - window
    if room < 0:
        return 0
    places = -(-room // stride) + 1
    outside = stride * (places - 1) - padding + 1 > size
    return places - 1 if outside and (padding > 0 if checked is None else checked) else places


def floor_padding(window: int, stride: int, padding: int) -> int:
    """The padding after the image with which rounding down equals Caffe's pooling: min(P- + S - 1, H' - 1).

    Manual 5.2.1, where it is shown to be sufficient; tests/geometry shows that it gives Caffe's output size for all
    sizes, the correction of equation 5.4 included, unless Caffe skips the check (no padding and S > H').

    The manual's closing example, "H' = 3, S = 1, P- = 0 would result in P+ = 1", contradicts the formula, which gives
    min(0 + 1 - 1, 2) = 0. With stride 1 rounding up and down agree, so nothing is to be padded, and a padding of 1
    would give one output too many (H - 1 for H - 2). The numbers are right for S = 2: min(0 + 2 - 1, 2) = 1.
    """
    return min(padding + stride - 1, window - 1)


def same_padding(size: int, window: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """TensorFlow's padding SAME, (before, after): what gives ceil(H / S) outputs, the odd one after.

    It depends on the input size. Where windows do not reach to the end it is 0, and the outputs are those of VALID.
    """
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + extent(window, dilation) - size, 0)
    return total // 2, total - total // 2


def same_output_size(size: int, window: int, stride: int, dilation: int = 1) -> int:
    """The output size with TensorFlow's padding SAME: ceil(H / S)."""
    before, after = same_padding(size, window, stride, dilation)
    return output_size(size, window, stride, before, after, dilation)
