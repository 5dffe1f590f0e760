"""max_pool2d and avg_pool2d on libcudnn's pooling. See impl.cupy_cuda for formulas.

cuDNN pads both sides alike and rounds sizes down. Where that does not do, max pooling works on a copy padded with -inf,
and average pooling is left to impl.cupy_cuda, as are empty batches.
"""

from __future__ import annotations

from collections.abc import Callable

from impl.cudnn.checks import aligned
from impl.cudnn.legacy import described, pooling, scaling, start
from impl.cupy_cuda.arrays import ALSO_16_BIT, Array, Pullback, check_images, check_same
from impl.cupy_cuda.avg_pool2d import avg_pool2d as ours_avg
from impl.cupy_cuda.device import cupy
from impl.cupy_cuda.max_pool2d import max_pool2d as ours_max
from impl.numpy_cpu.windows import Axis, Padding, Pair, padding4, pool_axes

MAX_DETERMINISTIC, AVERAGE_WITH_PADDING, AVERAGE_WITHOUT_PADDING = 3, 1, 2


def max_pool2d(
    x: Array, *, window: Pair, stride: Pair = 1, padding: Padding = 0, ceil_mode: bool = False
) -> tuple[Array, Pullback]:
    """As impl.cupy_cuda.max_pool2d."""
    check_images(x, ALSO_16_BIT)
    v, h = axes = pool_axes(x.shape, window, stride, padding, ceil_mode)
    if not x.size:
        return ours_max(x, window=window, stride=stride, padding=padding, ceil_mode=ceil_mode)
    if _as_cudnn_pads(axes, padding):
        pads, inside = (v.before, h.before), (slice(None), slice(None))
        x = aligned(x)
    else:
        pads, inside = (0, 0), (slice(v.before, v.before + v.size), slice(h.before, h.before + h.size))
        full = [max(a.before + a.size, (a.out - 1) * a.stride + a.taps) for a in axes]
        padded = cupy.full((*x.shape[:2], *full), float("-inf"), x.dtype)
        padded[:, :, inside[0], inside[1]] = x
        x = padded
    y, pullback = _pool(MAX_DETERMINISTIC, x, axes, pads)

    def cropped(dy: Array) -> tuple[Array]:
        dx = pullback(dy)[0][:, :, inside[0], inside[1]]
        return (cupy.ascontiguousarray(dx),)

    return y, cropped


def avg_pool2d(
    x: Array,
    *,
    window: Pair,
    stride: Pair = 1,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> tuple[Array, Pullback]:
    """As impl.cupy_cuda.avg_pool2d."""
    check_images(x, ALSO_16_BIT)
    axes = pool_axes(x.shape, window, stride, padding, ceil_mode)
    if not x.size or not _as_cudnn_pads(axes, padding):
        return ours_avg(
            *(x,),
            window=window,
            stride=stride,
            padding=padding,
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
        )
    mode = AVERAGE_WITH_PADDING if count_include_pad else AVERAGE_WITHOUT_PADDING
    return _pool(mode, aligned(x), axes, (axes[0].before, axes[1].before))


def _as_cudnn_pads(axes: tuple[Axis, Axis], padding: Padding) -> bool:
    top, bottom, left, right = padding4(padding)
    sizes = all((a.size + 2 * a.before - a.taps) // a.stride + 1 == a.out for a in axes)
    return top == bottom and left == right and sizes


def _pool(
    mode: int, x: Array, axes: tuple[Axis, Axis], pads: tuple[int, int]
) -> tuple[Array, Callable[[Array], tuple[Array]]]:
    v, h = axes
    how = pooling(mode, (v.taps, h.taps), pads, (v.stride, h.stride))
    one, zero = scaling(x.dtype)
    y = cupy.empty((*x.shape[:2], v.out, h.out), x.dtype)
    start("cudnnPoolingForward", how, one, described(x), x, zero, described(y), y)

    def pullback(dy: Array) -> tuple[Array]:
        check_same(dy, y.shape, y.dtype, "dy")
        dy = aligned(dy)
        dx = cupy.empty(x.shape, x.dtype)
        start(
            *("cudnnPoolingBackward", how, one, described(y), y, described(dy), dy),
            *(described(x), x, zero, described(dx), dx),
        )
        return (dx,)

    return y, pullback
