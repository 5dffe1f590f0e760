"""ONNX's operators as ONNX Runtime runs them (see the package)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcnbench.arrays import Array
from mcnbench.backends import onnxruntime
from mcnbench.backends.native.onnx_operators import run_operator


def run(block: str, inputs: Sequence[Array | None], options: dict[str, Any]) -> tuple[Array, None]:
    return run_operator(onnxruntime.runner, block, inputs, options)
