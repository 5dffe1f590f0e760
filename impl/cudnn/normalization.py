"""local_response_norm and batch_norm on libcudnn. See impl.cupy_cuda for formulas.

What cuDNN does not take is left to impl.cupy_cuda: windows above 16, small kappa or beta; batch_norm with given moments
(which has no gradient there); empty batches.
"""

from __future__ import annotations

import ctypes

from impl.cudnn.checks import aligned
from impl.cudnn.legacy import described, response_norm, scaling, start, tensor
from impl.cupy_cuda.arrays import Array, Pullback, check_images, check_same
from impl.cupy_cuda.batch_norm import batch_norm as ours_batch
from impl.cupy_cuda.device import cupy
from impl.cupy_cuda.local_response_norm import local_response_norm as ours_response

MOST_WINDOW, LEAST_KAPPA, LEAST_BETA = 16, 1e-5, 0.01  # of cudnnSetLRNDescriptor
ACROSS_CHANNELS, SPATIAL = 0, 1


def local_response_norm(x: Array, *, window: int, kappa: float, alpha: float, beta: float) -> tuple[Array, Pullback]:
    """As impl.cupy_cuda.local_response_norm."""
    check_images(x)
    if not x.size or not 1 <= window <= MOST_WINDOW or kappa < LEAST_KAPPA or beta < LEAST_BETA:
        return ours_response(x, window=window, kappa=kappa, alpha=alpha, beta=beta)
    how = response_norm(window, alpha * window, beta, kappa)
    one, zero = scaling(x.dtype)
    x, y = aligned(x), cupy.empty(x.shape, x.dtype)
    start(
        *("cudnnLRNCrossChannelForward", how, ACROSS_CHANNELS, one, described(x), x),
        *(zero, described(y), y),
    )

    def pullback(dy: Array) -> tuple[Array]:
        check_same(dy, x.shape, x.dtype, "dy")
        dy = aligned(dy)
        dx = cupy.empty(x.shape, x.dtype)
        start(
            *("cudnnLRNCrossChannelBackward", how, ACROSS_CHANNELS, one, described(y), y, described(dy), dy),
            *(described(x), x, zero, described(dx), dx),
        )
        return (dx,)

    return y, pullback


def batch_norm(
    x: Array, gain: Array, bias: Array, *, epsilon: float, moments: tuple[Array, Array] | None = None
) -> tuple[Array, Pullback]:
    """As impl.cupy_cuda.batch_norm."""
    check_images(x)
    channels = x.shape[1]
    check_same(gain, (channels,), x.dtype, "gain")
    check_same(bias, (channels,), x.dtype, "bias")
    if moments is not None or not x.size:
        return ours_batch(x, gain, bias, epsilon=epsilon, moments=moments)
    x, gain, bias = aligned(x), aligned(gain), aligned(bias)
    per_channel = tensor(x.dtype.name, (1, channels, 1, 1))
    one, zero = scaling(x.dtype)
    y = cupy.empty(x.shape, x.dtype)
    mean, inverse = cupy.empty(channels, x.dtype), cupy.empty(channels, x.dtype)
    start(
        *("cudnnBatchNormalizationForwardTraining", SPATIAL, one, zero, described(x), x, described(y), y),
        *(per_channel, gain, bias, ctypes.c_double(1), None, None, ctypes.c_double(epsilon), mean, inverse),
    )

    def pullback(dy: Array) -> tuple[Array, Array, Array]:
        check_same(dy, x.shape, x.dtype, "dy")
        dy = aligned(dy)
        dx, dgain, dbias = cupy.empty(x.shape, x.dtype), cupy.empty(channels, x.dtype), cupy.empty(channels, x.dtype)
        start(
            *("cudnnBatchNormalizationBackward", SPATIAL, one, zero, one, zero),
            *(described(x), x, described(dy), dy, described(dx), dx, per_channel, gain, dgain, dbias),
            *(ctypes.c_double(epsilon), mean, inverse),
        )
        return dx, dgain, dbias

    return y, pullback
