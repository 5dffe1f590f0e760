"""A step of gradient descent in place, in one kernel: v = momentum v + (dw + weight_decay w), w = w - lr v."""

from __future__ import annotations

import numpy as np

from impl.cupy_cuda.arrays import REAL, Array, check_dtype, check_same, contiguous
from impl.cupy_cuda.launch import over_elements


def sgd(w: Array, v: Array, dw: Array, *, lr: float, momentum: float, weight_decay: float) -> None:
    """Updates w and v, contiguous and of any shape, by the gradient dw. Raises ValueError for unlike arrays."""
    check_dtype(w, REAL, "w")
    check_same(v, w.shape, w.dtype, "v")
    check_same(dw, w.shape, w.dtype, "dw")
    parameters = float(lr), float(momentum), float(weight_decay)
    over_elements("elementwise", "sgd", w.dtype, w.size, w, v, contiguous(dw), np.int64(w.size), *parameters)
