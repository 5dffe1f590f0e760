"""Receptive fields as (size, stride, offset), in exact arithmetic.

Output i'' depends on inputs i with |i - stride * (i'' - 1) - offset| <= (size - 1) / 2 (manual, equations 5.1 and 5.2);
both are counted from 1, as in the manual. Padding counts as input here, so a field may reach beyond the image.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

Number = float | Fraction


def _exact(value: Number) -> Number:
    exact = Fraction(value)
    return exact.numerator if exact.denominator == 1 else exact


def _half(value: Number) -> Fraction:
    return Fraction(value) / 2


class IncompatibleStrides(ValueError):
    """Two receptive fields that no sliding window encloses, because they move at different strides (manual 5.6)."""


@dataclass(frozen=True)
class ReceptiveField:
    """The field of output 1 is centred at `offset`, each next one `stride` further, and spans `size` inputs.

    A transposed convolution's stride, and so its size and offset, are fractions. `dilation` is the distance between the
    inputs that a single window looks at; for a composition the field is the envelope and the dilation is 1.
    """

    size: Number
    stride: Number
    offset: Number
    dilation: int = field(default=1, compare=False)

    def __post_init__(self) -> None:
        for name in ("size", "stride", "offset"):
            object.__setattr__(self, name, _exact(getattr(self, name)))

    def interval(self, output: int) -> tuple[Number, Number]:
        """The first and the last input that output number `output` (from 1) may see (equations 5.1 and 5.2)."""
        centre = self.stride * (output - 1) + self.offset
        return _exact(centre - _half(self.size - 1)), _exact(centre + _half(self.size - 1))

    def then(self, following: ReceptiveField) -> ReceptiveField:
        """The receptive field of `following` applied to this block's output (manual 5.5).

        stride = af ag, offset = af (bg - 1) + bf, size = af (Dg - 1) + Df. The step before it is printed with
        "af bg - 1 + bf", which lacks the brackets.
        """
        return ReceptiveField(
            size=self.stride * (following.size - 1) + self.size,
            stride=self.stride * following.stride,
            offset=self.stride * (following.offset - 1) + self.offset,
        )

    def transposed(self) -> ReceptiveField:
        """The receptive field of the transposed block, in which input and output change places (manual 5.4).

        stride = 1/a, offset = (1 + a - b)/a, size = (D + a - 1)/a. For a convolution this is the field of manual 5.3;
        Example 1 there prints the offset with S for 2S: (2P - H' + 1)/(2S) + 1 is right.
        """
        a = Fraction(self.stride)
        return ReceptiveField((self.size + a - 1) / a, 1 / a, (1 + a - self.offset) / a)

    def __str__(self) -> str:
        return f"size {as_text(self.size)}, stride {as_text(self.stride)}, offset {as_text(self.offset)}"


POINTWISE = ReceptiveField(1, 1, 1.0)


def window_field(window: int, stride: int, before: int, dilation: int = 1) -> ReceptiveField:
    """The receptive field of a filter or a pooling window with `before` padding on its low side (manual 5.2).

    stride = S, offset = (H' + 1)/2 - P-, size = H', where a dilated window counts with its extent. The field of a
    transposed convolution is that of the convolution, transposed: `window_field(...).transposed()`.
    """
    size = dilation * (window - 1) + 1
    return ReceptiveField(size, stride, Fraction(size + 1, 2) - before, dilation)


def overlay(first: ReceptiveField, *others: ReceptiveField) -> ReceptiveField:
    """The receptive field of a block that takes several maps computed from the same input (manual 5.6).

    offset = (a + b)/2, size = b - a + 1, where a and b are the first and the last input of all fields of output 1 (the
    manual calls their positions i_max and i_min, the wrong way round). Raises IncompatibleStrides unless all strides
    are equal, as no sliding window encloses such fields.
    """
    for other in others:
        if other.stride != first.stride:
            raise IncompatibleStrides(
                f"the receptive fields ({first}) and ({other}) have different strides, so no sliding window holds both"
            )
    ends = [each.interval(1) for each in (first, *others)]
    low, high = min(a for a, _ in ends), max(b for _, b in ends)
    return ReceptiveField(high - low + 1, first.stride, _half(low + high))


def as_text(value: Number) -> str:
    """A size, stride or offset as text: an integer, halves as decimals, other fractions as such."""
    exact = Fraction(value)
    return str(exact) if exact.denominator not in (1, 2) else f"{float(exact):g}"
