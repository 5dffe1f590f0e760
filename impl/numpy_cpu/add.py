"""The element-wise sum of maps (MatConvNet's dagnn.Sum); the gradient of each is dy."""

import numpy as np

from impl.numpy_cpu.arrays import Array, Pullback, check_images, check_same
from impl.numpy_cpu.elementwise import apply


def add(*xs: Array) -> tuple[Array, Pullback]:
    """y of the shape of the maps (N, C, H, W). The pullback takes dy like y and returns a fresh copy for each map.

    Raises ValueError without maps, or where a shape or dtype differs.
    """
    if not xs:
        raise ValueError("add needs at least one map, got none")
    for i, x in enumerate(xs):
        check_images(x, f"map {i}")
        check_same(x, xs[0].shape, xs[0].dtype, f"map {i}")

    def total(*maps: Array) -> None:
        first, *others, y = maps
        np.copyto(y, first)
        for other in others:
            y += other

    def pullback(dy: Array) -> tuple[Array, ...]:
        check_same(dy, xs[0].shape, xs[0].dtype, "dy")
        return tuple(apply(total, dy) for _ in xs)

    return apply(total, *xs), pullback
