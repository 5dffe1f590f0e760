"""Holds a convolution of a training step to its bound, at the size of a network's largest layers.

The oracle and the bound of `blocks.conv2d`, with what a whole network needs: in slices of filters, so that large
weights are never held in float64, and with the sums of absolute values in float32, which is many times faster; a sum of
positive terms has a small relative error there, which is added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from mcnbench.arrays import Array, Shape, pair, sides
from mcnbench.blocks import conv2d
from mcnbench.bounds import Precision, certain, convolution_coefficient
from mcnbench.network import Layer
from mcnbench.recording import Part
from mcnbench.step_check import Followers, Judging

Tensor = torch.Tensor

SLICE = 1 << 19  # weights of a fully connected layer that are judged at a time: their intermediates stay in the caches
SAMPLE = 1 << 16  # elements by which it is judged whether the factors of a sum differ and spread


def check_conv2d(
    judging: Judging,
    inputs: Sequence[Array | None],
    layer: Layer,
    y: Array,
    dy: Tensor,
    gradients: Sequence[Array | None],
    followers: Followers,
    precision: Precision,
    part: Part,
) -> None:
    """Compares y with relu etc. of the layer's convolution of (x, w, b), and the gradients (those there) with dy's.

    dy (N, K, P, Q), float64, arrives at the convolution itself. Of ungrouped filters, a part of the filters' y and dw
    and a part of the channels' dx are enough.
    """
    options: conv2d.Options = layer.options
    x, w, b = inputs
    assert x is not None
    assert w is not None
    dx, dw, db = gradients
    terms = conv2d.terms([x.shape, w.shape, None if b is None else b.shape], options)
    filters, channels = part.of(layer, len(w), x.shape[1])
    some_x, some_w, some_dy = _some(x), _some(w[filters]), _some(dy.numpy())
    factors = {"y": (some_x, some_w), "dx": (some_dy, some_w), "dw": (some_dy, some_x), "db": (some_dy,)}
    bounds = {name: _Bound(terms[name], precision, factors[name]) for name in terms}
    for name in ("dx", "dw", "db"):
        bounds[name].coefficient += 2 * followers.roundings * precision.u
    x64, xabs = _double(x), bounds["y"].magnitude(x)
    dyabs = bounds["dx"].magnitude(dy.numpy())
    conv = Convolution(options)
    for some in slices(conv, x.shape, w, filters):
        w64, wabs = _double(w[some]), bounds["y"].magnitude(w[some])
        b64, babs = (None, None) if b is None else (_double(b[some]), bounds["y"].magnitude(b[some]))
        y64, sums = conv.forward(x64, w64, b64), conv.forward(xabs, wabs, babs)
        judging.compare("y", y[:, some], *followers.forward(y64, bounds["y"](sums), some), offset=some.start, axis=1)
        del y64, sums
        if dw is not None:
            exact = conv.backward(dy[:, some], x64, w64, (False, True))[1]
            sums = conv.backward(dyabs[:, some], xabs, wabs, (False, True))[1]
            judging.compare("dw", dw[some], exact, bounds["dw"](sums), offset=some.start)
    if dx is not None:
        x64, xabs = x64[:, channels], xabs[:, channels]
        dx64, dxabs = torch.zeros_like(x64), torch.zeros_like(xabs)
        for some in slices(conv, x.shape, w, slice(0, len(w))):
            shown = w[some] if options.groups > 1 else w[some, channels]
            dx64 += conv.backward(dy[:, some], x64, _double(shown), (True, False))[0]
            dxabs += conv.backward(dyabs[:, some], xabs, bounds["dx"].magnitude(shown), (True, False))[0]
        judging.compare("dx", dx[:, channels], dx64, bounds["dx"](dxabs), offset=channels.start, axis=1)
    if db is not None:
        judging.compare("db", db, dy.sum((0, 2, 3)), bounds["db"](dy.abs().sum((0, 2, 3))))


class _Bound:
    """The bound on sums of n products, from the sums of their absolute values."""

    def __init__(self, n: int, precision: Precision, factors: tuple[Array, ...]) -> None:
        self._n, self._precision = n, precision
        self._doubled = precision.u <= 2.0**-53  # the oracle is no more exact than what is judged
        # Sums in float32 may have lost as much as the second factor restores.
        self._factor = 2.0 if self._doubled else 1 + 2 * float(certain(n, 2.0**-24))
        self.coefficient = float(convolution_coefficient(n, precision, *factors))

    def magnitude(self, a: Array) -> Tensor:
        """|a| in the arithmetic in which the absolute values are summed."""
        return torch.from_numpy(a).to(torch.float64 if self._doubled else torch.float32).abs()

    def __call__(self, sums: Tensor) -> Tensor:
        return sums.double().mul_(self.coefficient * self._factor).add_(2 * self._n * self._precision.eta)


def _double(a: Array) -> Tensor:
    return torch.from_numpy(a).double()


def _some(a: Array) -> Array:
    """Elements enough to see how an array's values are spread, in float64."""
    if a.size > SAMPLE:
        places = np.random.default_rng(0).integers(a.size, size=SAMPLE)
        a = a[np.unravel_index(places, a.shape)]
    return np.asarray(a, np.float64)


def slices(conv: Convolution, x: Shape, w: Array, filters: slice) -> Iterator[slice]:
    """The filters all at once, but a few at a time for a fully connected layer, whose weights are large."""
    few = max(1, SLICE // max(1, w[0].size)) if conv.is_dense(x, w.shape) else max(1, len(w))
    for low in range(filters.start, filters.stop, few):
        yield slice(low, min(low + few, filters.stop))


class Convolution:
    """The convolution of tensors and its gradients, in the tensors' own dtype, without autograd."""

    def __init__(self, options: Any) -> None:
        self._stride, self._dilation, self._groups = pair(options.stride), pair(options.dilation), options.groups
        self._sides = sides(options.padding)

    def forward(self, x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        if self.is_dense(x.shape, w.shape):
            return F.linear(x.flatten(1), w.flatten(1), b)[:, :, None, None]
        return F.conv2d(self._padded(x), w, b, self._stride, 0, self._dilation, self._groups)

    def backward(self, dy: Tensor, x: Tensor, w: Tensor, wanted: tuple[bool, bool]) -> tuple[Tensor, Tensor]:
        """dx and dw; those that are not wanted are empty."""
        if self.is_dense(x.shape, w.shape):
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

    def is_dense(self, x: Shape, w: Shape) -> bool:
        """Whether the filters cover the whole map: then it is a matrix product."""
        return x[2:] == w[2:] and self._groups == 1 and not any(self._sides)

    def _padded(self, x: Tensor) -> Tensor:
        top, bottom, left, right = self._sides
        return F.pad(x, (left, right, top, bottom)) if any(self._sides) else x
