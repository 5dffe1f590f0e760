"""PyTorch in float64 beside a block: its output and the gradients of its inputs for a given dy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[Any]


def run(function: Callable[..., torch.Tensor], dy: Array, *inputs: Array) -> tuple[Array, list[Array]]:
    """(y, gradients) of a differentiable function of the inputs, in float64."""
    tensors = [torch.tensor(a.astype(np.float64), requires_grad=True) for a in inputs]
    y = function(*tensors)
    gradients = torch.autograd.grad(y, tensors, torch.tensor(np.asarray(dy, np.float64)), allow_unused=True)
    zero = [torch.zeros_like(t) if g is None else g for t, g in zip(tensors, gradients, strict=True)]
    return y.detach().numpy(), [g.numpy() for g in zero]


def unit(dtype: Any) -> float:
    """The unit roundoff."""
    return float(np.finfo(dtype).eps) / 2


def within(got: Array, wanted: Array, bound: Array | float) -> None:
    """Fails unless |got - wanted| <= bound everywhere; says by how much it is exceeded."""
    assert got.shape == wanted.shape, f"shape {got.shape}, should be {wanted.shape}"
    excess = np.abs(got - wanted) - bound
    assert (excess <= 0).all(), (
        f"{(excess > 0).sum()} of {excess.size} elements beyond their bound, by up to {excess.max()}"
    )
