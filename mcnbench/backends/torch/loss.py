"""Softmax and losses on torch."""

from __future__ import annotations

import torch.nn.functional as F

from mcnbench.backends.torch.vjp import Result, Tensor, block


def softmax_log_loss(x: Tensor, labels: Tensor) -> Result:
    _check_labels(x, labels)
    return block("softmax_log_loss", lambda x, labels: F.cross_entropy(x, labels, reduction="sum"), x, labels)


def _check_labels(x: Tensor, labels: Tensor) -> None:
    """Torch ignores pixels with the label -100."""
    if labels.numel() and not (labels.min() >= 0 and labels.max() < x.shape[1]):
        raise ValueError(f"x has {x.shape[1]} channels, but labels run from {int(labels.min())} to {int(labels.max())}")
