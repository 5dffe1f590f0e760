"""Stochastic gradient descent with momentum and weight decay, as torch.optim.SGD does it, in place.

    v' = momentum * v + dw + weight_decay * w,    w' = w - lr * v'

The arrays are walked once, in blocks that fit the cache. Filters are best kept in the order of ``prepare``.
"""

import numpy as np

from impl.numpy_cpu import compiled, threads
from impl.numpy_cpu.arrays import Array, check_same

BLOCK = 1 << 15  # elements


def prepare(a: Array) -> Array:
    """A copy in the memory order the blocks like best: filters (K, C, R, S) as K, R, S, C, maps as N, H, W, C."""
    return a.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2) if a.ndim == 4 else a.copy()


def sgd(w: Array, v: Array, dw: Array, *, lr: float, momentum: float, weight_decay: float) -> None:
    """Updates the parameter w and its velocity v from the gradient dw; all of one shape and dtype."""
    check_same(v, w.shape, w.dtype, "v")
    check_same(dw, w.shape, w.dtype, "dw")
    order = tuple(np.argsort([-s for s in w.strides], kind="stable"))  # the order of the memory
    flat = _flat(w, order), _flat(v, order), _flat(dw, order, copy=None)
    rate, keep, decay = (w.dtype.type(c) for c in (lr, momentum, weight_decay))

    def task(i: int) -> None:
        w, v, dw = (a[i * BLOCK : (i + 1) * BLOCK] for a in flat)
        if compiled.available:
            compiled.updated(w, v, dw, rate, keep, decay)
            return
        change = threads.scratch("change", w.shape, w.dtype)
        np.multiply(v, keep, out=v)
        np.add(v, dw, out=v)
        if decay:
            np.add(v, np.multiply(w, decay, out=change), out=v)
        np.subtract(w, np.multiply(v, rate, out=change), out=w)

    threads.run(task, -(-w.size // BLOCK))


def _flat(a: Array, order: tuple[int, ...], copy: bool | None = False) -> Array:
    """The array as one axis, its axes in the given order."""
    return a.transpose(order).reshape(-1, copy=copy)
