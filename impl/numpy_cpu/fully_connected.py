"""Fully connected layers: convolutions whose filters cover the map, as a product of flattened images and filters.

    y = x w^T + b,   dx = dy w,   dw = dy^T x        x (N, D), w (K, D), y (N, K),  D = C * R * S

D runs in the order of the memory of w, (R, S, C) or (C, R, S), so that the filters, the largest array, are not copied.
The threads share K in the first and third product and D in the second.
"""

import math
from collections.abc import Callable

import numpy as np

from impl.numpy_cpu import threads
from impl.numpy_cpu.arrays import Array, Pullback, check_same, empty, nhwc
from impl.numpy_cpu.windows import Axis


def covers(axes: tuple[Axis, Axis], groups: int) -> bool:
    """Whether the filters cover the map, so that there is one output pixel."""
    return groups == 1 and all(a.out == 1 and a.before == 0 and a.taps == a.size and a.dilation == 1 for a in axes)


def fully_connected(x: Array, w: Array, b: Array | None, rectify: bool = False) -> tuple[Array, Pullback]:
    """conv2d of x (N, C, R, S) with w (K, C, R, S) and b (K,): y (N, K, 1, 1); max(y, 0) if ``rectify``."""
    channels_first = w.flags.c_contiguous and not nhwc(w).flags.c_contiguous
    filters, images = _flat(w, channels_first), _flat(x, channels_first)
    y = empty((len(x), len(w), 1, 1), x.dtype)
    out = y[:, :, 0, 0]

    def forward(part: slice) -> None:
        np.matmul(images, filters[part].T, out=out[:, part])
        if b is not None:
            out[:, part] += b[part]
        if rectify:
            np.maximum(out[:, part], x.dtype.type(0), out=out[:, part])

    _share(forward, len(w))
    y_shape = y.shape

    def pullback(dy: Array, needs: tuple[bool, ...] = (True, True, True)) -> tuple[Array | None, ...]:
        check_same(dy, y_shape, x.dtype, "dy")
        errors = np.ascontiguousarray(dy.reshape(len(x), len(w)))
        if rectify:
            errors = np.where(out > 0, errors, x.dtype.type(0))
        dx = np.empty(images.shape, x.dtype) if needs[0] else None
        dw = np.empty(filters.shape, x.dtype) if needs[1] else None
        if dx is not None:
            _share(lambda part: np.matmul(errors, filters[:, part], out=dx[:, part]), images.shape[1])
        if dw is not None:
            _share(lambda part: np.matmul(errors.T[part], images, out=dw[part]), len(w))
        return (
            _unflat(dx, x.shape, channels_first),
            _unflat(dw, w.shape, channels_first),
            errors.sum(0) if b is not None and needs[2] else None,
        )

    return y, pullback


def _share(task: Callable[[slice], object], count: int) -> None:
    parts = threads.split(count, threads.threads())
    threads.run(lambda i: task(parts[i]), len(parts))


def _flat(a: Array, channels_first: bool) -> Array:
    return np.ascontiguousarray((a if channels_first else nhwc(a)).reshape(len(a), math.prod(a.shape[1:])))


def _unflat(a: Array | None, shape: tuple[int, ...], channels_first: bool) -> Array | None:
    if a is None:
        return None
    n, c, h, w = shape
    return a.reshape(shape) if channels_first else a.reshape(n, h, w, c).transpose(0, 3, 1, 2)
