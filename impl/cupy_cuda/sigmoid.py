"""Sigmoid (MatConvNet's vl_nnsigmoid; manual, section 4.4): y = 1 / (1 + exp(-x)), dx = dy y (1 - y)."""

from __future__ import annotations

from impl.cupy_cuda.arrays import REAL, Array, Pullback, check_dtype, check_same
from impl.cupy_cuda.elementwise import apply


def sigmoid(x: Array) -> tuple[Array, Pullback]:
    """y like x, of any shape. The pullback takes dy like y and returns (dx,)."""
    check_dtype(x, REAL, "x")
    y = apply("sigmoid", x)

    def pullback(dy: Array) -> tuple[Array]:
        check_same(dy, y.shape, y.dtype, "dy")
        return (apply("sigmoid_backward", y, dy),)

    return y, pullback
