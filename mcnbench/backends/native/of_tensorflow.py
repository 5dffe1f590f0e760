"""TensorFlow's own operations, tf.nn (see the package), channels last, with padding SAME, VALID or given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from mcnbench.arrays import Array, pair, sides
from mcnbench.backends.native import Gradients, lacking

Tensor = Any


def _padding(padding: Any) -> Any:
    if isinstance(padding, str) or not any(sides(padding)):
        return padding.upper() if isinstance(padding, str) else "VALID"
    top, bottom, left, right = sides(padding)
    return [[0, 0], [top, bottom], [left, right], [0, 0]]


def _conv2d(x: Tensor, w: Tensor, b: Tensor | None = None, *, stride: Any = 1, padding: Any = 0) -> Tensor:
    return tf.nn.conv2d(x, tf.transpose(w, (2, 3, 1, 0)), pair(stride), _padding(padding))


def _conv_transpose2d(x: Tensor, w: Tensor, b: Tensor | None = None, *, stride: Any = 1) -> Tensor:
    (n, height, width, _), (_, k, r, s), (sv, sh) = x.shape, w.shape, pair(stride)
    full = (n, sv * (height - 1) + r, sh * (width - 1) + s, k)
    return tf.nn.conv2d_transpose(x, tf.transpose(w, (2, 3, 1, 0)), full, (sv, sh), "VALID")


def _pool(operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def pool(x: Tensor, *, window: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False) -> Tensor:
        if ceil_mode:
            raise lacking("ceil mode")
        return operation(x, pair(window), pair(window if stride is None else stride), _padding(padding))

    return pool


def _local_response_norm(x: Tensor, *, window: int, kappa: float, alpha: float, beta: float) -> Tensor:
    if window % 2 == 0:
        raise lacking("window of even size: depth_radius r means one of 2 r + 1")
    return tf.nn.local_response_normalization(x, window // 2, kappa, alpha, beta)


def _batch_norm(x: Tensor, gain: Tensor, bias: Tensor, *, epsilon: float) -> Tensor:
    return tf.compat.v1.nn.fused_batch_norm(x, gain, bias, epsilon=epsilon, is_training=True)[0]


CALLS: dict[str, Callable[..., Tensor]] = {
    "add": tf.add,
    "avg_pool2d": _pool(tf.nn.avg_pool2d),
    "batch_norm": _batch_norm,
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "local_response_norm": _local_response_norm,
    "max_pool2d": _pool(tf.nn.max_pool2d),
    "relu": lambda x, *, slope=None: tf.nn.relu(x) if slope is None else tf.nn.leaky_relu(x, slope),
    "sigmoid": tf.sigmoid,
    "softmax": lambda x: tf.nn.softmax(x, axis=-1),
    "softmax_log_loss": lambda x, labels: tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, x)),
}


def run(block: str, inputs: Sequence[Array | None], options: dict[str, Any]) -> tuple[Array, Gradients]:
    """The first input, y and their gradients are turned to channels last and back."""
    x, *rest = (None if a is None else tf.constant(a) for a in inputs)
    given = [x if block == "add" else tf.transpose(x, (0, 2, 3, 1)), *rest]
    real = [t for t in given if t is not None and t.dtype.is_floating]
    try:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(real)
            y = CALLS[block](*given, **options)
    except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError, ValueError, TypeError) as error:
        raise lacking(f"such call: {str(error).splitlines()[0][:120]}") from error
    turned = block != "add" and y.shape.rank == 4

    def gradients(dy: Array) -> list[Array | None]:
        seed = tf.transpose(tf.constant(dy), (0, 2, 3, 1)) if turned else tf.constant(dy)
        found = iter(tape.gradient(y, real, output_gradients=seed))
        first = tf.convert_to_tensor(next(found))
        first = first if block == "add" else tf.transpose(first, (0, 3, 1, 2))
        others = [None if t is None or not t.dtype.is_floating else next(found).numpy() for t in given[1:]]
        return [first.numpy(), *others]

    return (tf.transpose(y, (0, 3, 1, 2)) if turned else y).numpy(), gradients
