"""Dropout (MatConvNet's vl_nndropout): y = x * mask, dx = dy * mask. The mask holds 0 and 1 / (1 - rate)."""

import numpy as np

from impl.numpy_cpu.arrays import Array, Pullback, check_images, check_same
from impl.numpy_cpu.elementwise import apply


def dropout(x: Array, mask: Array) -> tuple[Array, Pullback]:
    """y of the shape of x (N, C, H, W); the mask has its shape and dtype. The pullback returns (dx, None)."""
    check_images(x)
    check_same(mask, x.shape, x.dtype, "mask")

    def product(a: Array, mask: Array, out: Array) -> None:
        np.multiply(a, mask, out=out)

    def pullback(dy: Array) -> tuple[Array, None]:
        check_same(dy, x.shape, x.dtype, "dy")
        return apply(product, dy, mask), None

    return apply(product, x, mask), pullback
