"""A backend in PyTorch's dialect: torch.nn.functional as it is, on NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

Array = np.ndarray[Any, Any]


def version() -> str:
    return f"torch {torch.__version__}"


def max_pool2d(x: Array, *, window: Any, stride: Any, padding: Any, ceil_mode: bool) -> Any:
    return _block(lambda x: F.max_pool2d(x, window, stride, padding, ceil_mode=ceil_mode), x)


def avg_pool2d(x: Array, *, window: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool) -> Any:
    return _block(lambda x: F.avg_pool2d(x, window, stride, padding, ceil_mode, count_include_pad), x)


def conv2d(x: Array, w: Array, b: Any = None, *, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    return _block(lambda x, w, b=None: F.conv2d(x, w, b, stride, padding, dilation, groups), x, w, b)


def conv_transpose2d(x: Array, w: Array, b: Any = None, *, stride: Any, padding: Any, groups: int) -> Any:
    return _block(lambda x, w, b=None: F.conv_transpose2d(x, w, b, stride, padding, groups=groups), x, w, b)


def local_response_norm(x: Array, *, window: int, kappa: float, alpha: float, beta: float) -> Any:
    return _block(lambda x: F.local_response_norm(x, window, alpha, beta, kappa), x)


def _block(function: Callable[..., torch.Tensor], *inputs: Array | None) -> Any:
    given = [None if a is None else torch.from_numpy(a.copy()).requires_grad_() for a in inputs]
    y = function(*given)
    wanted = [t for t in given if t is not None]

    def pullback(dy: Array) -> tuple[Array | None, ...]:
        found = iter(torch.autograd.grad(y, wanted, torch.from_numpy(dy.copy()), retain_graph=True))
        return tuple(None if t is None else next(found).numpy() for t in given)

    return y.detach().numpy(), pullback
