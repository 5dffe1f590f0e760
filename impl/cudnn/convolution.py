"""conv2d and conv_transpose2d on cuDNN's convolutions: y by fprop, dx by dgrad, dw by wgrad (formulas: impl.cupy_cuda).

The bias is added, and its gradient summed, by our own kernels: cuDNN's graphs with a bias have few engines in full
float32. A fully connected layer is left to cuBLAS, and an empty batch to impl.cupy_cuda.
"""

from __future__ import annotations

from impl.cudnn.checks import aligned, convolution
from impl.cudnn.choice import run
from impl.cupy_cuda.arrays import Array, Pullback, check_same, contiguous
from impl.cupy_cuda.channel_sums import channel_sum
from impl.cupy_cuda.conv2d import check_operands, covers
from impl.cupy_cuda.conv2d import conv2d as ours
from impl.cupy_cuda.conv_transpose2d import check_operands as check_transposed
from impl.cupy_cuda.conv_transpose2d import conv_transpose2d as ours_transposed
from impl.cupy_cuda.conv_transpose2d import transposed_axes
from impl.cupy_cuda.device import cupy
from impl.cupy_cuda.elementwise import add_bias, apply
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
    """As impl.cupy_cuda.conv2d."""
    check_operands(x, w, b, groups)
    axes = conv_axes(x.shape, w.shape[2:], stride, padding, dilation)
    if not len(x) or (groups == 1 and covers(axes)):
        return ours(x, w, b, stride=stride, padding=padding, dilation=dilation, groups=groups)
    x, w, b = aligned(x), aligned(w), None if b is None else contiguous(b)
    y_shape = (len(x), len(w), axes[0].out, axes[1].out)
    y = _forward(x, w, y_shape, axes, groups)
    if b is not None:
        add_bias(y, b)

    def pullback(dy: Array, needs: tuple[bool, ...] = ALL) -> tuple[Array | None, ...]:
        check_same(dy, y_shape, x.dtype, "dy")
        dy = aligned(dy)
        return (
            _to_input(dy, w, x.shape, axes, groups) if needs[0] else None,
            _to_filters(x, dy, w.shape, axes, groups) if needs[1] else None,
            channel_sum(dy) if b is not None and needs[2] else None,
        )

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
    """relu(conv2d(...)) for slope >= 0, without keeping what goes into relu."""
    if slope < 0:
        raise ValueError(f"slope must be at least 0, got {slope}")
    linear, pullback = conv2d(x, w, b, stride=stride, padding=padding, dilation=dilation, groups=groups)
    y = apply("relu", linear, parameters=(slope,))

    def both(dy: Array, needs: tuple[bool, ...] = ALL) -> tuple[Array | None, ...]:
        check_same(dy, y.shape, y.dtype, "dy")
        return pullback(apply("relu_backward", y, dy, parameters=(slope,)), needs)

    return y, both


def conv_transpose2d(
    x: Array, w: Array, b: Array | None = None, *, stride: Pair = 1, padding: Padding = 0, groups: int = 1
) -> tuple[Array, Pullback]:
    """As impl.cupy_cuda.conv_transpose2d: the gradients of the convolution from y to x."""
    filters = check_transposed(x, w, b, groups)
    axes = transposed_axes(x.shape, w.shape[2:], stride, padding)
    if not len(x):
        return ours_transposed(x, w, b, stride=stride, padding=padding, groups=groups)
    x, w, b = aligned(x), aligned(w), None if b is None else contiguous(b)
    y_shape = (len(x), filters, axes[0].size, axes[1].size)
    y = _to_input(x, w, y_shape, axes, groups)
    if b is not None:
        add_bias(y, b)

    def pullback(dy: Array, needs: tuple[bool, ...] = ALL) -> tuple[Array | None, ...]:
        check_same(dy, y_shape, x.dtype, "dy")
        dy = aligned(dy)
        return (
            _forward(dy, w, x.shape, axes, groups) if needs[0] else None,
            _to_filters(dy, x, w.shape, axes, groups) if needs[1] else None,
            channel_sum(dy) if b is not None and needs[2] else None,
        )

    return y, pullback


def _forward(x: Array, w: Array, y_shape: tuple[int, ...], axes: tuple[Axis, Axis], groups: int) -> Array:
    asked = convolution("fprop", x.dtype, x.shape, w.shape, y_shape, axes, groups)
    return run(asked, x, w, cupy.empty(y_shape, x.dtype))


def _to_input(dy: Array, w: Array, x_shape: tuple[int, ...], axes: tuple[Axis, Axis], groups: int) -> Array:
    asked = convolution("dgrad", dy.dtype, x_shape, w.shape, dy.shape, axes, groups)
    return run(asked, dy, w, cupy.empty(x_shape, dy.dtype))


def _to_filters(x: Array, dy: Array, w_shape: tuple[int, ...], axes: tuple[Axis, Axis], groups: int) -> Array:
    asked = convolution("wgrad", x.dtype, x.shape, w_shape, dy.shape, axes, groups)
    return run(asked, x, dy, cupy.empty(w_shape, x.dtype))
