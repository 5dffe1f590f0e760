"""Calls a block of a backend, or its oracle, with NumPy arrays in and out."""

from dataclasses import fields
from typing import Any

import numpy as np

import mcnbench
from mcnbench import blocks

IMPLEMENTATIONS = ("numpy", "torch", "oracle")


def call(implementation: str, name: str, *inputs: Any, **options: Any) -> tuple[Any, Any]:
    """(y, pullback) of the block on a backend, or of its oracle; arrays, dy and gradients are NumPy's."""
    description = blocks.block(name)
    made = description.Options(**options)
    if implementation == "oracle":
        return description.oracle(inputs, made)
    backend = mcnbench.backend(implementation)
    function = backend.block(name)
    assert function is not None, f"{implementation} lacks {name}"
    given = {field.name: getattr(made, field.name) for field in fields(made)}
    if given.get("moments"):
        given["moments"] = tuple(backend.from_numpy(a) for a in given["moments"])
    y, pullback = function(*(None if a is None else backend.from_numpy(a) for a in inputs), **given)

    def with_numpy(dy: Any) -> tuple[Any, ...]:
        gradients = pullback(backend.from_numpy(np.asarray(dy)))
        return tuple(None if g is None else backend.to_numpy(g) for g in gradients)

    return backend.to_numpy(y), with_numpy


def on_maps(implementation: str, name: str, *inputs: Any, dy: Any = None, **options: Any) -> tuple[Any, ...]:
    """(y, gradients ...) with matrices standing for one image of one channel, or one filter, in and out, in float64.

    A number for dy stands for that number everywhere.
    """
    left_out = [None] * (len(blocks.block(name).INPUTS) - len(inputs))
    arrays = [None if a is None else np.asarray(a, np.float64) for a in (*inputs, *left_out)]
    maps = [None if a is None else a.reshape((1,) * (4 - a.ndim) + a.shape) if a.ndim > 1 else a for a in arrays]
    y, pullback = call(implementation, name, *maps, **options)
    gradients = pullback(np.broadcast_to(np.asarray(1.0 if dy is None else dy, np.float64), y.shape).copy())
    return tuple(None if a is None else np.squeeze(a) for a in (y, *gradients))
