"""Rectified linear unit (MatConvNet's vl_nnrelu; manual, section 4.4).

y = max(x, 0),   or with a slope  y = x where x > 0, slope * x elsewhere;    dx = dy where x > 0, slope * dy elsewhere
"""

import numpy as np

from impl.numpy_cpu.arrays import Array, Pullback, check_images, check_same
from impl.numpy_cpu.elementwise import apply


def relu(x: Array, *, slope: float = 0.0) -> tuple[Array, Pullback]:
    """y of the shape of x (N, C, H, W). The pullback takes dy like y and returns (dx,). NaN propagates."""
    check_images(x)

    def forward(x: Array, y: Array) -> None:
        if slope == 0:
            np.maximum(x, 0, out=y)
        else:
            np.multiply(x, x.dtype.type(slope), out=y)
            np.copyto(y, x, where=x > 0)

    def backward(x: Array, dy: Array, dx: Array) -> None:
        if slope == 0:
            dx[...] = 0
        else:
            np.multiply(dy, dy.dtype.type(slope), out=dx)
        np.copyto(dx, dy, where=x > 0)

    def pullback(dy: Array) -> tuple[Array]:
        check_same(dy, x.shape, x.dtype, "dy")
        return (apply(backward, x, dy),)

    return apply(forward, x), pullback
