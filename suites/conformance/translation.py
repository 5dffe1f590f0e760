"""A model of one ONNX operator as a call of one of our blocks, or the reason why it is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcnbench.arrays import Array

Attributes = Mapping[str, Any]


class NotOurs(Exception):
    """The operator does something that no block of ours does; the message says what."""


@dataclass(frozen=True)
class Call:
    """A block's positional inputs and options, and how its y becomes the operator's output."""

    block: str
    inputs: Sequence[Array]
    options: Mapping[str, Any]
    output: Callable[[Array], Array]


def translate(operator: str, attributes: Attributes, inputs: Sequence[Array]) -> Call:
    """The block's call; raises NotOurs. Inputs that are not maps of four axes are given other shapes, not values."""
    if any(a.dtype not in (np.float32, np.int64, np.int32) for a in inputs) or inputs[0].dtype != np.float32:
        raise NotOurs(f"values of {', '.join(sorted({str(a.dtype) for a in inputs}))}")
    return OPERATORS[operator](attributes, inputs)


def _elementwise(block: str) -> Callable[[Attributes, Sequence[Array]], Call]:
    def call(attributes: Attributes, inputs: Sequence[Array]) -> Call:
        shape = inputs[0].shape
        if any(a.shape != shape for a in inputs):
            raise NotOurs("broadcasting")
        options = {"slope": attributes.get("alpha", 0.01)} if attributes.get("leaky") else {}
        return Call(block, [a.reshape(1, 1, 1, -1) for a in inputs], options, lambda y: y.reshape(shape))

    return call


def _leaky(attributes: Attributes, inputs: Sequence[Array]) -> Call:
    return _elementwise("relu")({**attributes, "leaky": True}, inputs)


def _along(block: str, default: int | None) -> Callable[[Attributes, Sequence[Array]], Call]:
    """An operator along one axis, which becomes that of the channels."""

    def call(attributes: Attributes, inputs: Sequence[Array]) -> Call:
        rank = inputs[0].ndim
        axis = int(attributes.get("axis", default)) % rank
        before, after = (int(np.prod(part)) for part in (inputs[0].shape[:axis], inputs[0].shape[axis + 1 :]))
        shape = list(inputs[0].shape)
        shape[axis] = sum(a.shape[axis] for a in inputs)
        maps = [a.reshape(before, a.shape[axis], after, 1) for a in inputs]
        return Call(block, maps, {}, lambda y: y.reshape(shape))

    return call


def _maps(inputs: Sequence[Array]) -> None:
    if inputs[0].ndim != 4:
        raise NotOurs(f"{inputs[0].ndim - 2} spatial axes")


def _padding(attributes: Attributes, x: Array, window: Sequence[int], stride: Sequence[int]) -> tuple[int, ...]:
    """(top, bottom, left, right), also of auto_pad SAME."""
    way = attributes.get("auto_pad", b"NOTSET").decode()
    if way in ("NOTSET", "VALID"):
        top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
        return top, bottom, left, right
    found: list[int] = []
    for size, w, s in zip(x.shape[2:], window, stride, strict=True):
        total = max((-(-size // s) - 1) * s + w - size, 0)
        found += [total // 2, total - total // 2] if way == "SAME_UPPER" else [total - total // 2, total // 2]
    return tuple(found)


def _conv(attributes: Attributes, inputs: Sequence[Array]) -> Call:
    _maps(inputs)
    stride, dilation = (tuple(attributes.get(key, (1, 1))) for key in ("strides", "dilations"))
    window = [d * (w - 1) + 1 for d, w in zip(dilation, inputs[1].shape[2:], strict=True)]
    padding = _padding(attributes, inputs[0], window, stride)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": attributes.get("group", 1)}
    return Call("conv2d", inputs, options, _as_is)


def _conv_transpose(attributes: Attributes, inputs: Sequence[Array]) -> Call:
    _maps(inputs)
    for key, plain in (("dilations", 1), ("output_padding", 0)):
        if any(value != plain for value in attributes.get(key, ())):
            raise NotOurs(f"a transposed convolution with {key}")
    if "output_shape" in attributes or attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise NotOurs("a transposed convolution to a given size")
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    options = {"stride": tuple(attributes.get("strides", (1, 1))), "padding": (top, bottom, left, right)}
    return Call("conv_transpose2d", inputs, {**options, "groups": attributes.get("group", 1)}, _as_is)


def _pool(block: str) -> Callable[[Attributes, Sequence[Array]], Call]:
    def call(attributes: Attributes, inputs: Sequence[Array]) -> Call:
        _maps(inputs)
        if any(d != 1 for d in attributes.get("dilations", ())):
            raise NotOurs("a pooling with dilations")
        window, stride = tuple(attributes["kernel_shape"]), tuple(attributes.get("strides", (1, 1)))
        options = {
            "window": window,
            "stride": stride,
            "padding": _padding(attributes, inputs[0], window, stride),
            "ceil_mode": bool(attributes.get("ceil_mode", 0)),
        }
        if block == "avg_pool2d":
            options["count_include_pad"] = bool(attributes.get("count_include_pad", 0))
        return Call(block, inputs, options, _as_is)

    return call


def _global_average(attributes: Attributes, inputs: Sequence[Array]) -> Call:
    _maps(inputs)
    return Call("avg_pool2d", inputs, {"window": inputs[0].shape[2:], "stride": 1}, _as_is)


def _lrn(attributes: Attributes, inputs: Sequence[Array]) -> Call:
    """ONNX divides alpha by the size."""
    size = attributes["size"]
    options = {"window": size, "alpha": attributes.get("alpha", 1e-4) / size}
    options |= {"beta": attributes.get("beta", 0.75), "kappa": attributes.get("bias", 1.0)}
    return Call("local_response_norm", inputs, options, _as_is)


def _batch_norm(attributes: Attributes, inputs: Sequence[Array]) -> Call:
    _maps(inputs)
    x, gain, bias, mean, variance = inputs
    moments = None if attributes.get("training_mode", 0) else (mean, variance)
    options = {"epsilon": attributes.get("epsilon", 1e-5), "moments": moments}
    return Call("batch_norm", (x, gain, bias), options, _as_is)


def _loss(block: str) -> Callable[[Attributes, Sequence[Array]], Call]:
    def call(attributes: Attributes, inputs: Sequence[Array]) -> Call:
        x, labels, *weight = inputs
        reduction = attributes.get("reduction", b"mean").decode()
        if weight or "ignore_index" in attributes:
            raise NotOurs("a loss with weights or labels to be ignored")
        if reduction == "none":
            raise NotOurs("a loss that is not summed")
        count = labels.size if reduction == "mean" else 1
        x = x.reshape(*x.shape[:2], -1, 1)
        x = np.exp(x) if block == "log_loss" else x  # ours takes the logarithm itself
        maps = [x, labels.astype(np.int64).reshape(len(x), -1, 1)]
        return Call(block, maps, {}, lambda y: (y / np.float32(count)).astype(np.float32))

    return call


def _as_is(y: Array) -> Array:
    return y


OPERATORS: dict[str, Callable[[Attributes, Sequence[Array]], Call]] = {
    "Add": _elementwise("add"),
    "AveragePool": _pool("avg_pool2d"),
    "BatchNormalization": _batch_norm,
    "Concat": _along("concat", None),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "GlobalAveragePool": _global_average,
    "LRN": _lrn,
    "LeakyRelu": _leaky,
    "MaxPool": _pool("max_pool2d"),
    "NegativeLogLikelihoodLoss": _loss("log_loss"),
    "Relu": _elementwise("relu"),
    "Sigmoid": _elementwise("sigmoid"),
    "Softmax": _along("softmax", -1),
    "SoftmaxCrossEntropyLoss": _loss("softmax_log_loss"),
    "Sum": _elementwise("add"),
    "Tanh": _elementwise("tanh"),
}
