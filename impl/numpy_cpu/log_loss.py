"""Log-loss (MatConvNet's vl_nnloss; manual, sections 4.6.1 and 6.6.1).

y = - sum over n, h, w of log x_label;   dx = -dy / x at the label, 0 elsewhere. A label's x of 0 gives inf.
"""

import numpy as np

from impl.numpy_cpu.arrays import Array, Pullback, check_images, check_same, empty, nhwc
from impl.numpy_cpu.softmax_log_loss import label_index


def log_loss(x: Array, labels: Array) -> tuple[Array, Pullback]:
    """The summed loss, a 0-d array, of probabilities x (N, C, H, W) at integer labels (N, H, W) from 0.

    The pullback takes a 0-d dy and returns (dx, None). Raises ValueError for labels of another shape or outside.
    """
    check_images(x)
    at = label_index(x, labels)
    chosen = np.take_along_axis(nhwc(x), at, -1)
    with np.errstate(divide="ignore"):
        y = np.asarray(-np.log(chosen).sum(), x.dtype)

    def pullback(dy: Array) -> tuple[Array, None]:
        check_same(np.asarray(dy), (), x.dtype, "dy")
        dx = empty(x.shape, x.dtype)
        dx[...] = 0
        with np.errstate(divide="ignore", invalid="ignore"):
            np.put_along_axis(nhwc(dx), at, -dy / chosen, -1)
        return dx, None

    return y, pullback
