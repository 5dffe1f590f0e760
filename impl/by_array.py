"""Each block on the device where its arrays are: NumPy arrays go to impl.numpy_cpu, CuPy arrays to impl.cupy_cuda.

    from impl.by_array import conv2d, relu

Code that uses these moves from CPU to GPU by being passed CuPy arrays instead of NumPy ones.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

Block = Callable[..., tuple[Any, Callable[..., tuple[Any, ...]] | None]]


def _on(name: str) -> Block:
    def block(*inputs: Any, **options: Any) -> tuple[Any, Callable[..., tuple[Any, ...]] | None]:
        package = "numpy_cpu" if all(a is None or isinstance(a, np.ndarray) for a in inputs) else "cupy_cuda"
        function: Block = getattr(import_module(f"impl.{package}"), name)
        return function(*inputs, **options)

    block.__name__ = name
    block.__doc__ = f"{name} of impl.numpy_cpu or impl.cupy_cuda, by the arrays given. Raises what that one raises."
    return block


conv2d = _on("conv2d")
conv_transpose2d = _on("conv_transpose2d")
max_pool2d = _on("max_pool2d")
avg_pool2d = _on("avg_pool2d")
relu = _on("relu")
sigmoid = _on("sigmoid")
tanh = _on("tanh")
local_response_norm = _on("local_response_norm")
batch_norm = _on("batch_norm")
spatial_norm = _on("spatial_norm")
softmax = _on("softmax")
log_loss = _on("log_loss")
softmax_log_loss = _on("softmax_log_loss")
p_distance = _on("p_distance")
dropout = _on("dropout")
concat = _on("concat")
add = _on("add")
