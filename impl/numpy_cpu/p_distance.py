"""The p-distance over the channels of each pixel (MatConvNet's vl_nnpdist; manual, sections 4.6.3 and 6.6.3).

    D = sum over c of |d_c|^p,   d = x - target;   y = D^(1/p), or D without the root
    dx = dy D^(1/p - 1) |d|^(p-1) sign(d), or dy p |d|^(p-1) sign(d) without the root; dtarget = -dx

A gradient is 0 where d is 0, whether there is a derivative or not.
"""

import numpy as np

from impl.numpy_cpu.arrays import Array, Pullback, check_images, check_same, nhwc


def p_distance(x: Array, target: Array, *, p: float, root: bool = True) -> tuple[Array, Pullback]:
    """y (N, 1, H, W) of x and target (N, C, H, W). The pullback takes dy like y and returns (dx, dtarget).

    Raises ValueError for sizes that differ, no channels, or p not above 0.
    """
    check_images(x)
    check_same(target, x.shape, x.dtype, "target")
    if x.shape[1] < 1 or not p > 0:
        raise ValueError(f"wanted at least one channel and p above 0, got {x.shape} and p = {p}")
    real = x.dtype.type
    y_shape = x.shape[0], 1, *x.shape[2:]
    difference = nhwc(x) - nhwc(target)
    d = np.abs(difference)
    # For p >= 2 powers of small d underflow and of large d overflow where the root would not: so the largest d of a
    # pixel is brought to 1/2 .. 1 by a power of 2, which is exact and cancels from the gradient.
    exponents = np.frexp(d.max(-1, keepdims=True))[1] if root and p >= 2 else None
    if exponents is not None:
        d = np.ldexp(d, -exponents)
    total = np.power(d, real(p)).sum(-1, keepdims=True)
    y = np.power(total, real(1 / p)) if root else total.copy()
    if exponents is not None:
        y = np.ldexp(y, exponents)

    def pullback(dy: Array) -> tuple[Array, Array]:
        check_same(dy, y_shape, x.dtype, "dy")
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # where d is 0
            shared = np.power(total, real(1 / p - 1)) if root else real(p)
            slope = np.power(d, real(p - 1))
            dx = nhwc(dy) * shared * slope * np.sign(difference)
        dx[d == 0] = 0
        dx = dx.transpose(0, 3, 1, 2)
        return dx, -dx

    return y.transpose(0, 3, 1, 2), pullback
