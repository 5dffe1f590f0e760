"""From a function of tensors to a block: checks the sizes, runs it, and makes autograd the pullback."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import torch

from mcnbench.backends.sizes import check

Tensor = torch.Tensor
Function = Callable[..., Tensor]

transform: ContextVar[Callable[[Function], Function]] = ContextVar("transform", default=lambda function: function)
"""What becomes of every block's function before it is called: torch.compile, in torch_compile.py."""
Pullback = Callable[[Tensor], tuple[Tensor | None, ...]]
Result = tuple[Tensor, Pullback]


def block(name: str, function: Callable[..., Tensor], *inputs: Tensor | None, **options: Any) -> Result:
    """`function(*inputs)` as the block of that name, its sizes checked: (y, pullback)."""
    check(name, *inputs, **options)
    return vjp(function, *inputs)


def vjp(function: Callable[..., Tensor], *inputs: Tensor | None) -> Result:
    """(y, pullback) of `function(*inputs)`; None and integer inputs get no gradient (None)."""
    leaves: list[Any] = [t if t is None or not t.is_floating_point() else t.detach().requires_grad_() for t in inputs]
    y = transform.get()(function)(*leaves)
    wanted = [t for t in leaves if t is not None and t.requires_grad]

    def pullback(dy: Tensor) -> tuple[Tensor | None, ...]:
        grads = torch.autograd.grad(y, wanted, dy, retain_graph=True, materialize_grads=True)
        # Autograd hands out dy itself, or a view of it, where the derivative is 1: a gradient must not alias it.
        memory = dy.untyped_storage().data_ptr()
        fresh = iter([g.clone() if g.untyped_storage().data_ptr() == memory else g for g in grads])
        return tuple(next(fresh) if t is not None and t.requires_grad else None for t in leaves)

    return y.detach(), pullback
