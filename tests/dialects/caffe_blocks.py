"""A backend in Caffe's dialect: pooling rounds up, averages count padding, alpha of the normalisation is a mean's."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from windows_by_loops import Array, Pullback, average, maximum, ranges


def version() -> str:
    return f"torch {torch.__version__}"


def _pooled(size: int, window: int, stride: int, padding: int, checked: bool) -> int:
    places = ceil((size + 2 * padding - window) / stride) + 1
    if checked and (places - 1) * stride >= size + padding:
        places -= 1
    return places


def _geometry(x: Array, window: Any, stride: Any, padding: Any) -> tuple[list[Any], list[Any]]:
    checked = bool(padding[0] or padding[1])
    places = [_pooled(x.shape[2 + i], window[i], stride[i], padding[i], checked) for i in (0, 1)]
    rows, columns = (ranges(x.shape[2 + i], window[i], stride[i], padding[i], places[i]) for i in (0, 1))
    return rows, columns


def max_pool2d(x: Array, *, window: Any, stride: Any, padding: Any) -> tuple[Array, Pullback]:
    return maximum(x, *_geometry(x, window, stride, padding), tie="rows")


def avg_pool2d(x: Array, *, window: Any, stride: Any, padding: Any) -> tuple[Array, Pullback]:
    rows, columns = _geometry(x, window, stride, padding)
    sizes = []
    for i, places in enumerate((len(rows), len(columns))):
        starts = [place * stride[i] - padding[i] for place in range(places)]
        sizes.append([min(start + window[i], x.shape[2 + i] + padding[i]) - start for start in starts])
    return average(x, rows, columns, np.outer(*sizes))


def conv2d(x: Array, w: Array, b: Any = None, *, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    given = [None if a is None else torch.from_numpy(a.copy()).requires_grad_() for a in (x, w, b)]
    y = F.conv2d(*given, stride, padding, dilation, groups)  # type: ignore[arg-type]  # the first two are tensors
    wanted = [t for t in given if t is not None]

    def pullback(dy: Array) -> tuple[Array | None, ...]:
        found = iter(torch.autograd.grad(y, wanted, torch.from_numpy(dy.copy()), retain_graph=True))
        return tuple(None if t is None else next(found).numpy() for t in given)

    return y.detach().numpy(), pullback


def local_response_norm(x: Array, *, window: int, kappa: float, alpha: float, beta: float) -> tuple[Array, None]:
    assert window % 2, "Caffe supports odd windows only"
    squares = np.pad(x.astype(np.float64) ** 2, ((0, 0), (window // 2, window // 2), (0, 0), (0, 0)))
    total = sum(squares[:, i : i + x.shape[1]] for i in range(window))
    return (x * (kappa + alpha / window * total) ** -beta).astype(x.dtype), None
