"""Transposed convolution (MatConvNet's vl_nnconvt; manual, section 4.2): stride upsamples, padding crops.

    y[n, k, h, w] = b[k] + sum over c, p, q of  w[c, k, h + top - p * stride, w + left - q * stride] * x[n, c, p, q]

Seen from y, x is the output of a convolution with the same filters: this block is that convolution's gradient, and its
gradients are that convolution.
"""

from __future__ import annotations

from impl.cupy_cuda.arrays import ALSO_16_BIT, Array, Pullback, check_images, check_same, contiguous
from impl.cupy_cuda.channel_sums import channel_sum
from impl.cupy_cuda.conv2d import ALL, correlate, correlation_gradients
from impl.cupy_cuda.device import cupy
from impl.cupy_cuda.elementwise import add_bias
from impl.cupy_cuda.im2row import products, row2im, sub_batches, swapped
from impl.numpy_cpu.windows import Axis, Padding, Pair, padding4, pair


def conv_transpose2d(
    x: Array, w: Array, b: Array | None = None, *, stride: Pair = 1, padding: Padding = 0, groups: int = 1
) -> tuple[Array, Pullback]:
    """x (N, C, P, Q) through w (C, K/groups, R, S), plus b (K,): y (N, K, (P-1) stride + R - top - bottom, ...).

    The pullback takes dy like y and returns (dx, dw, db); of those that `needs` leaves out, None.
    Raises ValueError where sizes, groups or dtypes do not fit.
    """
    filters = check_operands(x, w, b, groups)
    axes = transposed_axes(x.shape, w.shape[2:], stride, padding)
    x, w = contiguous(x), contiguous(w)
    x_shape, y_shape = x.shape, (len(x), filters, axes[0].size, axes[1].size)
    y = cupy.empty(y_shape, x.dtype)
    matrix = w.reshape(groups, len(w) // groups, -1).transpose(0, 2, 1)
    for images in sub_batches(len(x), filters, axes, x.itemsize):
        maps = swapped(x[images], len(x[images]), len(w)).reshape(groups, matrix.shape[2], -1)
        row2im(products(matrix, maps), y[images], axes)
    if b is not None:
        add_bias(y, contiguous(b))

    def pullback(dy: Array, needs: tuple[bool, ...] = ALL) -> tuple[Array | None, ...]:
        check_same(dy, y_shape, x.dtype, "dy")
        dy = contiguous(dy)
        dx = correlate(dy, w, None, axes, groups, x_shape) if needs[0] else None
        dw = correlation_gradients(dy, w, x, axes, groups, (False, True))[1] if needs[1] else None
        return dx, dw, channel_sum(dy) if b is not None and needs[2] else None

    return y, pullback


def check_operands(x: Array, w: Array, b: Array | None, groups: int) -> int:
    """The channels of y. Raises ValueError unless x, w and b fit each other and the groups."""
    check_images(x, ALSO_16_BIT)
    check_images(w, ALSO_16_BIT, "w")
    check_same(w, w.shape, x.dtype, "w")
    if groups < 1 or len(w) != x.shape[1] or len(w) % groups:
        raise ValueError(
            f"w must be (C, K/groups, R, S) with C = {x.shape[1]} a multiple of groups = {groups}, got {w.shape}"
        )
    if b is not None:
        check_same(b, (w.shape[1] * groups,), x.dtype, "b")
    return int(w.shape[1] * groups)


def transposed_axes(shape: tuple[int, ...], taps: tuple[int, int], stride: Pair, padding: Padding) -> tuple[Axis, Axis]:
    """The axes of the convolution from y to x. Raises ValueError when the crop leaves nothing of y."""
    steps, crop = pair(stride, "stride"), padding4(padding)
    axes = []
    for i, name in enumerate(("height", "width")):
        size = (shape[2 + i] - 1) * steps[i] + taps[i] - crop[2 * i] - crop[2 * i + 1]
        if size < 1 or shape[2 + i] < 1 or taps[i] < 1:
            raise ValueError(
                f"the crop {crop} leaves nothing of an output of {name} {size + crop[2 * i] + crop[2 * i + 1]}"
                f" (maps of {name} {shape[2 + i]}, filters of {taps[i]}, stride {steps[i]})"
            )
        axes.append(Axis(size, taps[i], steps[i], 1, crop[2 * i], shape[2 + i]))
    return axes[0], axes[1]
