"""Comparing the arrays of a training step with their oracles, and seeing through what follows in a fused run.

A run such as convolution and ReLU is judged as one. The output: relu and dropout do not enlarge an error (by more than
their own rounding), so y lies within the first block's bound of relu(oracle). The gradients: which elements ReLU let
through is read off the run's own y, so that dy before the ReLU is known exactly and the first block's gradients are
held to its bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite, prod

import numpy as np
import torch

from mcnbench.arrays import Array, Shape
from mcnbench.bounds import Precision, error_ratio
from mcnbench.network import Layer
from mcnbench.recording import Recorded

Tensor = torch.Tensor

PART = 1 << 19  # elements that are compared at a time: their float64 intermediates stay in the caches
SAMPLE = 1 << 14  # elements by which it is judged whether a comparison tells anything
TELLING = 1e-3  # of the elements: where fewer are larger than their bound, zeros in their place might have passed


@dataclass(frozen=True)
class Check:
    """One output of one run of layers, compared with the oracle."""

    layers: str
    """Such as "conv1" or, where they are computed as one, "conv1+relu1"."""
    output: str
    """"y", "dx", "dw", ..., or "w" and "v" after the update."""
    ratio: float
    """The worst error over its bound; right is at most 1."""
    where: tuple[int, ...]
    got: float
    wanted: float
    bound: float
    telling: bool
    """Whether enough elements are larger than their bound, so that zeros would have been seen."""

    def __str__(self) -> str:
        place = f"[{', '.join(map(str, self.where))}]" if self.where else ""
        return (
            f"{self.layers} {self.output}{place} is {self.got:.9g}, wanted {self.wanted:.9g} within {self.bound:.2g}: "
            f"error / bound {self.ratio:.3g}"
        )


class WrongShape(Exception):
    """What a step computed has not the shape that it must have."""


class Judging:
    """Compares the outputs of a run of layers, slice by slice, and keeps the worst of each. With a normwise factor,
    meant for convolutions, every element is held to that many times the largest bound of its map."""

    def __init__(self, layers: str, normwise_factor: float | None = None) -> None:
        self.layers = layers
        self._factor = normwise_factor
        self._worst: dict[str, Check] = {}
        self._telling: dict[str, tuple[int, int]] = {}

    def compare(self, output: str, got: Array, wanted: Tensor, bound: Tensor, offset: int = 0, axis: int = 0) -> None:
        """Compares got with wanted, both the part of `output` that begins at `offset` along `axis`."""
        if got.shape != tuple(wanted.shape):
            raise WrongShape(f"{self.layers} {output} has shape {got.shape}, wanted {tuple(wanted.shape)}")
        if not got.size:
            return
        if self._factor is not None and bound.ndim == 4:
            # A filter's channels count together: where few pixels are not zero, one channel may have no product at all.
            over = (1, 2, 3) if output == "dw" else (2, 3)
            bound = bound.amax(over, keepdim=True).mul(self._factor).expand_as(wanted)
        few = max(1, wanted.numel() // SAMPLE)
        telling, size = self._telling.get(output, (0, 0))
        sample = wanted.reshape(-1)[::few].abs() > bound.reshape(-1)[::few]
        self._telling[output] = telling + int(sample.sum()), size + sample.numel()
        computed = torch.from_numpy(got)
        for part in _parts(got.shape):
            ratio = (computed[part] - wanted[part]).abs_().div_(bound[part])
            worst = float(ratio.max())
            if not isfinite(worst):  # a bound of 0, or something that is not finite
                ratio = torch.from_numpy(np.asarray(error_ratio(got[part], wanted[part].numpy(), bound[part].numpy())))
                worst = float(ratio.max())
            if output in self._worst and worst <= self._worst[output].ratio:
                continue
            inside = np.unravel_index(int(ratio.argmax()), ratio.shape)
            index = tuple(int(i) + (p.start or 0) for i, p in zip(inside, part, strict=True))
            values = float(got[index]), float(wanted[index]), float(bound[index])
            index = tuple(i + offset * (n == axis) for n, i in enumerate(index))
            self._worst[output] = Check(self.layers, output, worst, index, *values, telling=True)

    def checks(self) -> list[Check]:
        found = []
        for output, check in self._worst.items():
            telling, size = self._telling[output]
            found.append(replace(check, telling=telling >= TELLING * size))
        return found


def _parts(shape: Shape) -> Iterator[tuple[slice, ...]]:
    """Index tuples that cover an array in parts small enough for the caches: rows, or parts of large rows."""
    if not shape:
        yield ()
        return
    row = prod(shape[1:])
    rest = [slice(None)] * (len(shape) - 1)
    if row > PART:
        for i in range(shape[0]):
            for inner in _parts(shape[1:]):
                yield slice(i, i + 1), *inner
        return
    step = max(1, PART // max(1, row))
    for low in range(0, shape[0], step):
        yield slice(low, low + step), *rest


class Followers:
    """What a run does to the output of its first block: ReLU and dropout, in the order given."""

    def __init__(self, layers: Sequence[Layer], recorded: Recorded, precision: Precision) -> None:
        self._layers, self._u, self._eta = layers, precision.u, precision.eta
        self._masks = {layer.name: torch.from_numpy(recorded[m]) for layer in layers if (m := _mask(layer))}

    @property
    def roundings(self) -> int:
        """How often a gradient is rounded on its way back to the first block."""
        return sum(bool(layer.block == "dropout" or layer.options.slope) for layer in self._layers)

    def forward(self, y: Tensor, bound: Tensor, channels: slice) -> tuple[Tensor, Tensor]:
        """The oracle of the run's y and its bound, from those of the first block's output (some channels of it)."""
        for layer in self._layers:
            if layer.block == "relu":
                slope = layer.options.slope
                y = torch.where(y > 0, y, y * slope) if slope else y.clamp(min=0)
                if slope:
                    bound = bound * max(1.0, slope) + 2 * self._u * y.abs() + self._eta
            else:
                mask = self._masks[layer.name][:, channels].double()
                y = y * mask
                bound = bound * mask.abs() + 3 * self._u * y.abs() + self._eta
        return y, bound

    def backward(self, dy: Array, y: Array) -> Tensor:
        """dy of the first block, in float64: the ReLU let through what is positive in the run's own y."""
        gradient = torch.from_numpy(dy).double()
        positive = torch.from_numpy(y) > 0
        for layer in reversed(self._layers):
            if layer.block == "relu":
                gradient = torch.where(positive, gradient, gradient * layer.options.slope)
            else:
                gradient = gradient * self._masks[layer.name]
        return gradient


def _mask(layer: Layer) -> str | None:
    return next((a for a in layer.arguments if a is not None and a.endswith(".mask")), None)
