"""Pooling on torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from mcnbench.backends.torch.vjp import Result, Tensor, vjp
from mcnbench.blocks import avg_pool2d as avg_pool2d_block
from mcnbench.blocks import max_pool2d as max_pool2d_block
from mcnbench.windows import Windows, pooling_windows


def max_pool2d(
    x: Tensor,
    *,
    window: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, ...] = 0,
    ceil_mode: bool = False,
) -> Result:
    at = pooling_windows(tuple(x.shape), max_pool2d_block.Options(window, stride, padding, ceil_mode))
    top, _, left, _ = at.padding

    def function(x: Tensor) -> Tensor:
        if _is_native(at):
            return F.max_pool2d(x, at.window, at.stride, (top, left), ceil_mode=ceil_mode)
        return F.max_pool2d(F.pad(x, at.margins(), value=-float("inf")), at.window, at.stride)

    return vjp(function, x)


def avg_pool2d(
    x: Tensor,
    *,
    window: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, ...] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> Result:
    options = avg_pool2d_block.Options(window, stride, padding, ceil_mode, count_include_pad)
    at = pooling_windows(tuple(x.shape), options)
    top, _, left, _ = at.padding
    divisors = None if _is_native(at) else torch.from_numpy(at.divisors(count_include_pad)).to(x)

    def function(x: Tensor) -> Tensor:
        if divisors is None:
            return F.avg_pool2d(x, at.window, at.stride, (top, left), ceil_mode, count_include_pad)
        return window_sum(x, at) / divisors

    return vjp(function, x)


def window_sum(x: Tensor, at: Windows) -> Tensor:
    """The sum over each window, which may reach over any border."""
    return F.avg_pool2d(F.pad(x, at.margins()), at.window, at.stride, divisor_override=1)


def _is_native(at: Windows) -> bool:
    """Torch pads both sides alike, by at most half the window."""
    top, bottom, left, right = at.padding
    return (top, left) == (bottom, right) and 2 * top <= at.window[0] and 2 * left <= at.window[1]
