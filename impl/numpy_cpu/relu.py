"""Rectified linear unit (MatConvNet's vl_nnrelu; manual, section 4.4).

y = max(x, 0),   or with a slope  y = x where x > 0, slope * x elsewhere;    dx = dy where x > 0, slope * dy elsewhere
"""

import numpy as np

from impl.numpy_cpu.arrays import Array, Pullback, check_images, check_same
from impl.numpy_cpu.elementwise import apply
from impl.numpy_cpu.masks import keep, positive


def relu(x: Array, *, slope: float = 0.0) -> tuple[Array, Pullback]:
    """y of the shape of x (N, C, H, W). The pullback takes dy like y and returns (dx,). NaN propagates."""
    check_images(x)

    def forward(x: Array, y: Array) -> None:
        np.maximum(x, np.zeros(x.shape[1:], x.dtype), out=y)  # several times faster than with a scalar 0
        if slope:
            negative = np.minimum(x, np.zeros(x.shape[1:], x.dtype))
            np.add(y, np.multiply(negative, x.dtype.type(slope), out=negative), out=y)

    def backward(x: Array, dy: Array, dx: Array) -> None:
        keep(dy, positive(x), dx)
        if slope:
            rest = np.multiply(dy, dy.dtype.type(slope))
            keep(rest, np.logical_not(positive(x)), rest)
            np.add(dx, rest, out=dx)

    def pullback(dy: Array) -> tuple[Array]:
        check_same(dy, x.shape, x.dtype, "dy")
        return (apply(backward, x, dy),)

    return apply(forward, x), pullback
