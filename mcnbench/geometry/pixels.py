"""The exact sets of pixels that outputs depend on: borders, dilation holes and unseen pixels included.

Along one direction the sets are a boolean matrix (outputs, inputs). A block's set at (p, q) is a product, rows of p
times columns of q; where branches meet it is a union of products. Indices count from 0 here, as arrays do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import lcm

import numpy as np
import numpy.typing as npt

from mcnbench.geometry.fields import ReceptiveField

Mask = npt.NDArray[np.bool_]


def pixels_seen(field: ReceptiveField, inputs: int, outputs: int) -> Mask:
    """Which of `inputs` each of `outputs` depends on, for a single block: (outputs, inputs).

    The integers of the field's interval that lie in the map, every `dilation`-th of them. For a transposed convolution
    the manual (5.3) calls the field a relaxation of ceil((i'' + C - H')/U) + 1 .. floor((i'' + C - 1)/U) + 1; the
    integers within it are exactly these.
    """
    first, _ = field.interval(1)
    low, size, stride = Fraction(first), Fraction(field.size), Fraction(field.stride)
    unit = lcm(low.denominator, size.denominator, stride.denominator)
    starts = int(low * unit) + int(stride * unit) * np.arange(outputs)[:, None]
    places = unit * np.arange(1, inputs + 1)[None, :]
    seen = (places >= starts) & (places <= starts + int((size - 1) * unit))
    if field.dilation > 1:
        seen &= (places - starts) % (unit * field.dilation) == 0
    return seen


def inputs_seen(field: ReceptiveField, inputs: int, outputs: Mask) -> Mask:
    """Which of `inputs` some of the chosen `outputs` depends on, for a single block: (inputs,).

    The same as (pixels_seen of these outputs).any(axis=0), without that matrix: fit for maps of any size.
    """
    first, last = (Fraction(end) for end in field.interval(1))
    unit = lcm(first.denominator, last.denominator, Fraction(field.stride).denominator)
    steps = int(Fraction(field.stride) * unit) * np.flatnonzero(outputs)
    low, high = -(-(int(first * unit) + steps) // unit) - 1, (int(last * unit) + steps) // unit - 1
    seen = np.zeros(inputs, bool)
    if field.dilation > 1:
        for tap in range(0, int(field.size), field.dilation):
            places = low + tap
            seen[places[(places >= 0) & (places < inputs)]] = True
        return seen
    inside = (high >= 0) & (low < inputs) & (low <= high)
    ends = np.zeros(inputs + 1, np.int64)
    np.add.at(ends, np.maximum(low[inside], 0), 1)
    np.add.at(ends, np.minimum(high[inside] + 1, inputs), -1)
    return np.cumsum(ends[:-1]) > 0


@dataclass(frozen=True)
class Pixels:
    """Which input pixels each output pixel depends on: the union of rows x columns over `products`."""

    products: tuple[tuple[Mask, Mask], ...]

    @classmethod
    def of(cls, vertical: Mask, horizontal: Mask) -> Pixels:
        """The sets of one block from those of its two directions, each (outputs, inputs)."""
        return cls(((vertical, horizontal),))

    @classmethod
    def everything(cls, outputs: tuple[int, int], inputs: tuple[int, int]) -> Pixels:
        """Every output (of a map of that size) depends on every input."""
        return cls.of(np.ones((outputs[0], inputs[0]), bool), np.ones((outputs[1], inputs[1]), bool))

    def then(self, following: Pixels) -> Pixels:
        """The sets, in this block's input, of `following` applied to this block's output."""
        return _without_covered(
            [(_compose(v, fv), _compose(h, fh)) for v, h in self.products for fv, fh in following.products]
        )

    def union(self, other: Pixels) -> Pixels:
        """The sets of a block that takes both maps."""
        return _without_covered([*self.products, *other.products])

    def at(self, row: int, column: int) -> Mask:
        """The set of output (row, column): a mask (H, W) of the input."""
        return _any(np.outer(v[row], h[column]) for v, h in self.products)

    def unseen(self) -> Mask:
        """The pixels (H, W) that no output depends on."""
        return ~_any(np.outer(v.any(axis=0), h.any(axis=0)) for v, h in self.products)

    def dense(self) -> Mask:
        """All sets at once, (P, Q, H, W); for small maps."""
        return _any(v[:, None, :, None] & h[None, :, None, :] for v, h in self.products)


def _any(masks: Iterable[Mask]) -> Mask:
    return reduce(np.logical_or, masks)


def _compose(first: Mask, following: Mask) -> Mask:
    """The boolean product: j is seen by i if i sees some k that sees j. Sums of float32 ones are positive or zero."""
    counts: npt.NDArray[np.float32] = following.astype(np.float32) @ first.astype(np.float32)
    return counts > 0


def _without_covered(products: list[tuple[Mask, Mask]]) -> Pixels:
    """The union, without the products that another one covers everywhere (a shortcut beside a wider path)."""
    kept: list[tuple[Mask, Mask]] = []
    for v, h in products:
        if any(_within(v, kv) and _within(h, kh) for kv, kh in kept):
            continue
        kept = [(kv, kh) for kv, kh in kept if not (_within(kv, v) and _within(kh, h))]
        kept.append((v, h))
    return Pixels(tuple(kept))


def _within(inner: Mask, outer: Mask) -> bool:
    return not bool((inner & ~outer).any())
