"""Labels: (N, H, W) integers from 0, one class per pixel of x (N, C, H, W)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcnbench.arrays import Array, Float64, Shape


def label_shape(shapes: Sequence[Shape | None]) -> Shape:
    """() when labels fit x; raises ValueError, with what was given and needed, when they do not."""
    x, labels = shapes[0], shapes[1]
    if x is None or len(x) != 4 or x[1] < 1:
        raise ValueError(f"wanted x (N, C, H, W) with at least one channel, got {x}")
    if labels != (x[0], *x[2:]):
        raise ValueError(f"x has shape {x}, so wanted labels (N, H, W) = {(x[0], *x[2:])}, got {labels}")
    return ()


def checked_labels(inputs: Sequence[Array | None]) -> tuple[Float64, Array]:
    """x in float64 and the labels; raises ValueError when a label is not the number of a channel."""
    x, labels = inputs[0], inputs[1]
    label_shape([None if a is None else a.shape for a in inputs])
    assert x is not None
    assert labels is not None
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"wanted integer labels, got {labels.dtype}")
    if labels.size and not 0 <= labels.min() <= labels.max() < x.shape[1]:
        raise ValueError(f"x has {x.shape[1]} channels, but labels run from {labels.min()} to {labels.max()}")
    return x.astype(np.float64), labels


def one_hot(labels: Array, channels: int) -> Array:
    """(N, C, H, W) booleans, true where the channel is the pixel's label."""
    return np.asarray(labels[:, None] == np.arange(channels).reshape(1, -1, 1, 1))
