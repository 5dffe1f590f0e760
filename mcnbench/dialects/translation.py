"""Calls of blocks put from mcnbench's words into a dialect's and back.

A translation is other keywords, and sometimes turned arrays: filters turned by 180 degrees (true convolution), channels
in reverse order (an even window that leans to the lower channel), rows and columns exchanged (ties column by column), a
gain multiplied by a number (unbiased variance). Each of these linear maps is its own adjoint, so that gradients are
turned by the same map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import sqrt
from typing import Any

import numpy as np

from mcnbench.arrays import Array, Shape, pair, sides
from mcnbench.dialects import Dialect, Inexpressible, windows

Shapes = Sequence[Shape | None]


@dataclass(frozen=True)
class Call:
    """A block's keywords, and which turns of its arrays go with them."""

    options: Mapping[str, Any]
    turns: frozenset[str] = frozenset()
    gain: float = 1.0

    def turned(self, turn: str, wanted: bool = True) -> Call:
        return replace(self, turns=self.turns ^ {turn}) if wanted else self


def into(dialect: Dialect, block: str, shapes: Shapes, options: Mapping[str, Any]) -> Call:
    """The dialect's call for a block of those shapes with mcnbench's options; raises Inexpressible."""
    return INTO[block](dialect, shapes, options) if block in INTO else Call(options)


def out_of(dialect: Dialect, block: str, shapes: Shapes, options: Mapping[str, Any]) -> Call:
    """mcnbench's call for what the dialect means by those options; raises Inexpressible.

    The shapes are those of mcnbench's call: where rows and columns are exchanged, not those of the dialect's."""
    return OUT_OF[block](dialect, shapes, options) if block in OUT_OF else Call(options)


def convert(source: Dialect, target: Dialect, block: str, shapes: Shapes, options: Mapping[str, Any]) -> Call:
    """The target's call for what the source means by those options; raises Inexpressible where it has none."""
    meant = out_of(source, block, shapes, options)
    said = into(target, block, shapes, meant.options)
    return Call(said.options, said.turns ^ meant.turns, said.gain * meant.gain)


def _pool_into(dialect: Dialect, shapes: Shapes, options: Mapping[str, Any], average: bool) -> Call:
    window, stride, padding = pair(options["window"]), pair(options["stride"]), sides(options["padding"])
    line = windows.lines(_shape(shapes), window, stride)
    padded = options.get("count_include_pad", False)
    wanted = windows.placed(line, padding, ceil_mode=options["ceil_mode"], padded=padded)
    ways = windows.pooling_ways(line, padding, wanted, dialect.pooling, average)
    said = windows.choose(ways, wanted, dialect.title, average=average)
    call = Call({"window": window, "stride": stride, **said})
    return _columns_first(call) if not average and dialect.pooling.ties == "columns" else call


def _columns_first(call: Call) -> Call:
    """The same of the transposed map, where the first maximum column by column is the first row by row."""
    options = {**call.options, "window": call.options["window"][::-1], "stride": call.options["stride"][::-1]}
    padding = options["padding"]
    if not isinstance(padding, str):
        options["padding"] = padding[::-1] if len(padding) == 2 else (*padding[2:], *padding[:2])
    return Call(options, call.turns, call.gain).turned("transpose")


def _pool_out_of(dialect: Dialect, shapes: Shapes, options: Mapping[str, Any], average: bool) -> Call:
    words = dialect.pooling
    transpose = not average and words.ties == "columns"
    call = _columns_first(Call(options)) if transpose else Call(options)
    given = call.options
    line = windows.lines(_shape(shapes), pair(given["window"]), pair(given["stride"]))
    padding = windows.padding_of(given["padding"], line)
    padded = given.get("count_include_pad", words.divisor == "padded")
    said = {"window": given["window"], "stride": given["stride"], "padding": padding}
    said["ceil_mode"] = given.get("ceil_mode", words.rounding == "ceil")
    if average:
        said["count_include_pad"] = padded
    if words.rounding == "ceil":
        ways = windows.pooling_ways(line, padding, windows.placed(line, padding), words, average)
        means = next((placed for _, placed in ways), None)
        if means is None or not windows.same(
            means, windows.placed(line, padding, ceil_mode=True, padded=padded), average
        ):
            raise Inexpressible(f"{dialect.title} puts a window beyond the image, which mcnbench's ceil_mode does not")
    return Call(said, call.turns)


def _conv_into(dialect: Dialect, shapes: Shapes, options: Mapping[str, Any]) -> Call:
    line = _filters(shapes, options)
    padding = sides(options["padding"])
    wanted = windows.placed(line, padding)
    said = windows.choose(
        windows.padding_ways(line, padding, wanted, dialect.convolution.padding), wanted, dialect.title
    )
    pairs = {"stride": pair(options["stride"]), "dilation": pair(options["dilation"])}
    return Call({**options, **pairs, **said}).turned("filters", dialect.convolution.filters == "flipped")


def _conv_out_of(dialect: Dialect, shapes: Shapes, options: Mapping[str, Any]) -> Call:
    padding = windows.padding_of(_sequence(options["padding"]), _filters(shapes, options))
    return Call({**options, "padding": padding}).turned("filters", dialect.convolution.filters == "flipped")


def _transposed_into(dialect: Dialect, shapes: Shapes, options: Mapping[str, Any]) -> Call:
    top, bottom, left, right = sides(options["padding"])
    said: Any = (top, bottom, left, right)
    if dialect.convolution.padding == "symmetric":
        if (top, left) != (bottom, right):
            raise Inexpressible(f"{dialect.title} crops both sides alike")
        said = (top, left)
    elif dialect.convolution.padding == "same-or-valid":
        if max(said):
            raise Inexpressible(f"{dialect.title} has no crops of this size")
        said = "valid"
    return Call({**options, "stride": pair(options["stride"]), "padding": said}).turned(
        "filters", dialect.convolution.filters == "flipped"
    )


def _transposed_out_of(dialect: Dialect, shapes: Shapes, options: Mapping[str, Any]) -> Call:
    if options["padding"] == "same":
        raise Inexpressible(f"{dialect.title} crops a transposed convolution to a size that the input does not tell")
    crops = (0, 0, 0, 0) if options["padding"] == "valid" else sides(options["padding"])
    return Call({**options, "padding": crops}).turned("filters", dialect.convolution.filters == "flipped")


def _lrn_into(dialect: Dialect, shapes: Shapes, options: Mapping[str, Any]) -> Call:
    words, window = dialect.local_response_norm, options["window"]
    if window % 2 == 0 and words.even_window == "refused":
        raise Inexpressible(f"{dialect.title} has no window of even size")
    alpha = options["alpha"] * (window if words.alpha == "mean" else 1)
    return Call({**options, "alpha": alpha}).turned("channels", window % 2 == 0 and words.even_window == "lower")


def _lrn_out_of(dialect: Dialect, shapes: Shapes, options: Mapping[str, Any]) -> Call:
    words, window = dialect.local_response_norm, options["window"]
    if window % 2 == 0 and words.even_window == "refused":
        raise Inexpressible(f"{dialect.title} has no window of even size")
    alpha = options["alpha"] / (window if words.alpha == "mean" else 1)
    return Call({**options, "alpha": alpha}).turned("channels", window % 2 == 0 and words.even_window == "lower")


def _batch_norm(dialect: Dialect, shapes: Shapes, options: Mapping[str, Any], *, inwards: bool) -> Call:
    epsilon, moments, gain = options["epsilon"], options.get("moments"), 1.0
    if moments is not None and dialect.batch_norm.moments == "deviation":
        mean, second = (np.asarray(each) for each in moments)
        spread = np.sqrt(second + epsilon) if inwards else second**2 - epsilon
        return Call({**options, "moments": (mean, spread.astype(second.dtype))})
    if moments is None and dialect.batch_norm.variance == "unbiased":
        x = _shape(shapes)
        count = x[0] * x[2] * x[3]
        if count < 2:
            raise Inexpressible(f"{dialect.title} has no variance of a single pixel")
        # x / sqrt(v + e) = sqrt(f) x / sqrt(f v + f e), where f v is unbiased for f = n / (n - 1).
        factor = count / (count - 1) if inwards else (count - 1) / count
        epsilon, gain = epsilon * factor, sqrt(factor)
    return Call({**options, "epsilon": epsilon}, gain=gain)


def _shape(shapes: Shapes) -> Shape:
    x = shapes[0]
    if x is None or len(x) != 4:
        raise ValueError(f"wanted x (N, C, H, W), got {x}")
    return x


def _filters(shapes: Shapes, options: Mapping[str, Any]) -> windows.Lines:
    w = shapes[1]
    if w is None or len(w) != 4:
        raise ValueError(f"wanted w (K, C / groups, R, S), got {w}")
    return windows.lines(_shape(shapes), (w[2], w[3]), pair(options["stride"]), pair(options["dilation"]))


def _sequence(padding: Any) -> Any:
    return (padding, padding) if isinstance(padding, int) else padding


Translate = Callable[[Dialect, Shapes, Mapping[str, Any]], Call]

INTO: Mapping[str, Translate] = {
    "max_pool2d": partial(_pool_into, average=False),
    "avg_pool2d": partial(_pool_into, average=True),
    "conv2d": _conv_into,
    "conv_transpose2d": _transposed_into,
    "local_response_norm": _lrn_into,
    "batch_norm": partial(_batch_norm, inwards=True),
}

OUT_OF: Mapping[str, Translate] = {
    "max_pool2d": partial(_pool_out_of, average=False),
    "avg_pool2d": partial(_pool_out_of, average=True),
    "conv2d": _conv_out_of,
    "conv_transpose2d": _transposed_out_of,
    "local_response_norm": _lrn_out_of,
    "batch_norm": partial(_batch_norm, inwards=False),
}


def turned(turns: frozenset[str], gain: float, role: str, a: Array) -> Array:
    """An input (or the output "y", or a gradient of either) as the other side of a translation has it."""
    if "filters" in turns and role == "w":
        a = a[:, :, ::-1, ::-1]
    if "channels" in turns and role in ("x", "y"):
        a = a[:, ::-1]
    if "transpose" in turns and role in ("x", "y"):
        a = a.swapaxes(2, 3)
    if gain != 1.0 and role == "gain":
        a = (a * gain).astype(a.dtype)
    return np.ascontiguousarray(a)
