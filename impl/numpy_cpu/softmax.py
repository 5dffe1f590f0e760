"""Softmax over the channels of each pixel (MatConvNet's vl_nnsoftmax; manual, sections 4.5.4 and 6.5.4).

    y_c = exp((x_c - m) / T) / sum over t of exp((x_t - m) / T),   m = max over c of x_c
    dx_c = y_c * (dy_c - sum over t of y_t dy_t) / T

With the maximum taken out no exponential overflows, and the largest is 1.
"""

import numpy as np

from impl.numpy_cpu.arrays import Array, Pullback, check_images, check_same
from impl.numpy_cpu.elementwise import apply


def softmax(x: Array, *, temperature: float = 1.0) -> tuple[Array, Pullback]:
    """y of the shape of x (N, C, H, W). The pullback takes dy like y and returns (dx,).

    Raises ValueError without channels, or for a temperature that is not above 0.
    """
    check_images(x)
    if x.shape[1] < 1 or not temperature > 0:
        raise ValueError(f"wanted at least one channel and a temperature above 0, got {x.shape} and {temperature}")
    scale = x.dtype.type(temperature)

    def forward(x: Array, y: Array) -> None:
        with np.errstate(over="ignore"):  # a difference that overflows to -inf has the exponential 0 all the same
            np.subtract(x, x.max(-1, keepdims=True), out=y)
            y /= scale
        np.exp(y, out=y)
        y /= y.sum(-1, keepdims=True)

    def backward(y: Array, dy: Array, dx: Array) -> None:
        np.multiply(y, dy, out=dx)
        np.subtract(dy, dx.sum(-1, keepdims=True), out=dx)
        dx *= y
        dx /= scale

    y = apply(forward, x)

    def pullback(dy: Array) -> tuple[Array]:
        check_same(dy, x.shape, x.dtype, "dy")
        return (apply(backward, y, dy),)

    return y, pullback
