"""Calls of single ONNX operators: our options as their attributes, untranslated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from mcnbench.arrays import Array, pair, sides
from mcnbench.backends.native import lacking
from mcnbench.backends.onnx_graphs import IR, OPSET

OPERATORS = {
    "add": "Sum",
    "avg_pool2d": "AveragePool",
    "batch_norm": "BatchNormalization",
    "conv2d": "Conv",
    "conv_transpose2d": "ConvTranspose",
    "local_response_norm": "LRN",
    "max_pool2d": "MaxPool",
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "softmax": "Softmax",
    "softmax_log_loss": "SoftmaxCrossEntropyLoss",
}


def _attributes(block: str, options: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in options.items():
        match name:
            case "stride":
                found["strides"] = pair(value)
            case "padding" if isinstance(value, str):
                found["auto_pad"] = f"{value.upper()}_UPPER"
            case "padding":
                top, bottom, left, right = sides(value)
                found["pads"] = (top, left, bottom, right)
            case "window":
                found["size" if block == "local_response_norm" else "kernel_shape"] = (
                    value if block == "local_response_norm" else pair(value)
                )
            case "ceil_mode" | "count_include_pad":
                found[name] = int(value)
            case "kappa":
                found["bias"] = float(value)
            case "slope":
                found["alpha"] = float(value)
            case _:
                found[name] = float(value)
    return found


def run_operator(
    runner: Callable[[bytes], Callable[[dict[str, Array]], Array]],
    block: str,
    inputs: Sequence[Array | None],
    options: dict[str, Any],
) -> tuple[Array, None]:
    """The block's operator in a graph of its own."""
    operator = "LeakyRelu" if block == "relu" and "slope" in options else OPERATORS[block]
    attributes, outputs = _attributes(block, options), ["y"]
    given = {f"x{i}": a for i, a in enumerate(inputs) if a is not None}
    match block:
        case "batch_norm":
            channels = np.zeros(next(iter(given.values())).shape[1], np.float32)
            given |= {"mean": channels, "variance": channels + 1}
            attributes["training_mode"], outputs = 1, ["y", "mean_out", "variance_out"]
        case "softmax":
            attributes["axis"] = 1
        case "softmax_log_loss":
            attributes["reduction"] = "sum"
    kinds = {name: TensorProto.INT64 if a.dtype.kind == "i" else TensorProto.FLOAT for name, a in given.items()}
    graph = helper.make_graph(
        [helper.make_node(operator, list(given), outputs, **attributes)],
        block,
        [helper.make_tensor_value_info(name, kinds[name], a.shape) for name, a in given.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, ir_version=IR, opset_imports=[helper.make_opsetid("", OPSET)])
    try:
        return runner(model.SerializeToString())(given), None
    except NotImplementedError as error:
        raise lacking(f"such call: {error}") from error
