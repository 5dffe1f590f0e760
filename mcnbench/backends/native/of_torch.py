"""PyTorch's own operations, torch.nn.functional (see the package)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from mcnbench.arrays import Array
from mcnbench.backends.native import Gradients, lacking
from mcnbench.backends.torch.vjp import vjp

Tensor = torch.Tensor


def _batch_norm(x: Tensor, gain: Tensor, bias: Tensor, *, epsilon: float) -> Tensor:
    return F.batch_norm(x, None, None, gain, bias, training=True, eps=epsilon)


CALLS: dict[str, Callable[..., Tensor]] = {
    "add": torch.add,
    "avg_pool2d": lambda x, *, window, **options: F.avg_pool2d(x, window, **options),
    "batch_norm": _batch_norm,
    "conv2d": F.conv2d,
    "conv_transpose2d": F.conv_transpose2d,
    "local_response_norm": lambda x, *, window, kappa, **options: F.local_response_norm(x, window, k=kappa, **options),
    "max_pool2d": lambda x, *, window, **options: F.max_pool2d(x, window, **options),
    "relu": lambda x, *, slope=None: F.relu(x) if slope is None else F.leaky_relu(x, slope),
    "sigmoid": torch.sigmoid,
    "softmax": lambda x: F.softmax(x, 1),
    "softmax_log_loss": lambda x, labels: F.cross_entropy(x, labels, reduction="sum"),
}


def run(block: str, inputs: Sequence[Array | None], options: dict[str, Any]) -> tuple[Array, Gradients]:
    tensors = [None if a is None else torch.from_numpy(a.copy()) for a in inputs]
    try:
        y, pullback = vjp(lambda *given: CALLS[block](*given, **options), *tensors)
    except (RuntimeError, ValueError) as error:
        raise lacking(f"such call: {str(error).splitlines()[0][:120]}") from error

    def gradients(dy: Array) -> list[Array | None]:
        return [None if g is None else g.numpy() for g in pullback(torch.from_numpy(dy.copy()))]

    return y.numpy(), gradients
