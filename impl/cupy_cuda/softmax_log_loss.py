"""Softmax log-loss (MatConvNet's vl_nnsoftmaxloss; manual, section 4.8): log-loss of the softmax, in one stable step.

y = sum over n, h, w of  log(sum over c of exp(x_c - m)) + (m - x_label),   m = max over c of x_c
dx_c = dy (softmax(x)_c - [c = label])
"""

from __future__ import annotations

import numpy as np

from impl.cupy_cuda.arrays import Array, Pullback, check_images, check_same, contiguous, labels_of
from impl.cupy_cuda.channel_sums import total
from impl.cupy_cuda.device import cupy
from impl.cupy_cuda.launch import over_places


def softmax_log_loss(x: Array, labels: Array) -> tuple[Array, Pullback]:
    """The summed loss, a 0-d array, of scores x (N, C, H, W) at integer labels (N, H, W) from 0.

    The pullback takes a 0-d dy and returns (dx, None). Raises ValueError for labels of another shape, or outside
    0 .. C-1.
    """
    check_images(x)
    at = labels_of(x, labels)
    x = contiguous(x)
    losses, maxima, sums = (cupy.empty(at.shape, x.dtype) for _ in range(3))
    pixels = x.shape[2] * x.shape[3]
    sizes = np.int64(at.size), x.shape[1], pixels
    over_places("softmax", "log_loss_forward", x.dtype, at.size, pixels, x, at, losses, maxima, sums, *sizes)

    def pullback(dy: Array) -> tuple[Array, None]:
        check_same(dy, (), x.dtype, "dy")
        dx = cupy.empty(x.shape, x.dtype)
        over_places("softmax", "log_loss_backward", x.dtype, at.size, pixels, x, at, maxima, sums, dy, dx, *sizes)
        return dx, None

    return total(losses), pullback
