"""Hyperbolic tangent: y = tanh(x), dx = dy (1 - y^2)."""

from __future__ import annotations

from impl.cupy_cuda.arrays import REAL, Array, Pullback, check_dtype, check_same
from impl.cupy_cuda.elementwise import apply


def tanh(x: Array) -> tuple[Array, Pullback]:
    """y like x, of any shape. The pullback takes dy like y and returns (dx,)."""
    check_dtype(x, REAL, "x")
    y = apply("hyperbolic_tangent", x)

    def pullback(dy: Array) -> tuple[Array]:
        check_same(dy, y.shape, y.dtype, "dy")
        return (apply("hyperbolic_tangent_backward", y, dy),)

    return y, pullback
