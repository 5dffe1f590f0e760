"""The oracle: PyTorch in float64, and its autograd, behind NumPy arrays.

PyTorch is imported when an oracle runs, here and in the blocks' files: importing it takes longer than most commands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mcnbench.arrays import Array

if TYPE_CHECKING:
    import torch

Pullback = Callable[[Array], tuple[Array | None, ...]]


def float64_block(function: Callable[..., Any], inputs: Sequence[Array | None]) -> tuple[Array, Pullback]:
    """Runs `function`, made of torch operations, on the inputs in float64; returns (y, pullback) as a backend does.

    Real inputs become float64 tensors that require a gradient; None and integer inputs (labels) get no gradient (None).
    """
    import torch

    tensors = [None if a is None else _tensor(a) for a in inputs]
    y = function(*tensors)
    wanted = [t for t in tensors if t is not None and t.requires_grad]

    def pullback(dy: Array) -> tuple[Array | None, ...]:
        grads = iter(torch.autograd.grad(y, wanted, _tensor(dy).detach(), retain_graph=True, materialize_grads=True))
        return tuple(next(grads).numpy() if t is not None and t.requires_grad else None for t in tensors)

    return y.detach().numpy(), pullback


def _tensor(a: Array) -> torch.Tensor:
    import torch

    if np.issubdtype(a.dtype, np.floating):
        return torch.from_numpy(np.array(a, np.float64)).requires_grad_()
    return torch.from_numpy(np.array(a, np.int64))
