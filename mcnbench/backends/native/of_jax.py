"""JAX's own operations, jax.lax and jax.nn (see the package). An average, and responses across channels, it has not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mcnbench.arrays import Array, pair, sides
from mcnbench.backends import jax as _  # noqa: F401  # sets JAX up as the backend does
from mcnbench.backends.native import Gradients, lacking

Jax = Any


def _padding(padding: Any) -> Any:
    if isinstance(padding, str):
        return padding.upper()
    top, bottom, left, right = sides(padding)
    return [(top, bottom), (left, right)]


def _conv2d(x: Jax, w: Jax, b: Jax | None = None, *, stride: Any = 1, padding: Any = 0) -> Jax:
    return lax.conv_general_dilated(x, w, pair(stride), _padding(padding), dimension_numbers=("NCHW", "OIHW", "NCHW"))


def _conv_transpose2d(x: Jax, w: Jax, b: Jax | None = None, *, stride: Any = 1) -> Jax:
    return lax.conv_transpose(x, w, pair(stride), "VALID", dimension_numbers=("NCHW", "IOHW", "NCHW"))


def _max_pool2d(x: Jax, *, window: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False) -> Jax:
    if ceil_mode:
        raise lacking("ceil mode")
    around = _padding(padding) if isinstance(padding, str) else [(0, 0), (0, 0), *_padding(padding)]
    steps = (1, 1, *pair(window if stride is None else stride))
    return lax.reduce_window(x, -np.inf, lax.max, (1, 1, *pair(window)), steps, around)


def _batch_norm(x: Jax, gain: Jax, bias: Jax, *, epsilon: float) -> Jax:
    standard = jax.nn.standardize(x, axis=(0, 2, 3), epsilon=epsilon)
    return gain[:, None, None] * standard + bias[:, None, None]


CALLS: dict[str, Callable[..., Jax]] = {
    "add": jnp.add,
    "batch_norm": _batch_norm,
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "max_pool2d": _max_pool2d,
    "relu": lambda x, *, slope=None: jax.nn.relu(x) if slope is None else jax.nn.leaky_relu(x, slope),
    "sigmoid": jax.nn.sigmoid,
    "softmax": lambda x: jax.nn.softmax(x, axis=1),
}


def run(block: str, inputs: Sequence[Array | None], options: dict[str, Any]) -> tuple[Array, Gradients]:
    if block not in CALLS:
        raise lacking("such operation")
    given = [jnp.array(a) for a in inputs if a is not None]
    y, vjp = jax.vjp(lambda *arrays: CALLS[block](*arrays, **options), *given)

    def gradients(dy: Array) -> list[Array | None]:
        found = iter(vjp(jnp.array(dy)))
        return [None if a is None else np.asarray(next(found)) for a in inputs]

    return np.asarray(y), gradients
