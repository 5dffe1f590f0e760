"""OpenVINO as a backend, on its CPU plugin: the graphs of onnx_graphs.py, in float32, forward only."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import openvino as ov

from mcnbench.arrays import Array
from mcnbench.backends.onnx_graphs import GRAPHS, OnnxBackend

_core = ov.Core()
_settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}


def version() -> str:
    return f"OpenVINO {ov.__version__.split('-')[0]}, CPU, float32, forward only"


def set_threads(threads: int) -> None:
    _settings["INFERENCE_NUM_THREADS"] = threads


def runner(model: bytes) -> Callable[[dict[str, Array]], Array]:
    """A function of the inputs by name that runs the serialised model; NotImplementedError for what OpenVINO cannot."""
    try:
        compiled = _core.compile_model(_core.read_model(model), "CPU", _settings)
    except RuntimeError as error:
        raise NotImplementedError(f"OpenVINO: {' '.join(str(error).split())[-200:]}") from error
    request = compiled.create_infer_request()

    def run(inputs: dict[str, Array]) -> Array:
        return np.array(request.infer(inputs)[0])

    return run


_onnx = OnnxBackend(runner)


def _block(name: str, *inputs: Array | None, **options: Any) -> tuple[Array, None]:
    if inputs[0] is not None and inputs[0].dtype == np.float64:
        raise NotImplementedError("OpenVINO's CPU plugin computes float64 in float32")
    return _onnx.block(name, *inputs, **options)


def __getattr__(name: str) -> Any:
    """The block of that name."""
    if name in GRAPHS:
        return partial(_block, name)
    raise AttributeError(name)
