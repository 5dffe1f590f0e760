"""Convolution on torch."""

from __future__ import annotations

import torch
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
        return F.conv2d(_unambiguous(x), _unambiguous(w), b, pair(stride), native, pair(dilation), groups)

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
        y = F.conv_transpose2d(_unambiguous(x), _unambiguous(w), b, pair(stride), (rows, columns), groups=groups)
        return y[:, :, top - rows : y.shape[2] - (bottom - rows), left - columns : y.shape[3] - (right - columns)]

    return block("conv_transpose2d", function, x, w, b, stride=stride, padding=padding, groups=groups)


def _unambiguous(t: Tensor) -> Tensor:
    """The tensor, laid out as (N, C, H, W) if it has a single channel and strides that could mean either layout.

    oneDNN 3.12 in torch 2.13.0 on a CPU, with one thread, gives wrong sums for such a one (`mcnbench check` found it):
    x (1, 1, 5, 4) with the strides (20, 1, 4, 1), filters of 4x4, stride (1, 3). Torch takes it for channels last.
    """
    if t.ndim == 4 and t.shape[1] == 1 and t.stride(1) == 1:
        return t.clone(memory_format=torch.contiguous_format)
    return t
