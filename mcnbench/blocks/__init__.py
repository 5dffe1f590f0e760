"""What the harness knows of each block: one module per block, all with the names listed in `Block`.

Inputs and outputs are NumPy arrays here, x being (N, C, H, W). Gradients are named after the inputs: dx, dw, db.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Protocol, cast

from mcnbench.arrays import Array, Float64, Shape
from mcnbench.bounds import Precision
from mcnbench.errors import unknown
from mcnbench.geometry import ReceptiveField
from mcnbench.oracle import Pullback

Shapes = Sequence[Shape | None]
Inputs = Sequence[Array | None]


@dataclass(frozen=True)
class Work:
    """What a block does at given sizes, in each direction: floating-point operations (a multiply-add counts 2) and the
    bytes that must at least be moved (each input and output once, float32)."""

    forward_flops: int
    backward_flops: int
    forward_bytes: int
    backward_bytes: int


class Block(Protocol):
    """What each module of this package provides."""

    INPUTS: tuple[str, ...]
    """The positional inputs in order, such as ("x", "w", "b"); ("*xs",) for any number of maps."""

    Options: type[Any]
    """The keyword options: a frozen dataclass with PyTorch's names and, where the manual has one, a default."""

    def output_shape(self, shapes: Shapes, options: Any) -> Shape:
        """The shape of y, () for a loss. Raises ValueError, with what was given and needed, when sizes do not fit."""

    def receptive_field(self, shapes: Shapes, options: Any) -> tuple[ReceptiveField, ReceptiveField] | None:
        """Vertical and horizontal receptive field of y in x; None where y has no map or sees all of x."""

    def terms(self, shapes: Shapes, options: Any) -> dict[str, int]:
        """How many products (or summands) each element of "y" and of each gradient ("dx", ...) sums at the most."""

    def work(self, shapes: Shapes, options: Any) -> Work:
        """Arithmetic and traffic of y and of all gradients."""

    def oracle(self, inputs: Inputs, options: Any) -> tuple[Array, Pullback]:
        """(y, pullback) in float64, evaluated stably."""

    def bound(self, inputs: Inputs, options: Any, dy: Array, precision: Precision) -> dict[str, Float64]:
        """For "y" and each gradient ("dx", ...; none for labels, masks and inputs given as None), how far a right
        implementation in that precision may be from the oracle, element by element: an array of the shape of y or of
        the input. 0 means equal, infinities and NaN included; inf means not judged (overflow, no derivative).
        In float64 the bound holds for the implementation and the oracle together. `bounds.error_ratio` compares.

        `dy` has the shape of y, () for a loss."""


def required(shape: Shape | None) -> Shape:
    """The shape (N, C, H, W) of an input that no call may leave out; raises ValueError for any other."""
    if shape is None or len(shape) != 4:
        raise ValueError(f"wanted x (N, C, H, W), got {shape}")
    return shape


@cache
def names() -> tuple[str, ...]:
    """The names of all blocks."""
    return tuple(module.name for module in iter_modules(__path__))


def block(name: str) -> Block:
    """The description of the block of that name; raises BadInput, with the nearest name, when there is none."""
    if name not in names():
        raise unknown("block", name, names())
    return cast(Block, import_module(f"{__name__}.{name}"))


def make_options(name: str, given: Mapping[str, Any]) -> Any:
    """The block's options from a mapping (lists become tuples); raises BadInput for an unknown option."""
    cls = block(name).Options
    known = [field.name for field in fields(cls)]
    for key in given:
        if key not in known:
            raise unknown("option", key, known, where=name)
    return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in given.items()})


def gradient_names(inputs: Sequence[str], count: int) -> tuple[str, ...]:
    """The names of the gradients of `count` inputs: dx, dw, db; dx0, dx1, ... for any number of maps."""
    if inputs[0].startswith("*"):
        return tuple(f"dx{i}" for i in range(count))
    return tuple(f"d{name}" for name in inputs[:count])
