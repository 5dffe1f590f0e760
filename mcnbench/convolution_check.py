"""Holds a convolution of a training step to its bound, at the size of a network's largest layers.

The oracle and the bound of `blocks.conv2d`, with what a whole network needs: in slices of filters, so that large
weights are never held in float64, and with the sums of absolute values in float32, which is many times faster; a sum of
positive terms has a small relative error there, which is added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from mcnbench.arrays import Array, pair, sides
from mcnbench.blocks import conv2d
from mcnbench.bounds import Precision, certain, product_coefficient
from mcnbench.step_check import Followers, Judging

Tensor = torch.Tensor

SLICE = 1 << 23  # elements of w in a slice: 64 MiB in float64
SAMPLE = 1 << 16  # elements by which it is judged whether the factors of a sum differ and spread


def check_conv2d(
    judging: Judging,
    inputs: Sequence[Array | None],
    options: conv2d.Options,
    y: Array,
    dy: Tensor,
    gradients: Sequence[Array | None],
    followers: Followers,
    precision: Precision,
) -> None:
    """Compares y with relu etc. of the convolution of (x, w, b), and the gradients (those that are there) with dy's.

    dy (N, K, P, Q), float64, arrives at the convolution itself.
    """
    x, w, b = inputs
    assert x is not None
    assert w is not None
    dx, dw, db = gradients
    terms = conv2d.terms([x.shape, w.shape, None if b is None else b.shape], options)
    factors = {"y": (x, w), "dx": (dy.numpy(), w), "dw": (dy.numpy(), x), "db": (dy.numpy(),)}
    bounds = {name: _Bound(terms[name], precision, factors[name]) for name in terms}
    for name in ("dx", "dw", "db"):
        bounds[name].coefficient += 2 * followers.roundings * precision.u
    x64, xabs = torch.from_numpy(x).double(), bounds["y"].magnitude(x)
    dx64 = torch.zeros_like(x64) if dx is not None else None
    dxabs = torch.zeros_like(xabs) if dx is not None else None
    for part in _slices(w, options.groups):
        seen, made = slice(part.first, part.last), slice(part.low, part.high)
        conv = Convolution(options, part.groups)
        w_part = w[made]
        b_part = None if b is None else b[made]
        y64 = conv.forward(x64[:, seen], _double(w_part), None if b_part is None else _double(b_part))
        sums = conv.forward(
            xabs[:, seen], bounds["y"].magnitude(w_part), None if b_part is None else bounds["y"].magnitude(b_part)
        )
        judging.compare("y", y[:, made], *followers.forward(y64, bounds["y"](sums), made), offset=part.low, axis=1)
        del y64, sums
        wanted = dx is not None, dw is not None
        if any(wanted):
            exact = conv.backward(dy[:, made], x64[:, seen], _double(w_part), wanted)
            sums_of = conv.backward(
                bounds["dx"].magnitude(dy[:, made].numpy()), xabs[:, seen], bounds["dx"].magnitude(w_part), wanted
            )
            if dx64 is not None and dxabs is not None:
                dx64[:, seen] += exact[0]
                dxabs[:, seen] += sums_of[0]
            if dw is not None:
                judging.compare("dw", dw[made], exact[1], bounds["dw"](sums_of[1]), offset=part.low)
    if dx is not None and dx64 is not None and dxabs is not None:
        judging.compare("dx", dx, dx64, bounds["dx"](dxabs))
    if db is not None:
        judging.compare("db", db, dy.sum((0, 2, 3)), bounds["db"](dy.abs().sum((0, 2, 3))))


class _Bound:
    """The bound on sums of n products, from the sums of their absolute values."""

    def __init__(self, n: int, precision: Precision, factors: tuple[Array, ...]) -> None:
        self._n, self._precision = n, precision
        self._doubled = precision.u <= 2.0**-53  # the oracle is no more exact than what is judged
        self.coefficient = float(product_coefficient(n, precision.u, *map(_some, factors)))

    def magnitude(self, a: Array) -> Tensor:
        """|a| in the arithmetic in which the absolute values are summed."""
        return torch.from_numpy(a).to(torch.float64 if self._doubled else torch.float32).abs()

    def __call__(self, sums: Tensor) -> Tensor:
        sums = sums.double()
        if not self._doubled:  # summed in float32, which may lose as much
            sums *= 1 + 2 * float(certain(self._n, 2.0**-24))
        return (sums * self.coefficient + 2 * self._n * self._precision.eta) * (2 if self._doubled else 1)


def _double(a: Array) -> Tensor:
    return torch.from_numpy(a).double()


def _some(a: Array) -> Array:
    """Elements enough to see how an array's values are spread, in float64."""
    if a.size > SAMPLE:
        places = np.random.default_rng(0).integers(a.size, size=SAMPLE)
        a = a[np.unravel_index(places, a.shape)]
    return np.asarray(a, np.float64)


@dataclass(frozen=True)
class _Slice:
    """Filters low .. high - 1, in whole groups or within one, which see channels first .. last - 1."""

    low: int
    high: int
    first: int
    last: int
    groups: int


def _slices(w: Array, groups: int) -> Iterator[_Slice]:
    k, c = w.shape[:2]
    each = k // groups
    whole = max(1, SLICE // max(1, w.size // groups))
    few = max(1, SLICE // max(1, w[0].size))
    for g in range(0, groups, whole):
        n = min(whole, groups - g)
        for low in range(g * each, (g + n) * each, few if n == 1 else n * each):
            yield _Slice(low, min(low + (few if n == 1 else n * each), (g + n) * each), g * c, (g + n) * c, n)


class Convolution:
    """The convolution of tensors and its gradients, in the tensors' own dtype, without autograd."""

    def __init__(self, options: Any, groups: int) -> None:
        self._stride, self._dilation, self._groups = pair(options.stride), pair(options.dilation), groups
        self._sides = sides(options.padding)

    def forward(self, x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        if self._is_dense(x, w):
            return F.linear(x.flatten(1), w.flatten(1), b)[:, :, None, None]
        return F.conv2d(self._padded(x), w, b, self._stride, 0, self._dilation, self._groups)

    def backward(self, dy: Tensor, x: Tensor, w: Tensor, wanted: tuple[bool, bool]) -> tuple[Tensor, Tensor]:
        """dx and dw; those that are not wanted are empty."""
        if self._is_dense(x, w):
            flat = dy.flatten(1)
            dx = (flat @ w.flatten(1)).view_as(x) if wanted[0] else x.new_empty(0)
            return dx, (flat.T @ x.flatten(1)).view_as(w) if wanted[1] else x.new_empty(0)
        top, _, left, _ = self._sides
        dx, dw, _ = torch.ops.aten.convolution_backward(
            dy, self._padded(x), w, None, self._stride, (0, 0), self._dilation, False, (0, 0), self._groups,
            (*wanted, False),
        )  # fmt: skip
        if wanted[0]:
            dx = dx[:, :, top : top + x.shape[2], left : left + x.shape[3]]
        return dx, dw

    def _is_dense(self, x: Tensor, w: Tensor) -> bool:
        return x.shape[2:] == w.shape[2:] and self._groups == 1 and not any(self._sides)

    def _padded(self, x: Tensor) -> Tensor:
        top, bottom, left, right = self._sides
        return F.pad(x, (left, right, top, bottom)) if any(self._sides) else x
