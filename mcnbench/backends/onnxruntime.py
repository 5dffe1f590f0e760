"""ONNX Runtime as a backend, on its CPU provider: a graph for each call (onnx_graphs.py), forward only."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as errors

from mcnbench.arrays import Array
from mcnbench.backends.onnx_graphs import GRAPHS, OnnxBackend

_settings = ort.SessionOptions()
_settings.log_severity_level = 4  # what it cannot do is raised; no need to print it as well
_settings.intra_op_num_threads = 1


def version() -> str:
    return f"ONNX Runtime {ort.__version__}, CPU, forward only"


def set_threads(threads: int) -> None:
    _settings.intra_op_num_threads = threads


def runner(model: bytes) -> Callable[[dict[str, Array]], Array]:
    """A function of the inputs by name that runs the model; NotImplementedError for what ONNX Runtime cannot."""
    try:
        session = ort.InferenceSession(model, _settings, providers=["CPUExecutionProvider"])
    except (errors.NotImplemented, errors.Fail, errors.InvalidGraph, errors.RuntimeException) as error:
        raise NotImplementedError(f"ONNX Runtime: {_sentence(error)}") from error

    def run(inputs: dict[str, Array]) -> Array:
        try:
            found: Array = session.run(None, inputs)[0]
        except (errors.NotImplemented, errors.Fail, errors.RuntimeException, errors.InvalidArgument) as error:
            raise NotImplementedError(f"ONNX Runtime: {_sentence(error)}") from error
        return found

    return run


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()).removeprefix("[ONNXRuntimeError] : ")[:200]


_block = OnnxBackend(runner).block


def __getattr__(name: str) -> Any:
    """The block of that name."""
    if name in GRAPHS:
        return partial(_block, name)
    raise AttributeError(name)
