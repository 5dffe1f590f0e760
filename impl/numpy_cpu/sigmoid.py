"""Sigmoid (MatConvNet's vl_nnsigmoid; manual, sections 4.4 and 6.4.2).

y = 1 / (1 + exp(-x));   dx = dy * y * (1 - y)

Evaluated as y = exp(min(x, 0)) / (1 + exp(-|x|)), in which nothing overflows and a small y keeps its digits.
"""

import numpy as np

from impl.numpy_cpu.arrays import Array, Pullback, check_images, check_same
from impl.numpy_cpu.elementwise import apply


def sigmoid(x: Array) -> tuple[Array, Pullback]:
    """y of the shape of x (N, C, H, W). The pullback takes dy like y and returns (dx,). NaN propagates."""
    check_images(x)
    y = apply(_forward, x)

    def pullback(dy: Array) -> tuple[Array]:
        check_same(dy, x.shape, x.dtype, "dy")
        return (apply(_backward, y, dy),)

    return y, pullback


def _forward(x: Array, y: Array) -> None:
    below = np.abs(x)
    np.exp(np.negative(below, out=below), out=below)
    below += 1
    np.exp(np.minimum(x, 0, out=y), out=y)
    y /= below


def _backward(y: Array, dy: Array, dx: Array) -> None:
    np.subtract(1, y, out=dx)
    dx *= y
    dx *= dy
