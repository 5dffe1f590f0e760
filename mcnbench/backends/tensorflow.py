"""TensorFlow as a backend: the blocks through tf.nn, the pullbacks through tf.GradientTape.

TensorFlow's CPU kernels know channels last only, so x (N, C, H, W) and w (K, C / groups, R, S) are transposed before
each operation and y after it: exactly, but in the block's time, so TensorFlow is no row of a table of speeds. Padding
is applied by tf.pad, for tf.nn has none that differs by side for every operation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf

from mcnbench.arrays import Array, pair, sides
from mcnbench.backends.sizes import check, check_labels
from mcnbench.blocks import avg_pool2d as avg_pool2d_block
from mcnbench.blocks import max_pool2d as max_pool2d_block
from mcnbench.blocks.spatial_norm import spatial_windows
from mcnbench.windows import Windows, pooling_windows

Tensor = Any
"""A tf.Tensor; TensorFlow's classes have no types that could be checked."""
Result = tuple[Tensor, Callable[[Tensor], tuple[Tensor | None, ...]]]


def version() -> str:
    return f"TensorFlow {tf.__version__}"


def set_threads(threads: int) -> None:
    """Works until the first operation runs."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def from_numpy(a: Array) -> Tensor:
    return tf.constant(a.copy())


def to_numpy(a: Tensor) -> Array:
    found: Array = a.numpy()
    return found


def _last(x: Tensor) -> Tensor:
    return tf.transpose(x, (0, 2, 3, 1))


def _first(y: Tensor) -> Tensor:
    return tf.transpose(y, (0, 3, 1, 2))


def _conv2d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The number of groups follows from the channels of x and w."""
    top, bottom, left, right = sides(padding)
    padded = tf.pad(_last(x), ((0, 0), (top, bottom), (left, right), (0, 0)))
    y = tf.nn.conv2d(padded, tf.transpose(w, (2, 3, 1, 0)), pair(stride), "VALID", dilations=pair(dilation))
    return _first(y if b is None else tf.nn.bias_add(y, b))


def _conv_transpose2d(
    x: Tensor, w: Tensor, b: Tensor | None = None, *, stride: Any = 1, padding: Any = 0, groups: int = 1
) -> Tensor:
    """Group by group, for tf.nn.conv2d_transpose has no groups."""
    top, bottom, left, right = sides(padding)
    (n, _, height, width), (_, k, r, s), (sv, sh) = x.shape, w.shape, pair(stride)
    full = (n, sv * (height - 1) + r, sh * (width - 1) + s, k)
    parts = [
        tf.nn.conv2d_transpose(part, tf.transpose(filters, (2, 3, 1, 0)), full, (sv, sh), "VALID")
        for part, filters in zip(tf.split(_last(x), groups, 3), tf.split(w, groups, 0), strict=True)
    ]
    y = tf.concat(parts, 3)[:, top : full[1] - bottom, left : full[2] - right]
    return _first(y if b is None else tf.nn.bias_add(y, b))


def _max_pool2d(x: Tensor, *, window: Any, stride: Any = 1, padding: Any = 0, ceil_mode: bool = False) -> Tensor:
    at = pooling_windows(tuple(x.shape), max_pool2d_block.Options(window, stride, padding, ceil_mode))
    return _first(tf.nn.max_pool2d(_padded(x, at, -float("inf")), at.window, at.stride, "VALID"))


def _avg_pool2d(
    x: Tensor,
    *,
    window: Any,
    stride: Any = 1,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> Tensor:
    options = avg_pool2d_block.Options(window, stride, padding, ceil_mode, count_include_pad)
    at = pooling_windows(tuple(x.shape), options)
    return _mean(x, at, at.divisors(count_include_pad))


def _mean(x: Tensor, at: Windows, divisors: Array) -> Tensor:
    """The windows' sums over the divisors: tf.nn's average of the padded map, rescaled."""
    mean = _first(tf.nn.avg_pool2d(_padded(x, at, 0.0), at.window, at.stride, "VALID"))
    return mean * (at.window[0] * at.window[1] / divisors).astype(x.dtype.as_numpy_dtype)


def _padded(x: Tensor, at: Windows, value: float) -> Tensor:
    """x, channels last, so that every window fits."""
    left, right, top, bottom = (max(margin, 0) for margin in at.margins())
    return tf.pad(_last(x), ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=value)


def _relu(x: Tensor, *, slope: float = 0.0) -> Tensor:
    return tf.where(x > 0, x, slope * x) if slope else tf.nn.relu(x)


def _local_response_norm(
    x: Tensor, *, window: int = 5, kappa: float = 2.0, alpha: float = 1e-4, beta: float = 0.75
) -> Tensor:
    """tf.nn has odd windows in float32 alone."""
    if window % 2 and x.dtype == tf.float32:
        return _first(tf.nn.local_response_normalization(_last(x), window // 2, kappa, alpha, beta))
    channels = x.shape[1]
    around = tf.pad(x * x, ((0, 0), ((window - 1) // 2, window // 2), (0, 0), (0, 0)))
    energy = tf.add_n([around[:, i : i + channels] for i in range(window)])
    return x * (kappa + alpha * energy) ** -beta


def _spatial_norm(x: Tensor, *, window: Any, alpha: float, beta: float) -> Tensor:
    at = spatial_windows(tuple(x.shape), window, alpha)
    return x * (1 + alpha * _mean(x * x, at, at.divisors(count_include_pad=False))) ** -beta


def _batch_norm(
    x: Tensor, gain: Tensor, bias: Tensor, *, epsilon: float = 1e-4, moments: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    last = _last(x)
    mean, variance = moments or tf.nn.moments(last, (0, 1, 2))
    return _first(tf.nn.batch_normalization(last, mean, variance, bias, gain, epsilon))


def _log_loss(x: Tensor, labels: Tensor) -> Tensor:
    return -tf.reduce_sum(tf.math.log(tf.gather(_last(x), tf.cast(labels, tf.int64), batch_dims=3)))


def _softmax_log_loss(x: Tensor, labels: Tensor) -> Tensor:
    return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(labels, tf.int64), _last(x)))


def _p_distance(x: Tensor, target: Tensor, *, p: float, root: bool = True) -> Tensor:
    """Where d, or its norm, is 0 a constant takes its place, so that the gradient there is 0 and not NaN."""
    d = x - target
    moved = d != 0
    powers = tf.where(moved, tf.abs(tf.where(moved, d, tf.ones_like(d))) ** p, tf.zeros_like(d))
    total = tf.reduce_sum(powers, 1, keepdims=True)
    if not root:
        return total
    apart = total != 0
    return tf.where(apart, tf.where(apart, total, tf.ones_like(total)) ** (1 / p), tf.zeros_like(total))


FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "add": lambda *xs: tf.add_n(xs),
    "avg_pool2d": _avg_pool2d,
    "batch_norm": _batch_norm,
    "concat": lambda *xs: tf.concat(xs, 1),
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "dropout": tf.multiply,
    "local_response_norm": _local_response_norm,
    "log_loss": _log_loss,
    "max_pool2d": _max_pool2d,
    "p_distance": _p_distance,
    "relu": _relu,
    "sigmoid": tf.sigmoid,
    "softmax": lambda x, *, temperature=1.0: tf.nn.softmax(x / temperature, axis=1),
    "softmax_log_loss": _softmax_log_loss,
    "spatial_norm": _spatial_norm,
    "tanh": tf.tanh,
}


def _block(name: str, *inputs: Tensor | None, **options: Any) -> Result:
    if name in ("log_loss", "softmax_log_loss"):
        check_labels(name, inputs[0], to_numpy(inputs[1]))
    else:
        check(name, *inputs, **options)
    real = [t is not None and t.dtype.is_floating and not (name == "dropout" and i) for i, t in enumerate(inputs)]
    wanted = [t for t, use in zip(inputs, real, strict=True) if use]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(wanted)
        y = _called(partial(FUNCTIONS[name], *inputs, **options))

    def pullback(dy: Tensor) -> tuple[Tensor | None, ...]:
        how = {"output_gradients": dy, "unconnected_gradients": tf.UnconnectedGradients.ZERO}
        found = iter(_called(partial(tape.gradient, y, wanted, **how)))
        return tuple(tf.convert_to_tensor(next(found)) if use else None for use in real)

    return y, pullback


def _called(function: Callable[[], Any]) -> Any:
    """What the function gives; what TensorFlow has no kernel for is NotImplementedError, in TensorFlow's own words."""
    try:
        return function()
    except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError) as error:
        raise NotImplementedError(f"TensorFlow: {' '.join(str(error.message).split())[:200]}") from error


def __getattr__(name: str) -> Any:
    """The block of that name."""
    if name in FUNCTIONS:
        return partial(_block, name)
    raise AttributeError(name)
