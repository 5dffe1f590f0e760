"""Channels joined (MatConvNet's vl_nnconcat; manual, section 4.9)."""

from __future__ import annotations

from impl.cupy_cuda.arrays import Array, Pullback, check_images, check_same
from impl.cupy_cuda.device import cupy


def concat(*xs: Array) -> tuple[Array, Pullback]:
    """y (N, C0 + C1 + ..., H, W) of maps (N, Ci, H, W). The pullback takes dy like y and returns its parts, as copies.

    Raises ValueError for maps whose other axes or dtypes differ.
    """
    if not xs:
        raise ValueError("concat needs at least one map")
    n, _, h, w = xs[0].shape if getattr(xs[0], "ndim", 0) == 4 else (0, 0, 0, 0)
    for i, x in enumerate(xs):
        check_images(x, name=f"x{i}")
        check_same(x, (n, x.shape[1], h, w), xs[0].dtype, f"x{i}")
    y = cupy.concatenate(xs, axis=1)
    shape, dtype, counts = y.shape, y.dtype, [x.shape[1] for x in xs]

    def pullback(dy: Array) -> tuple[Array, ...]:
        check_same(dy, shape, dtype, "dy")
        parts, first = [], 0
        for count in counts:
            parts.append(dy[:, first : first + count].copy())
            first += count
        return tuple(parts)

    return y, pullback
