"""Spatial normalisation, each channel by itself (MatConvNet's vl_nnspnorm; manual, sections 4.5.3 and 6.5.3).

    y = x * D^-beta,   D = 1 + alpha / k * sum of x^2 over the window,   k the pixels of the window inside the image
    dx = dy * D^-beta - 2 alpha beta x * sum over the windows j that see the pixel of  dy_j x_j D_j^(-beta-1) / k_j

The window of R x S pixels begins (R - 1) // 2 rows above and (S - 1) // 2 columns left of its pixel.
"""

import numpy as np

from impl.numpy_cpu import threads
from impl.numpy_cpu.arrays import Array, Pullback, check_images, check_same, empty, nhwc
from impl.numpy_cpu.avg_pool2d import counts, spread, sums
from impl.numpy_cpu.windows import Axis, Pair, pair


def spatial_norm(x: Array, *, window: Pair, alpha: float, beta: float) -> tuple[Array, Pullback]:
    """y of the shape of x (N, C, H, W). The pullback takes dy like y and returns (dx,).

    Raises ValueError for a window below 1x1, an empty map or a negative alpha.
    """
    check_images(x)
    if min(x.shape[1:]) < 1 or alpha < 0:
        raise ValueError(f"wanted at least one channel and pixel and alpha of at least 0, got {x.shape} and {alpha}")
    r, s = pair(window, "window")
    height, width = x.shape[2:]
    axes = Axis(height, r, 1, 1, (r - 1) // 2, height), Axis(width, s, 1, 1, (s - 1) // 2, width)
    scale = (alpha / counts(axes)).astype(x.dtype)
    images = nhwc(x)

    def denominator(image: Array) -> Array:
        d = np.empty(image.shape, x.dtype)
        sums(image * image, d, axes)
        d *= scale
        d += 1
        return d

    y = empty(x.shape, x.dtype)
    out = nhwc(y)
    power = x.dtype.type(-beta)
    threads.run(lambda i: np.multiply(images[i], denominator(images[i]) ** power, out=out[i]), len(x))

    def pullback(dy: Array) -> tuple[Array]:
        check_same(dy, x.shape, x.dtype, "dy")
        dx = empty(x.shape, x.dtype)
        errors, gradient = nhwc(dy), nhwc(dx)

        def backward(i: int) -> None:
            d = denominator(images[i])
            own = errors[i] * d**power
            spread(own * images[i] / d * scale, gradient[i], axes)
            gradient[i] *= images[i]
            gradient[i] *= x.dtype.type(-2 * beta)
            gradient[i] += own

        threads.run(backward, len(x))
        return (dx,)

    return y, pullback
