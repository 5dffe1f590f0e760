"""softmax_log_loss: strategies, relations and reference."""

from __future__ import annotations

from typing import Any

from suites.properties.relations import batch_in_two_parts, pixels_in_another_order
from suites.properties.strategies.log_loss import invalid, sizes

EXACT = ()
BOUNDED = ("normal", "offset", "spread")
TAYLOR = "quantised"
TIES = ""
EMPTY_BATCH = True
ADJOINT = ()
RELATIONS = (batch_in_two_parts, pixels_in_another_order)

__all__ = ["invalid", "sizes"]  # as for log_loss: x and labels that fit, or do not


def reference(x: Any, labels: Any) -> Any:
    import torch.nn.functional as F

    return F.cross_entropy(x, labels.long(), reduction="sum")
