"""Softmax log-loss (MatConvNet's vl_nnsoftmaxloss; manual, section 4.6.2): softmax and log-loss in one step.

    y = sum over n, h, w of  log(sum over c of exp(x_c - m)) - (x_label - m),   m = max over c of x_c
    dx_c = dy * (softmax(x)_c - [c = label])

Stable: the largest exponent is 0, and nothing is subtracted from the logarithm but differences of scores.
"""

import numpy as np

from impl.numpy_cpu.arrays import Array, Pullback, check_images, check_same, nhwc


def softmax_log_loss(x: Array, labels: Array) -> tuple[Array, Pullback]:
    """The summed loss, a 0-d array, of scores x (N, C, H, W) at integer labels (N, H, W) from 0.

    The pullback takes a 0-d dy and returns (dx, None). Raises ValueError for labels of another shape or outside.
    """
    check_images(x)
    at = label_index(x, labels)
    shifted = nhwc(x) - nhwc(x).max(-1, keepdims=True)
    powers = np.exp(shifted)
    totals = powers.sum(-1, keepdims=True)
    losses = np.log(totals) - np.take_along_axis(shifted, at, -1)
    y = np.asarray(losses.sum(), x.dtype)

    def pullback(dy: Array) -> tuple[Array, None]:
        check_same(np.asarray(dy), (), x.dtype, "dy")
        dx = powers / totals
        np.put_along_axis(dx, at, np.take_along_axis(dx, at, -1) - 1, -1)
        dx *= dy
        return dx.transpose(0, 3, 1, 2), None

    return y, pullback


def label_index(x: Array, labels: Array) -> Array:
    """The labels (N, H, W) as an index (N, H, W, 1) along the channels of x; ValueError where they do not fit."""
    n, c, h, w = x.shape
    if labels.shape != (n, h, w) or labels.dtype.kind not in "iu":
        raise ValueError(f"labels must be integers of shape {(n, h, w)}, got {labels.dtype} of shape {labels.shape}")
    if labels.size and not 0 <= labels.min() <= labels.max() < c:
        raise ValueError(f"labels must lie in 0 .. {c - 1}, got {labels.min()} .. {labels.max()}")
    return labels.astype(np.intp)[..., None]
