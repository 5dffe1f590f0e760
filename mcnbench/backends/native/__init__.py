"""What each framework's own operations do with our options, untranslated: its meaning of the blocks, not ours.

One module per framework with `run(block, inputs, options)`: NumPy arrays in; y and, where the framework has gradients,
a function from dy to the gradients of all inputs, in NumPy arrays. Options have our names and go to the option of the
framework's operation that is called alike or is its counterpart; padding may be "same". `NotImplementedError`, with the
reason, says that the framework has no such operation, or that the operation has no such option.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from mcnbench.arrays import Array

Gradients = Callable[[Array], list[Array | None]]
Run = Callable[[str, Sequence[Array | None], dict[str, Any]], tuple[Array, Gradients | None]]

MODULES = {name: f"{__name__}.of_{name}" for name in ("torch", "jax", "tensorflow", "onnxruntime", "openvino")}


def load(backend: str) -> Run | None:
    """The framework's own operations; None for a backend whose blocks are its operations."""
    if backend not in MODULES:
        return None
    run: Run = import_module(MODULES[backend]).run
    return run


def lacking(what: str) -> NotImplementedError:
    """The framework has no such thing."""
    return NotImplementedError(f"no {what}")
