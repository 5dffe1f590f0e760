"""Dropout (MatConvNet's vl_nndropout; manual, section 4.5): y = x mask, dx = dy mask; the mask is already scaled."""

from __future__ import annotations

from impl.cupy_cuda.arrays import REAL, Array, Pullback, check_dtype, check_same
from impl.cupy_cuda.elementwise import apply


def dropout(x: Array, mask: Array) -> tuple[Array, Pullback]:
    """y like x. The pullback takes dy like y and returns (dx, None). Raises ValueError for a mask unlike x."""
    check_dtype(x, REAL, "x")
    check_same(mask, x.shape, x.dtype, "mask")

    def pullback(dy: Array) -> tuple[Array, None]:
        check_same(dy, mask.shape, mask.dtype, "dy")
        return apply("multiply", dy, mask), None

    return apply("multiply", x, mask), pullback
