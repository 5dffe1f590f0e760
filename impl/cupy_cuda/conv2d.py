"""Convolution (MatConvNet's vl_nnconv; manual, section 4.1): a correlation, the filter is not flipped.

    y[n, k, p, q] = b[k] + sum over c, r, s of  w[k, c, r, s] * x[n, c, p * stride + r * dilation - top, ...]

Sub-batches of images become matrices (im2row), which cuBLAS multiplies by the filters; 16-bit numbers are summed in
float32. A fully connected layer, whose filters cover the map, is one matrix product. cuBLAS sums in one order for
one shape on one device, and the kernels gather: equal inputs give equal bits.
"""

from __future__ import annotations

from impl.cupy_cuda.arrays import ALSO_16_BIT, Array, Pullback, check_images, check_same, contiguous
from impl.cupy_cuda.channel_sums import channel_sum
from impl.cupy_cuda.device import cupy
from impl.cupy_cuda.elementwise import add_bias, add_to, apply
from impl.cupy_cuda.im2row import finish, im2row, products, row2im, sub_batches, swapped
from impl.numpy_cpu.windows import Axis, Padding, Pair, conv_axes

ALL = (True, True, True)


def conv2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> tuple[Array, Pullback]:
    """Convolves x (N, C, H, W) with w (K, C/groups, R, S) and adds b (K,): y (N, K, P, Q).

    The pullback takes dy (N, K, P, Q) and returns (dx, dw, db); of those that `needs` leaves out, None.
    Raises ValueError where sizes, groups or dtypes do not fit.
    """
    return _convolve(x, w, b, stride, padding, dilation, groups, 1.0)


def _convolve(
    x: Array, w: Array, b: Array | None, stride: Pair, padding: Padding, dilation: Pair, groups: int, slope: float
) -> tuple[Array, Pullback]:
    check_operands(x, w, b, groups)
    axes = conv_axes(x.shape, w.shape[2:], stride, padding, dilation)
    x, w = contiguous(x), contiguous(w)
    b = None if b is None else contiguous(b)
    y_shape = (len(x), len(w), axes[0].out, axes[1].out)
    whole = groups == 1 and covers(axes)
    if whole:
        y = fully_connected(x, w, b, y_shape)
        y = y if slope == 1 else apply("relu", y, parameters=(slope,))
    else:
        y = correlate(x, w, b, axes, groups, y_shape, slope)

    def pullback(dy: Array, needs: tuple[bool, ...] = ALL) -> tuple[Array | None, ...]:
        check_same(dy, y_shape, x.dtype, "dy")
        dy = contiguous(dy)
        gradients = fully_connected_gradients if whole else correlation_gradients
        dx, dw = gradients(x, w, dy, axes, groups, needs)
        return dx, dw, channel_sum(dy) if b is not None and needs[2] else None

    return y, pullback


def conv2d_relu(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    slope: float = 0.0,
) -> tuple[Array, Pullback]:
    """relu(conv2d(...)) in one pass over y less; the pullback is that of both together. As conv2d, and slope >= 0."""
    if slope < 0:
        raise ValueError(f"slope must be at least 0, got {slope}")
    y, pullback = _convolve(x, w, b, stride, padding, dilation, groups, slope)

    def both(dy: Array, needs: tuple[bool, ...] = ALL) -> tuple[Array | None, ...]:
        check_same(dy, y.shape, y.dtype, "dy")
        # y > 0 just where what went into relu was.
        return pullback(apply("relu_backward", y, dy, parameters=(slope,)), needs)

    return y, both


def check_operands(x: Array, w: Array, b: Array | None, groups: int) -> None:
    """Raises ValueError unless x, w and b fit each other and the groups."""
    check_images(x, ALSO_16_BIT)
    check_images(w, ALSO_16_BIT, "w")
    if groups < 1 or x.shape[1] != w.shape[1] * groups or len(w) % groups:
        raise ValueError(
            f"w must be (K, C/groups, R, S) with K a multiple of groups = {groups} and C = {x.shape[1]}, got {w.shape}"
        )
    check_same(w, w.shape, x.dtype, "w")
    if b is not None:
        check_same(b, (len(w),), x.dtype, "b")


def correlate(
    x: Array,
    w: Array,
    b: Array | None,
    axes: tuple[Axis, Axis],
    groups: int,
    y_shape: tuple[int, ...],
    slope: float = 1.0,
) -> Array:
    """y (N, K, P, Q): (K, C R S) times (C R S, N P Q), by group, axes 0 and 1 exchanged, the bias added.

    A slope other than 1 adds relu.
    """
    y = cupy.empty(y_shape, x.dtype)
    filters = w.reshape(groups, len(w) // groups, -1)
    for images in sub_batches(len(x), x.shape[1], axes, x.itemsize):
        rows = im2row(x[images], axes).reshape(groups, filters.shape[2], -1)
        finish(products(filters, rows), y[images], b, slope)
    return y


def correlation_gradients(
    x: Array, w: Array, dy: Array, axes: tuple[Axis, Axis], groups: int, needs: tuple[bool, ...] = ALL
) -> tuple[Array | None, Array | None]:
    """dx and dw of `correlate`: w^T dy through row2im, and dy times the transposed rows."""
    filters = w.reshape(groups, len(w) // groups, -1)
    dx = cupy.empty(x.shape, x.dtype) if needs[0] else None
    # Of 16-bit numbers the sub-batches are added in float32.
    dw = cupy.zeros(filters.shape, "float32" if x.itemsize == 2 else x.dtype) if needs[1] else None
    for images in sub_batches(len(x), x.shape[1], axes, x.itemsize):
        errors = swapped(dy[images], len(dy[images]), len(w)).reshape(groups, filters.shape[1], -1)
        if dw is not None:
            rows = im2row(x[images], axes).reshape(groups, filters.shape[2], -1)
            add_to(dw, products(errors, rows.transpose(0, 2, 1)).astype(dw.dtype, copy=False))
            del rows
        if dx is not None:
            row2im(products(filters.transpose(0, 2, 1), errors), dx[images], axes)
    return dx, None if dw is None else dw.astype(x.dtype, copy=False).reshape(w.shape)


def covers(axes: tuple[Axis, Axis]) -> bool:
    """Whether the filters see the whole map, once: a fully connected layer."""
    return all(a.out == 1 and a.before == 0 and a.taps == a.size and (a.dilation == 1 or a.taps == 1) for a in axes)


def fully_connected(x: Array, w: Array, b: Array | None, y_shape: tuple[int, ...]) -> Array:
    """y = x w^T + b of flattened images and filters."""
    y = products(_flat(x)[None], _flat(w).T[None]).reshape(y_shape)
    if b is not None:
        add_bias(y, b)
    return y


def fully_connected_gradients(
    x: Array, w: Array, dy: Array, axes: tuple[Axis, Axis], groups: int, needs: tuple[bool, ...]
) -> tuple[Array | None, Array | None]:
    """dx = dy w and dw = dy^T x."""
    errors = _flat(dy)
    dx = products(errors[None], _flat(w)[None]).reshape(x.shape) if needs[0] else None
    dw = products(errors.T[None], _flat(x)[None]).reshape(w.shape) if needs[1] else None
    return dx, dw


def _flat(a: Array) -> Array:
    return a.reshape(len(a), a.shape[1] * a.shape[2] * a.shape[3])
