"""Dialects: where libraries mean different things by the same block, as named data, and converted into each other.

A dialect is a TOML file, `configs/dialects/*.toml` or the user's own. `translation.speak` wraps a backend that was
written in one, so that it is called on its own terms and everything else sees the contract of mcnbench. What a dialect
cannot say is refused with `Inexpressible`, never approximated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from mcnbench import ROOT, toml_file
from mcnbench.errors import BadInput, unknown

FOLDER = ROOT / "configs" / "dialects"

Padding = Literal["four-sided", "symmetric", "same-or-valid"]
"""The keyword `padding` is (top, bottom, left, right), (vertical, horizontal), or one of "same" and "valid"."""


class Inexpressible(NotImplementedError):
    """The dialect has no way to say this; the message says what."""


class Section(BaseModel):
    """One block's part of a dialect, or that of several."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Pooling(Section):
    """max_pool2d and avg_pool2d."""

    rounding: Literal["floor", "ceil", "asked"]
    """Of the number of windows; "ceil" is Caffe's, "asked" takes the keyword `ceil_mode`."""
    padding: Padding
    largest_padding: Literal["window", "half"] = "window"
    """What padding must be smaller than, or at most half of."""
    divisor: Literal["image", "padded", "asked"]
    """An average counts the pixels of the image or of the padded image; "asked" takes `count_include_pad`."""
    ties: Literal["rows", "columns", "all", "unspecified"]
    """Which maximum gets the gradient: the first row by row, the first column by column, all of them."""
    nan: Literal["propagates", "ignored", "unspecified"]


class Convolution(Section):
    """conv2d and conv_transpose2d."""

    padding: Padding
    filters: Literal["correlated", "flipped"]
    """A true convolution turns its filters by 180 degrees."""


class LocalResponseNorm(Section):
    """local_response_norm."""

    alpha: Literal["sum", "mean"]
    """It multiplies the sum of squares, or their mean over the window."""
    even_window: Literal["higher", "lower", "refused"]
    """The side to which a window of even size reaches further."""


class BatchNorm(Section):
    """batch_norm."""

    variance: Literal["biased", "unbiased"]
    moments: Literal["variance", "deviation"]
    """The second of `moments` is the variance, or sqrt(variance + epsilon)."""


class Dialect(BaseModel):
    """What a library means by the blocks. The keywords have the names that they have in mcnbench."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    source: str
    pooling: Pooling
    convolution: Convolution
    local_response_norm: LocalResponseNorm
    batch_norm: BatchNorm


SECTIONS: Mapping[str, type[Section]] = {
    "pooling": Pooling,
    "convolution": Convolution,
    "local_response_norm": LocalResponseNorm,
    "batch_norm": BatchNorm,
}


def names() -> tuple[str, ...]:
    """The dialects that come with mcnbench."""
    return toml_file.names(FOLDER)


def load(name: str) -> Dialect:
    """The dialect of that name, or in the TOML file at that path; raises BadInput for what is wrong."""
    _, data = toml_file.load("dialect", name, FOLDER)
    return parse(data, f"dialect '{name}'")


def parse(data: Mapping[str, Any], where: str) -> Dialect:
    """The dialect that `data` describes; `where` names it in messages."""
    _known(data, Dialect, where)
    for name, section in SECTIONS.items():
        if isinstance(data.get(name), dict):
            _known(data[name], section, f"[{name}] of {where}")
    try:
        return Dialect.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"{where}, key '{'.'.join(map(str, first['loc']))}': {first['msg']}") from error


def _known(data: Mapping[str, Any], model: type[BaseModel], where: str) -> None:
    for key in data:
        if key not in model.model_fields:
            raise unknown("key", key, model.model_fields, where)
