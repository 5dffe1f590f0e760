"""Local response normalisation over channels (MatConvNet's vl_nnnormalize; manual, section 4.6.1).

    y_i = x_i * D_i^-beta,   D_i = kappa + alpha * sum over j in W(i) of x_j^2,   W(i) = i - (n-1)//2 .. i + n//2
    dx_i = dy_i * D_i^-beta - 2 alpha beta x_i * sum over {j: i in W(j)} of dy_j x_j D_j^(-beta-1)

The window W of n channels is cut at the first and the last channel; an even one leans to the higher channel.
"""

from __future__ import annotations

from impl.cupy_cuda.arrays import Array, Pullback, check_images, check_same, contiguous
from impl.cupy_cuda.device import cupy
from impl.cupy_cuda.launch import over_maps


def local_response_norm(x: Array, *, window: int, kappa: float, alpha: float, beta: float) -> tuple[Array, Pullback]:
    """y of the shape of x (N, C, H, W). The pullback takes dy like y and returns (dx,).

    Raises ValueError for a window below 1.
    """
    check_images(x)
    if window < 1:
        raise ValueError(f"window must be at least 1 channel, got {window}")
    x = contiguous(x)
    n, c, h, w = x.shape
    sizes = n, c, h * w, (window - 1) // 2, window // 2
    y = cupy.empty(x.shape, x.dtype)
    parameters = float(kappa), float(alpha), float(beta)
    over_maps("local_response_norm", "forward", x.dtype, n * c, h * w, x, y, *sizes, *parameters)

    def pullback(dy: Array) -> tuple[Array]:
        check_same(dy, x.shape, x.dtype, "dy")
        dx, terms = cupy.empty(x.shape, x.dtype), cupy.empty(x.shape, x.dtype)
        over_maps(
            *("local_response_norm", "backward_terms", x.dtype, n * c, h * w),
            *(x, contiguous(dy), dx, terms, *sizes, *parameters),
        )
        over_maps(
            *("local_response_norm", "backward_sum", x.dtype, n * c, h * w),
            *(x, terms, dx, *sizes, 2.0 * alpha * beta),
        )
        return (dx,)

    return y, pullback
