"""A case: one block with its sizes, options, dtype, kind of data and seed, printed as one line that reproduces it.

    conv2d x=2x3x5x5 w=4x3x3x3 b=none stride=2,1 padding=1,0,2,1 dtype=float32 data=integers seed=7

Inputs are shapes ("none" for one that is left out, a comma between the maps of concat and add); options that are not
given have their defaults; `data` names one of `mcnbench.data.KINDS`. The seed makes every array, dy included.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from mcnbench import blocks, data
from mcnbench.arrays import Array, Shape
from mcnbench.data import Limit
from mcnbench.errors import BadInput, unknown

DTYPES = ("float32", "float64", "float16")
FORM = "wanted a line such as 'relu x=1x2x3x3 slope=0.5 dtype=float32 data=normal seed=0'"


@dataclass(frozen=True)
class Case:
    """Equal cases make equal arrays, bit for bit."""

    block: str
    shapes: tuple[Shape | None, ...]
    given: tuple[tuple[str, Any], ...] = ()
    """The options that are given, as (name, value); moments=True makes batch_norm's moments from the seed."""
    dtype: str = "float32"
    data: str = "normal"
    seed: int = 0

    def __str__(self) -> str:
        inputs = _input_names(self.block)
        if inputs == ("xs",):
            parts = ["xs=" + ",".join(_shape_text(shape) for shape in self.shapes)]
        else:
            parts = [f"{name}={_shape_text(shape)}" for name, shape in zip(inputs, self.shapes, strict=False)]
        parts += [f"{name}={_value_text(value)}" for name, value in self.given]
        return " ".join([self.block, *parts, f"dtype={self.dtype}", f"data={self.data}", f"seed={self.seed}"])

    @cached_property
    def options(self) -> Any:
        """The block's options, arrays among them included."""
        values = dict(self.given)
        if values.get("moments") is True:
            values["moments"] = data.moments(self.shapes, self.dtype, self.data, self.seed)
        return blocks.make_options(self.block, values)

    @cached_property
    def output_shape(self) -> Shape:
        """The shape of y; raises ValueError for sizes that do not fit."""
        return blocks.block(self.block).output_shape(self.shapes, self.options)

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs by name: ("x", "w", "b"), or ("x0", "x1", ...) for any number of maps."""
        names = _input_names(self.block)
        return tuple(f"x{i}" for i in range(len(self.shapes))) if names == ("xs",) else names[: len(self.shapes)]

    def inputs(self) -> tuple[Array | None, ...]:
        """Fresh arrays, the same in every call."""
        return data.inputs(self.names, self.shapes, self.dtype, self.data, self.seed, self._limit)

    def dy(self, which: int = 0) -> Array:
        """A random gradient of y, the same in every call; another one for each `which`."""
        return data.gradient(self.output_shape, self.dtype, self.data, self.seed, which, self._limit)

    @cached_property
    def _limit(self) -> Limit:
        if not data.KINDS[self.data].exact:
            return Limit(1, 1)
        terms = blocks.block(self.block).terms(self.shapes, self.options)
        return data.exact_limit(max(terms.values()), self.dtype)


def parse(line: str) -> Case:
    """The case of that line; raises BadInput for what cannot be read. The sizes need not fit."""
    name, *words = line.split() or [""]
    block = blocks.block(name)
    pairs = [word.partition("=") for word in words]
    if any(not equals or not value for _, equals, value in pairs):
        raise BadInput(f"cannot read {[w for w in words if '=' not in w or w.endswith('=')]} in the case; {FORM}")
    values = {key: value for key, _, value in pairs}
    inputs = _input_names(name)
    options = [field.name for field in fields(block.Options)]
    for key in values:
        if key not in (*inputs, *options, "dtype", "data", "seed"):
            raise unknown("part of the case", key, (*inputs, *options, "dtype", "data", "seed"), where=name)
    dtype, kind = values.get("dtype", "float32"), values.get("data", "normal")
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES)
    if kind not in data.KINDS:
        raise unknown("kind of data", kind, data.KINDS)
    return Case(
        name,
        _shapes(values, inputs),
        tuple((key, _value(key, values[key])) for key in options if key in values),
        dtype,
        kind,
        _seed(values.get("seed", "0")),
    )


def make(
    block: str, shapes: tuple[Shape | None, ...], options: Mapping[str, Any], dtype: str, data: str, seed: int
) -> Case:
    """The case with these options, of which those that equal their default are left out of the line."""
    defaults = {field.name: field.default for field in fields(blocks.block(block).Options)}
    given = tuple((name, value) for name, value in options.items() if _shorten(value) != defaults.get(name))
    return Case(block, shapes, tuple((name, _shorten(value)) for name, value in given), dtype, data, seed)


def _shorten(value: Any) -> Any:
    """(2, 2) as 2: one number stands for all directions."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def _input_names(block: str) -> tuple[str, ...]:
    return tuple(name.removeprefix("*") for name in blocks.block(block).INPUTS)


def _shapes(values: Mapping[str, str], inputs: tuple[str, ...]) -> tuple[Shape | None, ...]:
    if inputs == ("xs",):
        return tuple(_shape("xs", text) for text in values.get("xs", "").split(","))
    missing = [name for name in inputs if name not in values and name != "b"]
    if missing:
        raise BadInput(f"the case says nothing of {', '.join(missing)}; {FORM}")
    return tuple(_shape(name, values.get(name, "none")) for name in inputs)


def _shape(name: str, text: str) -> Shape | None:
    if text == "none":
        return None
    try:
        shape = tuple(int(size) for size in text.split("x"))
    except ValueError:
        raise BadInput(f"cannot read the shape {name}={text} of the case; {FORM}") from None
    if min(shape) < 0:
        raise BadInput(f"the shape {name}={text} of the case has a negative size")
    return shape


def _value(name: str, text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        raise BadInput(f"cannot read the option {name}={text} of the case; {FORM}") from None


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise BadInput(f"cannot read seed={text} of the case; wanted an integer from 0")
    return int(text)


def _shape_text(shape: Shape | None) -> str:
    return "none" if shape is None else "x".join(map(str, shape))


def _value_text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
