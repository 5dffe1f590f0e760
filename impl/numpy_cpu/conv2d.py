"""Convolution (MatConvNet's vl_nnconv; manual, section 4.1): a correlation, the filter is not flipped.

    y[n, k, p, q] = b[k] + sum over c, r, s of  w[k, c, r, s] * x[n, c, p * stride + r * dilation - top, ...]

A fully connected layer, whose filters cover the map, is one matrix product of flattened images and filters; otherwise
im2row tiles (correlation.py). Memory underneath: x and y (N, H, W, C), w best (K, R, S, C).
"""

from typing import Protocol

from impl.numpy_cpu import correlation, fully_connected
from impl.numpy_cpu.arrays import Array, Pullback, check_images, check_same, empty, nhwc
from impl.numpy_cpu.relu import relu
from impl.numpy_cpu.windows import Axis, Padding, Pair, conv_axes


class Products(Protocol):
    """A way of computing the three products of a layer, such as correlation.py."""

    def forward(
        self,
        x: Array,
        w: Array,
        axes: tuple[Axis, Axis],
        groups: int,
        out: Array,
        bias: Array | None = None,
        rectify: bool = False,
    ) -> None: ...

    def gradient_to_input(
        self, dy: Array, w: Array, axes: tuple[Axis, Axis], groups: int, out: Array, where: Array | None = None
    ) -> None: ...

    def gradient_to_weights(
        self, x: Array, dy: Array, axes: tuple[Axis, Axis], groups: int, where: Array | None = None
    ) -> tuple[Array, Array]: ...


def conv2d(
    x: Array, w: Array, b: Array | None = None, *, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> tuple[Array, Pullback]:
    """Convolves x (N, C, H, W) with w (K, C/groups, R, S) and adds b (K,): y (N, K, P, Q).

    The pullback takes dy (N, K, P, Q) and returns (dx, dw, db); of those that ``needs`` leaves out, None.
    Raises ValueError where sizes, groups or dtypes do not fit.
    """
    return convolve(correlation, x, w, b, (stride, padding, dilation, groups))


def conv2d_relu(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    slope: float = 0.0,
) -> tuple[Array, Pullback]:
    """relu(conv2d(...)) without the pass over the map in between, forward and backward."""
    return convolve(correlation, x, w, b, (stride, padding, dilation, groups), slope)


def convolve(
    products: Products,
    x: Array,
    w: Array,
    b: Array | None,
    options: tuple[Pair, Padding, Pair, int],
    slope: float | None = None,
) -> tuple[Array, Pullback]:
    """conv2d with options (stride, padding, dilation, groups), followed by relu of that slope if there is one."""
    if slope:
        y, convolved = convolve(products, x, w, b, options)
        z, rectified = relu(y, slope=slope)
        return z, lambda dz, needs=(True, True, True): convolved(*rectified(dz), needs=needs)
    rectify = slope is not None
    stride, padding, dilation, groups = options
    _check_operands(x, w, b, groups)
    axes = conv_axes(x.shape, (w.shape[2], w.shape[3]), stride, padding, dilation)
    if fully_connected.covers(axes, groups):
        return fully_connected.fully_connected(x, w, b, rectify)
    y = empty((len(x), len(w), axes[0].out, axes[1].out), x.dtype)
    products.forward(nhwc(x), w, axes, groups, nhwc(y), b, rectify)
    shape, where = y.shape, nhwc(y) if rectify else None

    def pullback(dy: Array, needs: tuple[bool, ...] = (True, True, True)) -> tuple[Array | None, ...]:
        check_same(dy, shape, x.dtype, "dy")
        dx = dw = db = None
        if needs[0]:
            dx = empty(x.shape, x.dtype)
            products.gradient_to_input(nhwc(dy), w, axes, groups, nhwc(dx), where)
        if any(needs[1:]):
            filters, biases = products.gradient_to_weights(nhwc(x), nhwc(dy), axes, groups, where)
            dw = filters.transpose(0, 3, 1, 2) if needs[1] else None
            db = biases if b is not None and needs[2] else None
        return dx, dw, db

    return y, pullback


def _check_operands(x: Array, w: Array, b: Array | None, groups: int) -> None:
    check_images(x)
    check_images(w, "w")
    if groups < 1 or x.shape[1] != w.shape[1] * groups or len(w) % groups:
        raise ValueError(
            f"w must be (K, C/groups, R, S) with K a multiple of groups = {groups} and C = {x.shape[1]}, got {w.shape}"
        )
    check_same(w, w.shape, x.dtype, "w")
    if b is not None:
        check_same(b, (len(w),), x.dtype, "b")
