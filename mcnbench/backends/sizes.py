"""Sizes and labels that do not fit, refused in the words of the blocks' descriptions: for frameworks that would compute
something else, or stop with a message of their own."""

from __future__ import annotations

from typing import Any

from mcnbench import blocks


def check(name: str, *inputs: Any, **options: Any) -> None:
    """Raises ValueError, in the words of the block's description, when the sizes of these arrays do not fit."""
    description = blocks.block(name)
    description.output_shape([None if t is None else tuple(t.shape) for t in inputs], description.Options(**options))


def check_labels(name: str, x: Any, labels: Any) -> None:
    """Beside the sizes the values: frameworks ignore, clip or read past a label that is no channel.

    `labels` has `min` and `max`, as arrays of NumPy, PyTorch and JAX have.
    """
    check(name, x, labels)
    if 0 not in labels.shape and not (labels.min() >= 0 and labels.max() < x.shape[1]):
        raise ValueError(f"x has {x.shape[1]} channels, but labels run from {int(labels.min())} to {int(labels.max())}")
