"""Convolution on torch."""

from __future__ import annotations

import torch.nn.functional as F

from mcnbench.arrays import pair, sides
from mcnbench.backends.torch.vjp import Result, Tensor, block


def conv2d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Result:
    top, bottom, left, right = sides(padding)
    native = (top, left) if (top, left) == (bottom, right) else (0, 0)

    def function(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        if (top, left) != (bottom, right):
            x = F.pad(x, (left, right, top, bottom))
        return F.conv2d(x, w, b, pair(stride), native, pair(dilation), groups)

    return block("conv2d", function, x, w, b, stride=stride, padding=padding, dilation=dilation, groups=groups)


def conv_transpose2d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, ...] = 0,
    groups: int = 1,
) -> Result:
    top, bottom, left, right = sides(padding)
    rows, columns = min(top, bottom), min(left, right)  # torch crops both sides alike; the rest is cut off

    def function(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        y = F.conv_transpose2d(x, w, b, pair(stride), (rows, columns), groups=groups)
        return y[:, :, top - rows : y.shape[2] - (bottom - rows), left - columns : y.shape[3] - (right - columns)]

    return block("conv_transpose2d", function, x, w, b, stride=stride, padding=padding, groups=groups)
