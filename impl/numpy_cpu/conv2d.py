"""Convolution (MatConvNet's vl_nnconv; manual, section 4.1): a correlation, the filter is not flipped.

    y[n, k, p, q] = b[k] + sum over c, r, s of  w[k, c, r, s] * x[n, c, p * stride + r * dilation - top, ...]

A fully connected layer, whose filters cover the map, is one matrix product of flattened images and filters; otherwise
im2row tiles (correlation.py). Memory underneath: x and y (N, H, W, C), w best (K, R, S, C).
"""

import numpy as np

from impl.numpy_cpu import correlation, fully_connected, threads
from impl.numpy_cpu.arrays import Array, Pullback, check_images, check_same, empty, nhwc
from impl.numpy_cpu.windows import Axis, Padding, Pair, conv_axes

ALL = (True, True, True)


def conv2d(
    x: Array, w: Array, b: Array | None = None, *, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> tuple[Array, Pullback]:
    """Convolves x (N, C, H, W) with w (K, C/groups, R, S) and adds b (K,): y (N, K, P, Q).

    The pullback takes dy (N, K, P, Q) and returns (dx, dw, db); of those that ``needs`` leaves out, None.
    Raises ValueError where sizes, groups or dtypes do not fit.
    """
    check_operands(x, w, b, groups)
    axes = conv_axes(x.shape, (w.shape[2], w.shape[3]), stride, padding, dilation)
    if fully_connected.covers(axes, groups):
        return fully_connected.fully_connected(x, w, b)
    y = empty((len(x), len(w), axes[0].out, axes[1].out), x.dtype)
    correlation.correlate(nhwc(x), correlation.forward_matrices(w, groups), axes, nhwc(y), b)

    def pullback(dy: Array, needs: tuple[bool, ...] = ALL) -> tuple[Array | None, ...]:
        check_same(dy, y_shape, x.dtype, "dy")
        return (
            input_gradient(dy, w, x.shape, axes, groups) if needs[0] else None,
            weight_gradient(x, dy, axes, groups) if needs[1] else None,
            bias_gradient(dy) if b is not None and needs[2] else None,
        )

    y_shape = y.shape
    return y, pullback


def check_operands(x: Array, w: Array, b: Array | None, groups: int) -> None:
    """Raises ValueError unless x, w and b fit each other and the groups."""
    check_images(x)
    check_images(w, "w")
    if groups < 1 or x.shape[1] != w.shape[1] * groups or len(w) % groups:
        raise ValueError(
            f"w must be (K, C/groups, R, S) with K a multiple of groups = {groups} and C = {x.shape[1]}, got {w.shape}"
        )
    check_same(w, w.shape, x.dtype, "w")
    if b is not None:
        check_same(b, (len(w),), x.dtype, "b")


def input_gradient(dy: Array, w: Array, shape: tuple[int, ...], axes: tuple[Axis, Axis], groups: int) -> Array:
    """dx (N, C, H, W)."""
    dx = empty(shape, dy.dtype)
    correlation.gradient_to_input(nhwc(dy), w, axes, groups, nhwc(dx))
    return dx


def weight_gradient(x: Array, dy: Array, axes: tuple[Axis, Axis], groups: int) -> Array:
    """dw (K, C/groups, R, S), its memory ordered K, R, S, C."""
    return correlation.gradient_to_weights(nhwc(x), nhwc(dy), axes, groups).transpose(0, 3, 1, 2)


def bias_gradient(dy: Array) -> Array:
    """db (K,): the sum of dy over images and pixels."""
    errors = nhwc(dy)
    shares = threads.split(len(errors), threads.threads())
    sums = np.zeros((len(shares), dy.shape[1]), dy.dtype)

    def task(i: int) -> None:
        for image in errors[shares[i]]:
            sums[i] += image.sum((0, 1))

    threads.run(task, len(shares))
    db: Array = sums.sum(0)
    return db
