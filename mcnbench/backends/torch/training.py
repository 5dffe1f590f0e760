"""Training steps as a user of PyTorch takes them: torch.nn.functional, autograd, torch.optim.SGD.

The peer in every table, so as fast as PyTorch's own operations allow: ReLU in place, a fully connected layer as
torch.nn.functional.linear, padding handed to the operation, cross entropy in one, the optimizer's fused kernel. In both
memory formats: "contiguous" (NCHW) and "channels_last" (NHWC).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F

from mcnbench import executor
from mcnbench.arrays import Array, Shape, pair, sides
from mcnbench.backends import torch as blocks
from mcnbench.blocks import max_pool2d
from mcnbench.executor import See
from mcnbench.network import IMAGES, Layer, Network
from mcnbench.windows import pooling_windows

Tensor = torch.Tensor


class TorchSteps:
    """Training steps of a network in PyTorch."""

    def __init__(
        self,
        network: Network,
        parameters: dict[str, Array],
        inputs: Mapping[str, Array],
        variant: str | None = None,
        device: str = "cpu",
    ) -> None:
        self.network = network
        self._device = device
        self._format = torch.channels_last if variant == "channels_last" else torch.contiguous_format
        shapes = network.shapes()
        dense = [layer for layer in network.layers if _covers_map(layer, shapes)]
        self._dense = {name for layer in dense for name in (layer.name, layer.arguments[1])}
        self.parameters = {
            name: torch.nn.Parameter(self._placed(name, torch.from_numpy(parameters.pop(name))))
            for name in list(parameters)
        }
        self._inputs = self.given(inputs)
        self._runs = executor.runs(network, {("conv2d", "relu"): None})
        groups: list[dict[str, Any]] = [
            {
                "params": [p for name, p in self.parameters.items() if name.endswith(".w") == decays],
                "weight_decay": decay,
            }
            for decays, decay in ((True, network.weight_decay), (False, 0.0))
        ]
        self.optimizer = torch.optim.SGD(
            [group for group in groups if group["params"]],
            lr=network.lr,
            momentum=network.momentum,
            fused=True,
        )

    @property
    def runs(self) -> list[tuple[str, ...]]:
        return [tuple(layer.name for layer in run) for run in self._runs]

    def step(self) -> None:
        self.optimizer.zero_grad()
        torch.autograd.backward(self.loss(self._inputs))
        self.optimizer.step()
        if self._device != "cpu":
            torch.cuda.synchronize()

    def gradients(self) -> dict[str, Array]:
        """The parameters' gradients of the mean loss on the inputs that it was made with; nothing is updated."""
        self.optimizer.zero_grad()
        torch.autograd.backward(self.loss(self._inputs))
        return {name: _numpy(p.grad) for name, p in self.parameters.items()}

    def observed(self, inputs: Mapping[str, Array], see: See) -> None:
        outputs: dict[str, Tensor] = {}
        readings: dict[str, Tensor] = {}
        self.optimizer.zero_grad()
        torch.autograd.backward(self.loss(self.given(inputs), outputs, readings))
        for value, y in outputs.items():
            see(value, _numpy(y))
            if len(self.network.consumers.get(value, ())) != 1:
                see(f"{value}/d", _numpy(y.grad))
        for run in self._runs:
            output, arguments = run[-1].name, executor.arguments(run)
            for i, name in enumerate(arguments):
                if name is not None and executor.wanted(name):
                    read = readings.get(f"{output}/d{i}", outputs.get(name, self.parameters.get(name)))
                    assert read is not None
                    see(f"{output}/d{i}", _numpy(read.grad))
        del outputs, readings
        for parameter, p in self.parameters.items():
            see(f"{parameter}/w", _numpy(p))
            see(f"{parameter}/v", _numpy(self._velocity(p)))
            see(f"{parameter}/dw", _numpy(p.grad))
        self.optimizer.step()
        for parameter, p in self.parameters.items():
            see(f"{parameter}/w_new", _numpy(p))
            see(f"{parameter}/v_new", _numpy(self._velocity(p)))

    def _velocity(self, p: Tensor) -> Tensor:
        found = self.optimizer.state[p].get("momentum_buffer")
        return torch.zeros_like(p) if found is None else found

    def given(self, inputs: Mapping[str, Array]) -> dict[str, Tensor]:
        return {name: self._placed(name, torch.from_numpy(array)) for name, array in inputs.items()}

    def _placed(self, name: str, tensor: Tensor) -> Tensor:
        """On the device, in the chosen memory format; a fully connected layer's weights are a matrix in both."""
        tensor = tensor.to(self._device)
        if tensor.ndim != 4 or name in self._dense:
            return tensor
        return tensor.to(memory_format=self._format)

    def loss(
        self,
        inputs: Mapping[str, Tensor],
        outputs: dict[str, Tensor] | None = None,
        readings: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """The mean loss over the batch; see `output`."""
        return self.output(inputs, outputs, readings) / len(inputs[IMAGES])

    def output(
        self,
        inputs: Mapping[str, Tensor],
        outputs: dict[str, Tensor] | None = None,
        readings: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """The network's output. Where asked for, keeps each run's output, and where a value has several readers
        what each of them reads, so that their gradients can be told apart."""
        held: dict[str, Tensor] = {**inputs, **self.parameters}
        unread = Counter(a for run in self._runs for a in executor.arguments(run) if a is not None and a not in held)
        for run in self._runs:
            output, arguments = run[-1].name, executor.arguments(run)
            given = [None if a is None else held[a] for a in arguments]
            for i, (name, t) in enumerate(zip(arguments, given, strict=True)):
                shared = name is not None and executor.wanted(name) and len(self.network.consumers[name]) > 1
                if readings is not None and shared and t is not None:
                    given[i] = read = readings[f"{output}/d{i}"] = t.view_as(t)
                    read.retain_grad()
            y = self._run(run, given)
            if outputs is not None:
                y.retain_grad()
                outputs[output] = y
            held[output] = y
            for name in arguments:
                if name is not None and name in unread:
                    unread[name] -= 1
                    if not unread[name]:
                        del held[name]
            del given, y
        return held[self.network.layers[-1].name]

    def _run(self, run: tuple[Layer, ...], given: Sequence[Any]) -> Tensor:
        first = run[0]
        options = executor.options_of(first)
        if first.name in self._dense:
            y = _linear(*given)
        elif first.block in FUNCTIONS:
            y = FUNCTIONS[first.block](*given, **options)
        else:
            y = Bridge.apply(first.block, options, *given)  # type: ignore[no-untyped-call]  # torch's has no types
        if len(run) > 1:
            slope = run[1].options.slope
            y = F.leaky_relu_(y, slope) if slope else F.relu_(y)
        return y


def _linear(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
    return F.linear(x.flatten(1), w.flatten(1), b)[:, :, None, None]


def _conv2d(x: Tensor, w: Tensor, b: Tensor | None, *, stride: Any, padding: Any, dilation: Any, groups: int) -> Tensor:
    top, bottom, left, right = sides(padding)
    if (top, left) == (bottom, right):
        return F.conv2d(x, w, b, pair(stride), (top, left), pair(dilation), groups)
    return F.conv2d(F.pad(x, (left, right, top, bottom)), w, b, pair(stride), 0, pair(dilation), groups)


def _max_pool2d(x: Tensor, *, window: Any, stride: Any, padding: Any, ceil_mode: bool) -> Tensor:
    """Padding at the bottom and right alone is what ceil_mode does where both give the same number of windows; else
    the image is padded with -inf."""
    at = pooling_windows(tuple(x.shape), max_pool2d.Options(window, stride, padding, ceil_mode))
    top, _, left, _ = at.padding
    for ceil in (ceil_mode, True):
        plain = max_pool2d.Options(window, stride, (top, left), ceil)
        fits = 2 * top <= at.window[0] and 2 * left <= at.window[1]
        if fits and pooling_windows(tuple(x.shape), plain).places == at.places:
            return F.max_pool2d(x, at.window, at.stride, (top, left), ceil_mode=ceil)
    return F.max_pool2d(F.pad(x, at.margins(), value=-float("inf")), at.window, at.stride)


def _local_response_norm(x: Tensor, *, window: int, kappa: float, alpha: float, beta: float) -> Tensor:
    """Torch divides alpha by the window, and an even window leans to the lower channel, so the channels are turned."""
    if window % 2:
        return F.local_response_norm(x, window, alpha * window, beta, kappa)
    return F.local_response_norm(x.flip(1), window, alpha * window, beta, kappa).flip(1)


def _relu(x: Tensor, *, slope: float) -> Tensor:
    return F.leaky_relu(x, slope) if slope else F.relu(x)


def _batch_norm(x: Tensor, gain: Tensor, bias: Tensor, *, epsilon: float, moments: None) -> Tensor:
    return F.batch_norm(x, None, None, gain, bias, training=True, eps=epsilon)


FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "conv2d": _conv2d,
    "max_pool2d": _max_pool2d,
    "relu": _relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "local_response_norm": _local_response_norm,
    "batch_norm": _batch_norm,
    "dropout": torch.mul,
    "softmax_log_loss": lambda x, labels: F.cross_entropy(x, labels, reduction="sum"),
    "concat": lambda *xs: torch.cat(xs, 1),
    "add": lambda *xs: reduce(torch.add, xs),
}


class Bridge(torch.autograd.Function):
    """A block of the torch backend, with its pullback, as an operation of autograd's."""

    @staticmethod
    def forward(ctx: Any, name: str, options: dict[str, Any], *given: Tensor | None) -> Tensor:
        with torch.enable_grad():
            y, ctx.pullback = getattr(blocks, name)(*given, **options)
        result: Tensor = y
        return result

    @staticmethod
    def backward(ctx: Any, *dy: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *ctx.pullback(dy[0])


def _covers_map(layer: Layer, shapes: Mapping[str, Shape]) -> bool:
    """Whether a layer is a fully connected one."""
    if layer.block != "conv2d":
        return False
    x, w = (shapes[name or ""] for name in layer.arguments[:2])
    options = layer.options
    return x[2:] == w[2:] and options.groups == 1 and not any(sides(options.padding))


def _numpy(tensor: Tensor | None) -> Array:
    assert tensor is not None
    return tensor.detach().cpu().numpy()
