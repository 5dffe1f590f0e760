"""Local response normalisation over channels (MatConvNet's vl_nnnormalize; manual, section 4.5.1).

    y_i = x_i * D_i^-beta,   D_i = kappa + alpha * sum over j in W(i) of x_j^2,   W(i) = i - (n-1)//2 .. i + n//2
    dx_i = dy_i * D_i^-beta - 2 alpha beta x_i * sum over {j: i in W(j)} of dy_j x_j D_j^(-beta-1)

The window W of n channels is cut at the first and the last channel; an even one leans to the higher channel. Sums are
taken afresh for each channel (a sliding sum would lose small channels beside large ones). Memory (N, H, W, C).
"""

import numpy as np

from impl.numpy_cpu import compiled, threads
from impl.numpy_cpu.arrays import Array, Pullback, check_images, check_same, empty, nhwc
from impl.numpy_cpu.elementwise import apply


def local_response_norm(x: Array, *, window: int, kappa: float, alpha: float, beta: float) -> tuple[Array, Pullback]:
    """y of the shape of x (N, C, H, W). The pullback takes dy like y and returns (dx,).

    Raises ValueError for a window below 1.
    """
    check_images(x)
    if window < 1:
        raise ValueError(f"window must be at least 1 channel, got {window}")
    below, above = (window - 1) // 2, window // 2
    if compiled.available:
        return _compiled(x, below, above, kappa, alpha, beta)
    scale, offset = x.dtype.type(alpha), x.dtype.type(kappa)

    def denominator(x: Array) -> Array:
        squares = threads.scratch("squares", x.shape, x.dtype)
        np.multiply(x, x, out=squares)
        d = _channel_sums(squares, below, above)
        d *= scale
        d += offset
        return d

    def forward(x: Array, y: Array) -> None:
        np.multiply(x, _power(denominator(x), -beta), out=y)

    def backward(x: Array, dy: Array, dx: Array) -> None:
        d = denominator(x)
        np.multiply(dy, _power(d, -beta), out=dx)
        terms = threads.scratch("squares", x.shape, x.dtype)
        np.multiply(dx, x, out=terms)
        terms /= d
        sums = _channel_sums(terms, above, below)
        sums *= x
        sums *= x.dtype.type(2 * alpha * beta)
        dx -= sums

    def pullback(dy: Array) -> tuple[Array]:
        check_same(dy, x.shape, x.dtype, "dy")
        return (apply(backward, x, dy),)

    return apply(forward, x), pullback


def _compiled(x: Array, below: int, above: int, kappa: float, alpha: float, beta: float) -> tuple[Array, Pullback]:
    """The block by the compiled loops."""
    y = empty(x.shape, x.dtype)
    images, out = compiled.contiguous(x), nhwc(y)
    constants = (below, above, kappa, alpha, beta)
    threads.run(lambda n: compiled.normalized(images, out, n, *constants), len(x))

    def pullback(dy: Array) -> tuple[Array]:
        check_same(dy, x.shape, x.dtype, "dy")
        dx = empty(x.shape, x.dtype)
        errors, gradient = compiled.contiguous(dy), nhwc(dx)
        threads.run(lambda n: compiled.to_normalized(images, errors, gradient, n, *constants), len(x))
        return (dx,)

    return y, pullback


def _channel_sums(a: Array, below: int, above: int) -> Array:
    """For each channel i the sum of channels i-below .. i+above, in the calling thread's scratch memory."""
    sums = threads.scratch("channel sums", a.shape, a.dtype)
    np.copyto(sums, a)
    channels = a.shape[-1]
    for shift in range(1, min(below, channels - 1) + 1):
        sums[..., shift:] += a[..., :-shift]
    for shift in range(1, min(above, channels - 1) + 1):
        sums[..., :-shift] += a[..., shift:]
    return sums


def _power(base: Array, exponent: float) -> Array:
    """base ** exponent; for -0.75, the usual one, by two square roots, which are correctly rounded and fast."""
    if exponent == -0.75:
        root = np.sqrt(base)
        root *= np.sqrt(root)
        return np.reciprocal(root, out=root)
    power: Array = np.power(base, base.dtype.type(exponent))
    return power
