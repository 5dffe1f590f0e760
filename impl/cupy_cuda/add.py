"""The sum of maps (MatConvNet's dagnn.Sum): y = x0 + x1 + ..., dx_i = dy."""

from __future__ import annotations

from impl.cupy_cuda.arrays import REAL, Array, Pullback, check_dtype, check_same
from impl.cupy_cuda.elementwise import apply


def add(*xs: Array) -> tuple[Array, Pullback]:
    """y like each of xs. The pullback takes dy like y and returns a gradient for each.

    Raises ValueError for unlike maps.
    """
    if not xs:
        raise ValueError("add needs at least one map")
    check_dtype(xs[0], REAL, "x0")
    for i, x in enumerate(xs):
        check_same(x, xs[0].shape, xs[0].dtype, f"x{i}")
    y = xs[0].copy() if len(xs) == 1 else apply("add", xs[0], xs[1])
    for x in xs[2:]:
        y = apply("add", y, x)
    shape, dtype, count = y.shape, y.dtype, len(xs)

    def pullback(dy: Array) -> tuple[Array, ...]:
        check_same(dy, shape, dtype, "dy")
        return tuple(dy.copy() for _ in range(count))

    return y, pullback
