"""Activations, dropout, and the blocks that join maps, on torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from mcnbench.backends.sizes import check
from mcnbench.backends.torch.vjp import Result, Tensor, block, vjp


def relu(x: Tensor, *, slope: float = 0.0) -> Result:
    return block("relu", lambda x: F.leaky_relu(x, slope) if slope else F.relu(x), x, slope=slope)


def dropout(x: Tensor, mask: Tensor) -> Result:
    check("dropout", x, mask)
    y, pullback = vjp(lambda x: x * mask, x)
    return y, lambda dy: (*pullback(dy), None)


def sigmoid(x: Tensor) -> Result:
    return vjp(torch.sigmoid, x)


def tanh(x: Tensor) -> Result:
    return vjp(torch.tanh, x)


def concat(*xs: Tensor) -> Result:
    return block("concat", lambda *xs: torch.cat(xs, 1), *xs)


def add(*xs: Tensor) -> Result:
    return block("add", lambda first, *rest: sum(rest, first.clone()), *xs)
