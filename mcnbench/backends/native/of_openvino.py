"""ONNX's operators as OpenVINO runs them (see the package)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcnbench.arrays import Array
from mcnbench.backends import openvino
from mcnbench.backends.native.onnx_operators import run_operator


def run(block: str, inputs: Sequence[Array | None], options: dict[str, Any]) -> tuple[Array, None]:
    return run_operator(openvino.runner, block, inputs, options)
