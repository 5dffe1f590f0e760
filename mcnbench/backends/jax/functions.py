"""The blocks as functions of JAX arrays, y alone: what `jax.vjp` differentiates and a training step compiles.

x (N, C, H, W), w (K, C / groups, R, S). Where jax.lax means what the block means, its operation is called; what JAX
has no operation for (local response normalisation, distances) is composed of jax.numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mcnbench.arrays import pair, sides
from mcnbench.blocks import avg_pool2d as avg_pool2d_block
from mcnbench.blocks import max_pool2d as max_pool2d_block
from mcnbench.blocks.spatial_norm import spatial_windows
from mcnbench.windows import Windows, pooling_windows

Jax = Any
"""A jax.Array, or what jax traces in its place."""
LAYOUT = ("NCHW", "OIHW", "NCHW")


def conv2d(
    x: Jax, w: Jax, b: Jax | None = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Jax:
    top, bottom, left, right = sides(padding)
    y = lax.conv_general_dilated(
        x, w, pair(stride), [(top, bottom), (left, right)],
        rhs_dilation=pair(dilation), dimension_numbers=LAYOUT, feature_group_count=groups,
    )  # fmt: skip
    return y if b is None else y + b[:, None, None]


def conv_transpose2d(
    x: Jax, w: Jax, b: Jax | None = None, *, stride: Any = 1, padding: Any = 0, groups: int = 1
) -> Jax:
    """A convolution of x with zeros between its pixels by the filters turned by 180 degrees."""
    top, bottom, left, right = sides(padding)
    c, k, r, s = w.shape
    turned = w.reshape(groups, c // groups, k, r, s).swapaxes(1, 2).reshape(groups * k, c // groups, r, s)
    y = lax.conv_general_dilated(
        x, turned[:, :, ::-1, ::-1], (1, 1), [(r - 1 - top, r - 1 - bottom), (s - 1 - left, s - 1 - right)],
        lhs_dilation=pair(stride), dimension_numbers=LAYOUT, feature_group_count=groups,
    )  # fmt: skip
    return y if b is None else y + b[:, None, None]


def max_pool2d(x: Jax, *, window: Any, stride: Any = 1, padding: Any = 0, ceil_mode: bool = False) -> Jax:
    at = pooling_windows(x.shape, max_pool2d_block.Options(window, stride, padding, ceil_mode))
    return lax.reduce_window(x, -np.inf, lax.max, *_spatial(at))


def avg_pool2d(
    x: Jax, *, window: Any, stride: Any = 1, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = False
) -> Jax:
    options = avg_pool2d_block.Options(window, stride, padding, ceil_mode, count_include_pad)
    at = pooling_windows(x.shape, options)
    return _window_sum(x, at) / at.divisors(count_include_pad).astype(x.dtype)


def _window_sum(x: Jax, at: Windows) -> Jax:
    return lax.reduce_window(x, 0.0, lax.add, *_spatial(at))


def _spatial(at: Windows) -> tuple[Any, Any, Any]:
    """Window, stride and padding over all four axes, as reduce_window takes them; negative padding cuts off."""
    left, right, top, bottom = at.margins()
    return (1, 1, *at.window), (1, 1, *at.stride), ((0, 0), (0, 0), (top, bottom), (left, right))


def relu(x: Jax, *, slope: float = 0.0) -> Jax:
    """Not jax.nn.leaky_relu, whose gradient at 0 is 1."""
    return jnp.where(x > 0, x, slope * x) if slope else jax.nn.relu(x)


def local_response_norm(x: Jax, *, window: int = 5, kappa: float = 2.0, alpha: float = 1e-4, beta: float = 0.75) -> Jax:
    before, after = (window - 1) // 2, window // 2
    around = ((0, 0), (before, after), (0, 0), (0, 0))
    energy = lax.reduce_window(x * x, 0.0, lax.add, (1, window, 1, 1), (1, 1, 1, 1), around)
    return x * (kappa + alpha * energy) ** -beta


def spatial_norm(x: Jax, *, window: Any, alpha: float, beta: float) -> Jax:
    at = spatial_windows(x.shape, window, alpha)
    pixels = at.divisors(count_include_pad=False).astype(x.dtype)
    return x * (1 + alpha * (_window_sum(x * x, at) / pixels)) ** -beta


def batch_norm(x: Jax, gain: Jax, bias: Jax, *, epsilon: float = 1e-4, moments: tuple[Jax, Jax] | None = None) -> Jax:
    """A two-pass variance: JAX has no operation for the block."""
    if moments is None:
        mean = x.mean((0, 2, 3), keepdims=True)
        variance = ((x - mean) ** 2).mean((0, 2, 3), keepdims=True)
    else:
        mean, variance = (m[:, None, None] for m in moments)
    return gain[:, None, None] * ((x - mean) * lax.rsqrt(variance + epsilon)) + bias[:, None, None]


def softmax(x: Jax, *, temperature: float = 1.0) -> Jax:
    return jax.nn.softmax(x / temperature, axis=1)


def log_loss(x: Jax, labels: Jax) -> Jax:
    return -jnp.log(jnp.take_along_axis(x, labels[:, None], axis=1)).sum()


def softmax_log_loss(x: Jax, labels: Jax) -> Jax:
    return -jnp.take_along_axis(jax.nn.log_softmax(x, axis=1), labels[:, None], axis=1).sum()


def p_distance(x: Jax, target: Jax, *, p: float, root: bool = True) -> Jax:
    """Where d, or its norm, is 0 a constant takes its place, so that the gradient there is 0 and not NaN."""
    d = x - target
    moved = d != 0
    total = jnp.where(moved, jnp.abs(jnp.where(moved, d, 1)) ** p, 0).sum(1, keepdims=True)
    if not root:
        return total
    apart = total != 0
    return jnp.where(apart, jnp.where(apart, total, 1) ** (1 / p), 0)


FUNCTIONS: dict[str, Callable[..., Jax]] = {
    "add": lambda *xs: reduce(jnp.add, xs),
    "avg_pool2d": avg_pool2d,
    "batch_norm": batch_norm,
    "concat": lambda *xs: jnp.concatenate(xs, 1),
    "conv2d": conv2d,
    "conv_transpose2d": conv_transpose2d,
    "dropout": jnp.multiply,
    "local_response_norm": local_response_norm,
    "log_loss": log_loss,
    "max_pool2d": max_pool2d,
    "p_distance": p_distance,
    "relu": relu,
    "sigmoid": jax.nn.sigmoid,
    "softmax": softmax,
    "softmax_log_loss": softmax_log_loss,
    "spatial_norm": spatial_norm,
    "tanh": jnp.tanh,
}
