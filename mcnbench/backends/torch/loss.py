"""Softmax, losses and distances on torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from mcnbench.backends.sizes import check_labels
from mcnbench.backends.torch.vjp import Result, Tensor, block, vjp


def softmax(x: Tensor, *, temperature: float = 1.0) -> Result:
    return block("softmax", lambda x: torch.softmax(x / temperature, 1), x, temperature=temperature)


def log_loss(x: Tensor, labels: Tensor) -> Result:
    check_labels("log_loss", x, labels)
    # Gathered before the logarithm: its gradient at a channel of 0 would be 0 / 0.
    return vjp(lambda x, labels: -x.gather(1, labels[:, None].long()).log().sum(), x, labels)


def softmax_log_loss(x: Tensor, labels: Tensor) -> Result:
    check_labels("softmax_log_loss", x, labels)
    return vjp(lambda x, labels: F.cross_entropy(x, labels.long(), reduction="sum"), x, labels)


def p_distance(x: Tensor, target: Tensor, *, p: float, root: bool = True) -> Result:
    def function(x: Tensor, target: Tensor) -> Tensor:
        d = x - target
        if root:
            distance: Tensor = torch.linalg.vector_norm(d, p, 1, keepdim=True)
            return distance
        # Where d is 0 the derivative of |d|^p, p < 1, is infinite; a constant in its place has the gradient 0.
        moved = d != 0
        return torch.where(moved, torch.where(moved, d, 1).abs() ** p, 0).sum(1, keepdim=True)

    return block("p_distance", function, x, target, p=p, root=root)
