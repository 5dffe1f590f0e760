"""ReLU (MatConvNet's vl_nnrelu; manual, section 4.4): y = x where x > 0, else slope x; at 0 the derivative is slope."""

from __future__ import annotations

from impl.cupy_cuda.arrays import ALSO_16_BIT, Array, Pullback, check_dtype, check_same
from impl.cupy_cuda.elementwise import apply


def relu(x: Array, *, slope: float = 0.0) -> tuple[Array, Pullback]:
    """y like x, of any shape. The pullback takes dy like y and returns (dx,)."""
    check_dtype(x, ALSO_16_BIT, "x")

    def pullback(dy: Array) -> tuple[Array]:
        check_same(dy, x.shape, x.dtype, "dy")
        return (apply("relu_backward", x, dy, parameters=(slope,)),)

    return apply("relu", x, parameters=(slope,)), pullback
