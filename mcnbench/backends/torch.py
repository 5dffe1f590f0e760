"""PyTorch as a backend: the blocks through torch.nn.functional, the pullbacks through autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from mcnbench.arrays import Array, pair, sides

Tensor = torch.Tensor
Pullback = Callable[[Tensor], tuple[Tensor | None, ...]]


def version() -> str:
    return f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads"


def set_threads(threads: int) -> None:
    torch.set_num_threads(threads)


def from_numpy(a: Array) -> Tensor:
    return torch.from_numpy(a.copy())


def to_numpy(a: Tensor) -> Array:
    return a.detach().numpy()


def conv2d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> tuple[Tensor, Pullback]:
    top, bottom, left, right = sides(padding)

    def block(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        return F.conv2d(F.pad(x, (left, right, top, bottom)), w, b, pair(stride), 0, pair(dilation), groups)

    return _block(block, x, w, b)


def relu(x: Tensor, *, slope: float = 0.0) -> tuple[Tensor, Pullback]:
    return _block(lambda x: F.leaky_relu(x, slope) if slope else F.relu(x), x)


def _block(function: Callable[..., Tensor], *inputs: Tensor | None) -> tuple[Tensor, Pullback]:
    leaves: list[Any] = [t if t is None or not t.is_floating_point() else t.detach().requires_grad_() for t in inputs]
    y = function(*leaves)
    wanted = [t for t in leaves if t is not None and t.requires_grad]

    def pullback(dy: Tensor) -> tuple[Tensor | None, ...]:
        grads = iter(torch.autograd.grad(y, wanted, dy, retain_graph=True, materialize_grads=True))
        return tuple(next(grads) if t is not None and t.requires_grad else None for t in leaves)

    return y.detach(), pullback
