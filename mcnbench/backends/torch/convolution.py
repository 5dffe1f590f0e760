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
