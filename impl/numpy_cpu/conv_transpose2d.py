"""Transposed convolution (MatConvNet's vl_nnconvt; manual, sections 4.2 and 6.2): the adjoint of conv2d, as a block.

    y[n, k, i, j] = b[k] + sum over c, p, q, r, s with p * stride + r - top = i ... of  w[c, k, r, s] * x[n, c, p, q]

Seen from a convolution of maps like y to maps like x, the output here is its gradient to the input, the gradient to x
its output, and the gradient to w its own (correlation.py). Memory underneath: x and y (N, H, W, C), w any.
"""

import numpy as np

from impl.numpy_cpu import correlation, threads
from impl.numpy_cpu.arrays import Array, Pullback, check_images, check_same, empty, nhwc
from impl.numpy_cpu.windows import Axis, Padding, Pair, padding4, pair


def conv_transpose2d(
    x: Array, w: Array, b: Array | None = None, *, stride: Pair, padding: Padding, groups: int
) -> tuple[Array, Pullback]:
    """y (N, K, (H - 1) stride + R - top - bottom, ...) of x (N, C, H, W), w (C, K/groups, R, S) and b (K,).

    The pullback takes dy like y and returns (dx, dw, db). Raises ValueError where sizes, groups or dtypes do not fit.
    """
    filters = _check_operands(x, w, b, groups)
    axes = _axes(x, w, stride, padding)
    y = empty((len(x), filters, axes[0].size, axes[1].size), x.dtype)
    y_shape = y.shape
    correlation.gradient_to_input(nhwc(x), w, axes, groups, nhwc(y))
    if b is not None:
        images = nhwc(y)
        threads.run(lambda i: np.add(images[i], b, out=images[i]), len(images))

    def pullback(dy: Array) -> tuple[Array | None, ...]:
        check_same(dy, y_shape, x.dtype, "dy")
        dx = empty(x.shape, x.dtype)
        correlation.correlate(nhwc(dy), correlation.forward_matrices(w, groups), axes, nhwc(dx))
        dw, _ = correlation.gradient_to_weights(nhwc(dy), nhwc(x), axes, groups)
        return dx, dw.transpose(0, 3, 1, 2), None if b is None else _bias_gradient(nhwc(dy))

    return y, pullback


def _bias_gradient(dy: Array) -> Array:
    """The sum of dy (N, H, W, K) over images and pixels."""
    sums = np.zeros((len(dy), dy.shape[3]), dy.dtype)
    threads.run(lambda i: np.sum(dy[i], (0, 1), out=sums[i]), len(dy))
    db: Array = sums.sum(0)
    return db


def _check_operands(x: Array, w: Array, b: Array | None, groups: int) -> int:
    """The number of filters K; raises ValueError unless x, w and b fit each other and the groups."""
    check_images(x)
    check_images(w, "w")
    check_same(w, w.shape, x.dtype, "w")
    if groups < 1 or x.shape[1] % groups or len(w) != x.shape[1]:
        raise ValueError(
            f"w must be (C, K/groups, R, S) with C = {x.shape[1]} a multiple of groups = {groups}, got {w.shape}"
        )
    filters: int = w.shape[1] * groups
    if b is not None:
        check_same(b, (filters,), x.dtype, "b")
    return filters


def _axes(x: Array, w: Array, stride: Pair, padding: Padding) -> tuple[Axis, Axis]:
    """The axes of the convolution that takes y to x; raises ValueError when nothing is left of y."""
    steps, sides = pair(stride, "stride"), padding4(padding)
    axes = []
    for i, name in enumerate(("height", "width")):
        places, taps, before, after = x.shape[2 + i], w.shape[2 + i], sides[2 * i], sides[2 * i + 1]
        size = (places - 1) * steps[i] + taps - before - after
        if min(places, taps, size) < 1:
            raise ValueError(
                f"{name} {places}, stride {steps[i]} and filter {taps} make a map of {name}"
                f" {size + before + after}; cropped by {before} + {after}, at least 1 must be left"
            )
        axes.append(Axis(size, taps, steps[i], 1, before, places))
    return axes[0], axes[1]
