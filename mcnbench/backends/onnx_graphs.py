"""The blocks as ONNX graphs, one for each call's sizes, dtype and options: what ONNX Runtime and OpenVINO run.

Where an operator of ONNX means what the block means, the graph is that operator; else it is composed: an average
pooling whose windows overhang, a local response normalisation with an even window, batch normalisation in training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from mcnbench import blocks
from mcnbench.arrays import Array, Shape, pair, sides
from mcnbench.windows import Windows, pooling_windows

OPSET, IR = 21, 10
PIXELS = np.array([0, 2, 3])


class Graph:
    """A graph being written. Values are their names."""

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def op(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """The output of an operator on these values."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def constant(self, value: Any, dtype: Any = None) -> str:
        """A number, or an array, of the graph's dtype or another."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype or self.dtype), name))
        return name


def model(
    name: str, shapes: Sequence[Shape | None], dtype: str, options: Mapping[str, Any]
) -> tuple[ModelProto, tuple[str, ...]]:
    """The block's graph and the names of its inputs: those of the block that are given, then "mean" and "variance"."""
    graph = Graph(dtype)
    roles = blocks.block(name).INPUTS
    names = [f"x{i}" for i in range(len(shapes))] if roles[0].startswith("*") else list(roles[: len(shapes)])
    given = {key: shape for key, shape in zip(names, shapes, strict=True) if shape is not None}
    given |= {key: shapes[0][1:2] for key in ("mean", "variance") if options.get("moments") is not None and shapes[0]}
    kinds = {
        key: TensorProto.INT64 if key == "labels" else helper.np_dtype_to_tensor_dtype(graph.dtype) for key in given
    }
    arguments = [key if shape is not None else None for key, shape in zip(names, shapes, strict=True)]
    y = GRAPHS[name](graph, [tuple(s) if s is not None else s for s in shapes], *arguments, **options)
    made = helper.make_graph(
        graph.nodes,
        name,
        [helper.make_tensor_value_info(key, kinds[key], shape) for key, shape in given.items()],
        [helper.make_tensor_value_info(y, helper.np_dtype_to_tensor_dtype(graph.dtype), None)],
        graph.constants,
    )
    return helper.make_model(made, ir_version=IR, opset_imports=[helper.make_opsetid("", OPSET)]), tuple(given)


def _conv2d(
    g: Graph, shapes: Any, x: str, w: str, b: str | None = None, *,
    stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
) -> str:  # fmt: skip
    how = {"strides": pair(stride), "pads": _pads(sides(padding)), "dilations": pair(dilation), "group": groups}
    return g.op("Conv", *(a for a in (x, w, b) if a), kernel_shape=shapes[1][2:], **how)


def _conv_transpose2d(
    g: Graph, shapes: Any, x: str, w: str, b: str | None = None, *, stride: Any = 1, padding: Any = 0, groups: int = 1
) -> str:
    how = {"strides": pair(stride), "pads": _pads(sides(padding)), "group": groups}
    return g.op("ConvTranspose", *(a for a in (x, w, b) if a), kernel_shape=shapes[1][2:], **how)


def _pads(around: Sequence[int]) -> tuple[int, int, int, int]:
    """Top, left, bottom, right, from (top, bottom, left, right)."""
    top, bottom, left, right = around
    return top, left, bottom, right


def _windows(name: str, shape: Shape, options: Mapping[str, Any]) -> tuple[Windows, tuple[int, int, int, int]]:
    """Where the windows lie, and the pads with which each of them fits."""
    at = pooling_windows(shape, blocks.block(name).Options(**options))
    left, right, top, bottom = (max(margin, 0) for margin in at.margins())
    return at, (top, left, bottom, right)


def _max_pool2d(g: Graph, shapes: Any, x: str, **options: Any) -> str:
    at, pads = _windows("max_pool2d", shapes[0], options)
    top, left, bottom, right = pads
    if max(top, bottom) >= at.window[0] or max(left, right) >= at.window[1]:  # more than the operator pads
        x, pads = g.op("Pad", x, g.constant(_around(pads), np.int64), g.constant(-np.inf)), (0, 0, 0, 0)
    return g.op("MaxPool", x, kernel_shape=at.window, strides=at.stride, pads=pads)


def _avg_pool2d(g: Graph, shapes: Any, x: str, **options: Any) -> str:
    at, pads = _windows("avg_pool2d", shapes[0], options)
    return _mean(g, x, at, pads, at.divisors(bool(options.get("count_include_pad"))))


def _mean(g: Graph, x: str, at: Windows, pads: tuple[int, ...], divisors: Array) -> str:
    """The windows' sums over the divisors: the operator on the padded map, rescaled where they differ from R S."""
    if any(pads):
        x = g.op("Pad", x, g.constant(_around(pads), np.int64), g.constant(0))
    y = g.op("AveragePool", x, kernel_shape=at.window, strides=at.stride)
    scale = at.window[0] * at.window[1] / divisors
    return y if (scale == 1).all() else g.op("Mul", y, g.constant(scale))


def _around(pads: Sequence[int]) -> list[int]:
    top, left, bottom, right = pads
    return [0, 0, top, left, 0, 0, bottom, right]


def _relu(g: Graph, shapes: Any, x: str, *, slope: float = 0.0) -> str:
    """The attribute of LeakyRelu is a float32."""
    if not slope or g.dtype == np.float32:
        return g.op("LeakyRelu", x, alpha=float(slope)) if slope else g.op("Relu", x)
    return g.op("Where", g.op("Greater", x, g.constant(0)), x, g.op("Mul", x, g.constant(slope)))


def _local_response_norm(
    g: Graph, shapes: Any, x: str, *, window: int = 5, kappa: float = 2.0, alpha: float = 1e-4, beta: float = 0.75
) -> str:
    """The operator divides alpha by the window; its runtimes refuse an even one."""
    if window % 2 and g.dtype == np.float32:
        return g.op("LRN", x, size=window, alpha=alpha * window, beta=float(beta), bias=float(kappa))
    channels, (before, after) = shapes[0][1], ((window - 1) // 2, window // 2)
    around = g.constant([0, before, 0, 0, 0, after, 0, 0], np.int64)
    squares = g.op("Pad", g.op("Mul", x, x), around, g.constant(0))
    axes = g.constant([1], np.int64)
    parts = [
        g.op("Slice", squares, g.constant([i], np.int64), g.constant([i + channels], np.int64), axes)
        for i in range(window)
    ]
    energy = g.op("Sum", *parts)
    base = g.op("Add", g.op("Mul", energy, g.constant(alpha)), g.constant(kappa))
    return g.op("Mul", x, g.op("Pow", base, g.constant(-beta)))


def _spatial_norm(g: Graph, shapes: Any, x: str, *, window: Any, alpha: float, beta: float) -> str:
    from mcnbench.blocks.spatial_norm import spatial_windows

    at = spatial_windows(shapes[0], window, alpha)
    left, right, top, bottom = (max(margin, 0) for margin in at.margins())
    energy = _mean(g, g.op("Mul", x, x), at, (top, left, bottom, right), at.divisors(count_include_pad=False))
    base = g.op("Add", g.op("Mul", energy, g.constant(alpha)), g.constant(1))
    return g.op("Mul", x, g.op("Pow", base, g.constant(-beta)))


def _batch_norm(
    g: Graph, shapes: Any, x: str, gain: str, bias: str, *, epsilon: float = 1e-4, moments: Any = None
) -> str:
    """The operator at inference, whose epsilon is a float32; else the function by which the standard defines it."""
    if moments is not None and g.dtype == np.float32:
        return g.op("BatchNormalization", x, gain, bias, "mean", "variance", epsilon=float(epsilon))
    channel = g.constant([-1, 1, 1], np.int64)
    gain, bias = (g.op("Reshape", each, channel) for each in (gain, bias))
    if moments is not None:
        mean, variance = (g.op("Reshape", each, channel) for each in ("mean", "variance"))
        d = g.op("Sub", x, mean)
    else:
        d = g.op("Sub", x, g.op("ReduceMean", x, g.constant(PIXELS, np.int64)))
        variance = g.op("ReduceMean", g.op("Mul", d, d), g.constant(PIXELS, np.int64))
    root = g.op("Sqrt", g.op("Add", variance, g.constant(epsilon)))
    return g.op("Add", g.op("Mul", g.op("Div", d, root), gain), bias)


def _softmax(g: Graph, shapes: Any, x: str, *, temperature: float = 1.0) -> str:
    return g.op("Softmax", g.op("Div", x, g.constant(temperature)), axis=1)


def _p_distance(g: Graph, shapes: Any, x: str, target: str, *, p: float, root: bool = True) -> str:
    powers = g.op("Pow", g.op("Abs", g.op("Sub", x, target)), g.constant(p))
    total = g.op("ReduceSum", powers, g.constant([1], np.int64), keepdims=1)
    return g.op("Pow", total, g.constant(1 / p)) if root else total


GRAPHS: dict[str, Callable[..., str]] = {
    "add": lambda g, shapes, *xs: g.op("Sum", *xs),
    "avg_pool2d": _avg_pool2d,
    "batch_norm": _batch_norm,
    "concat": lambda g, shapes, *xs: g.op("Concat", *xs, axis=1),
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "dropout": lambda g, shapes, x, mask: g.op("Mul", x, mask),
    "local_response_norm": _local_response_norm,
    "log_loss": lambda g, shapes, x, labels: g.op("NegativeLogLikelihoodLoss", g.op("Log", x), labels, reduction="sum"),
    "max_pool2d": _max_pool2d,
    "p_distance": _p_distance,
    "relu": _relu,
    "sigmoid": lambda g, shapes, x: g.op("Sigmoid", x),
    "softmax": _softmax,
    "softmax_log_loss": lambda g, shapes, x, labels: g.op("SoftmaxCrossEntropyLoss", x, labels, reduction="sum"),
    "spatial_norm": _spatial_norm,
    "tanh": lambda g, shapes, x: g.op("Tanh", x),
}


class OnnxBackend:
    """The blocks of a runtime that runs graphs of ONNX: forward only, so every pullback is None.

    `runner(bytes)` makes a function of the inputs by name from a serialised model; it raises NotImplementedError for
    what the runtime cannot run. Graphs are kept, so that the same call again pays for running alone.
    """

    def __init__(self, runner: Callable[[bytes], Callable[[dict[str, Array]], Array]], kept: int = 256) -> None:
        self._runner, self._kept = runner, kept
        self._ready: dict[Any, tuple[Callable[[dict[str, Array]], Array], tuple[str, ...]]] = {}

    def block(self, name: str, *inputs: Array | None, **options: Any) -> tuple[Array, None]:
        from mcnbench.backends.sizes import check, check_labels

        if name in ("log_loss", "softmax_log_loss"):
            check_labels(name, *inputs)
            inputs = (inputs[0], np.asarray(inputs[1], np.int64))  # as the graph declares them
        else:
            check(name, *inputs, **options)
        moments = options.get("moments") or ()
        arrays = [a for a in inputs if a is not None]
        shapes = tuple(None if a is None else a.shape for a in inputs)
        plain = {key: value if key != "moments" else bool(moments) or None for key, value in options.items()}
        dtype = str(arrays[0].dtype)
        key = name, shapes, dtype, tuple(sorted(plain.items()))
        if key not in self._ready:
            while len(self._ready) >= self._kept:
                del self._ready[next(iter(self._ready))]
            made, names = model(name, shapes, dtype, plain)
            self._ready[key] = self._runner(made.SerializeToString()), names
        run, names = self._ready[key]
        y = run({key: np.ascontiguousarray(a) for key, a in zip(names, (*arrays, *moments), strict=True)})
        return np.array(y, dtype), None
