"""Log-loss (MatConvNet's vl_nnloss; manual, section 4.8): y = sum of -log x[label], dx = -dy / x there, 0 elsewhere."""

from __future__ import annotations

import numpy as np

from impl.cupy_cuda.arrays import Array, Pullback, check_images, check_same, contiguous, labels_of
from impl.cupy_cuda.channel_sums import total
from impl.cupy_cuda.device import cupy
from impl.cupy_cuda.launch import over_elements


def log_loss(x: Array, labels: Array) -> tuple[Array, Pullback]:
    """The summed loss, a 0-d array, of probabilities x (N, C, H, W) at integer labels (N, H, W) from 0.

    The pullback takes a 0-d dy and returns (dx, None). Raises ValueError for labels of another shape, or outside
    0 .. C-1.
    """
    check_images(x)
    at = labels_of(x, labels)
    x = contiguous(x)
    losses = cupy.empty(at.shape, x.dtype)
    c, pixels = x.shape[1], x.shape[2] * x.shape[3]
    over_elements("elementwise", "log_loss", x.dtype, at.size, x, at, losses, np.int64(at.size), c, pixels)

    def pullback(dy: Array) -> tuple[Array, None]:
        check_same(dy, (), x.dtype, "dy")
        dx = cupy.empty(x.shape, x.dtype)
        size = np.int64(x.size)
        over_elements("elementwise", "log_loss_backward", x.dtype, x.size, x, at, dy, dx, size, c, pixels)
        return dx, None

    return total(losses), pullback
