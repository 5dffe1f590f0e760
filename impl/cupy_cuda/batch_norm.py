"""Batch normalisation (MatConvNet's vl_nnbnorm; manual, section 4.6.2), per channel over images and pixels.

    y = gain h + bias,   h = (x - mean) / sqrt(variance + epsilon)
    dx = gain (dy - mean of dy - h mean of (dy h)) / sqrt(variance + epsilon)

The variance is the biased one, in a second pass (E[x^2] - mean^2 would lose everything beside a large mean). With
moments given, dx = gain dy / sqrt(variance + epsilon).
"""

from __future__ import annotations

from impl.cupy_cuda.arrays import Array, Pullback, check_images, check_same, contiguous
from impl.cupy_cuda.channel_sums import channel_mean, channel_products, channel_sum, channel_variance
from impl.cupy_cuda.device import cupy
from impl.cupy_cuda.launch import over_elements, over_maps


def batch_norm(
    x: Array, gain: Array, bias: Array, *, epsilon: float, moments: tuple[Array, Array] | None = None
) -> tuple[Array, Pullback]:
    """y of the shape of x (N, C, H, W), with gain and bias (C,). moments = (mean, variance), (C,) each: inference.

    The pullback takes dy like y and returns (dx, dgain, dbias). Raises ValueError where shapes or dtypes do not fit.
    """
    check_images(x)
    n, c, h, w = x.shape
    given = () if moments is None else tuple(moments)
    for name, a in zip(("gain", "bias", "mean", "variance"), (gain, bias, *given), strict=False):
        check_same(a, (c,), x.dtype, name)
    x, gain, bias = contiguous(x), contiguous(gain), contiguous(bias)
    mean = channel_mean(x) if moments is None else contiguous(moments[0])
    variance = channel_variance(x, mean) if moments is None else contiguous(moments[1])
    inverse = cupy.empty(c, x.dtype)
    over_elements("batch_norm", "invert", x.dtype, c, variance, inverse, c, float(epsilon))
    y = cupy.empty(x.shape, x.dtype)
    sizes = n, c, h * w
    over_maps("batch_norm", "forward", x.dtype, n * c, h * w, x, gain, bias, mean, inverse, y, *sizes)

    def pullback(dy: Array) -> tuple[Array, Array, Array]:
        check_same(dy, x.shape, x.dtype, "dy")
        dy = contiguous(dy)
        dgain, dbias = channel_products(x, dy, mean, inverse), channel_sum(dy)
        dx = cupy.empty(x.shape, x.dtype)
        over_maps(
            *("batch_norm", "backward", x.dtype, n * c, h * w),
            *(x, dy, gain, mean, inverse, dgain, dbias, dx, moments is None, *sizes),
        )
        return dx, dgain, dbias

    return y, pullback
