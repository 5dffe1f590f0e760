"""A network layer by layer, as rows and as Markdown, CSV or JSON: what MatConvNet's vl_simplenn_display shows.

Receptive fields are among the images' pixels (size, stride, and offset, the centre of the first, counted from 1).
Memory is that of float32: a layer's own parameters, and its output for the whole batch.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

from mcnbench import blocks
from mcnbench.arrays import Pair, Shape, Sides, pair, sides
from mcnbench.geometry import POINTWISE, ReceptiveField
from mcnbench.geometry.fields import as_text
from mcnbench.network import BYTES, IMAGES, Layer, Network, argument_shapes
from mcnbench.network_fields import Fields, receptive_fields, unseen_pixels


@dataclass(frozen=True)
class Row:
    """One layer. What a block does not have (a window, a map, a receptive field) is None."""

    layer: str
    block: str
    inputs: tuple[str, ...]
    support: Pair | None
    filters: Pair | None  # how many, and over how many channels each
    stride: Pair | None
    padding: Sides | None
    ceil_mode: bool | None
    dilation: Pair | None
    groups: int | None
    output: Shape  # of one image: (C, H, W), or () for a loss
    receptive_field: Fields | None
    no_receptive_field: str
    parameters: int
    parameter_bytes: int
    output_bytes: int
    multiply_adds: int  # for one image


def rows(network: Network, batch: int) -> list[Row]:
    """The layers in the order in which they run."""
    shapes, of_batch, fields = network.shapes(), network.shapes(batch), receptive_fields(network)
    return [
        _row(layer, network, shapes, fields[layer.name], BYTES * prod(of_batch[layer.name])) for layer in network.layers
    ]


def _row(layer: Layer, network: Network, shapes: dict[str, Shape], field: Fields | str, output_bytes: int) -> Row:
    made = [shape for name, shape in network.parameters.items() if name.partition(".")[0] == layer.name]
    block, given = blocks.block(layer.block), layer.options
    arguments = argument_shapes(layer, shapes)
    w = dict(zip(block.INPUTS, arguments, strict=False)).get("w")
    window = w[2:] if w is not None else getattr(given, "window", None)
    # A window over channels, local_response_norm's, is none over the map: each output sees one pixel.
    over_map = hasattr(given, "stride") or block.receptive_field(arguments, given) != (POINTWISE, POINTWISE)
    return Row(
        layer=layer.name,
        block=layer.block,
        inputs=layer.maps,
        support=pair(window) if window is not None and over_map else None,
        filters=None if w is None else (shapes[layer.name][1], w[1] if layer.block == "conv2d" else w[0]),
        stride=pair(given.stride) if hasattr(given, "stride") else None,
        padding=sides(given.padding) if hasattr(given, "padding") else None,
        ceil_mode=getattr(given, "ceil_mode", None),
        dilation=pair(given.dilation) if hasattr(given, "dilation") else None,
        groups=getattr(given, "groups", None),
        output=shapes[layer.name][1:],
        receptive_field=None if isinstance(field, str) else field,
        no_receptive_field=field if isinstance(field, str) else "",
        parameters=sum(map(prod, made)),
        parameter_bytes=BYTES * sum(map(prod, made)),
        output_bytes=output_bytes,
        multiply_adds=block.work(arguments, given).forward_flops // 2 if w is not None else 0,
    )


def totals(network: Network, table: Sequence[Row], batch: int) -> dict[str, int]:
    """What the whole network has: parameters, memory in bytes, multiply-adds of one image, pixels without effect."""
    maps = [row.layer for row in table if len(row.output) == 3]
    return {
        "batch": batch,
        "parameters": network.parameter_count,
        "parameter_bytes": BYTES * network.parameter_count,
        "data_bytes": BYTES * batch * prod(network.input) + sum(row.output_bytes for row in table),
        "training_step_bytes": network.step_bytes(batch),
        "multiply_adds": sum(row.multiply_adds for row in table),
        "unseen_pixels": unseen_pixels(network, maps[-1]) if maps else 0,
    }


def markdown(network: Network, batch: int) -> str:
    """The table, aligned so that it reads as plain text, and under it the totals and what is odd."""
    table = rows(network, batch)
    before = [(IMAGES,), *((row.layer,) for row in table)]
    every = [_cells(number, row, before[number - 1]) for number, row in enumerate(table, 1)]
    shown = [name for name in every[0] if any(cells[name] for cells in every)]
    body = [list(shown), *([cells[name] for name in shown] for cells in every)]
    widths = [max(len(line[i]) for line in body) for i in range(len(shown))]
    right = [name not in ("layer", "block", "reads") for name in shown]
    lines = [_line(line, widths, right) for line in body]
    lines.insert(
        1, "|" + "|".join("-" * (n + 1) + (":" if r else "-") for n, r in zip(widths, right, strict=True)) + "|"
    )
    return "\n".join([_heading(network), "", *lines, "", *_remarks(network, table, batch)])


def comma_separated(network: Network, batch: int) -> str:
    """One line a layer, every number in a column of its own."""
    out = io.StringIO()
    lines = [_flat(row) for row in rows(network, batch)]
    writer = csv.DictWriter(out, lines[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue().rstrip("\n")


def as_json(network: Network, batch: int) -> str:
    """The network's name, title, source and input, its layers, its totals."""
    table = rows(network, batch)
    layers = [{**asdict(row), "receptive_field": _field_numbers(row.receptive_field)} for row in table]
    head = {"network": network.name, "title": network.title, "source": network.source, "input": network.input}
    return json.dumps({**head, "layers": layers, "totals": totals(network, table, batch)})


def _heading(network: Network) -> str:
    return "\n\n".join(filter(None, [f"# {network.title}", network.source, f"Input {_by(network.input)}."]))


def _remarks(network: Network, table: Sequence[Row], batch: int) -> list[str]:
    total = totals(network, table, batch)
    lines = [
        f"Parameters: {total['parameters']:,} ({_size(total['parameter_bytes'])}).",
        f"Data: images and outputs {_size(total['data_bytes'])} for a batch of {batch}; a training step, in which "
        f"a convolution and its ReLU share one output, holds about {_size(total['training_step_bytes'])}.",
        f"Multiply-adds: {total['multiply_adds']:,} an image.",
    ]
    if total["unseen_pixels"]:
        of = prod(network.input[1:])
        lines.append(f"No output of the last map sees {total['unseen_pixels']:,} of the {of:,} pixels.")
    reasons: dict[str, list[str]] = {}
    for row in table:
        if row.no_receptive_field and len(row.output) == 3:
            reasons.setdefault(row.no_receptive_field, []).append(row.layer)
    for reason, layers in reasons.items():
        lines.append(f"No receptive field from {layers[0]} on ({len(layers)} layers): {reason}.")
    return lines


def _cells(number: int, row: Row, before: tuple[str, ...]) -> dict[str, str]:
    field = row.receptive_field
    window = row.support is not None
    return {
        "": str(number),
        "layer": row.layer,
        "block": row.block,
        "reads": "" if row.inputs == before else ", ".join(row.inputs),
        "support": "" if row.support is None else _by(row.support),
        "filters": "" if row.filters is None else f"{row.filters[0]} x {row.filters[1]}",
        "groups": str(row.groups) if row.groups not in (None, 1) else "",
        "stride": _short(row.stride) if window else "",
        "dilation": _short(row.dilation) if row.dilation not in (None, (1, 1)) else "",
        "padding": (_short(row.padding) if window else "") + (" ceil" if row.ceil_mode else ""),
        "map": _by(row.output),
        "rf size": "" if field is None else _both(field, "size"),
        "rf stride": "" if field is None else _both(field, "stride"),
        "rf offset": "" if field is None else _both(field, "offset"),
        "parameters": f"{row.parameters:,}" if row.parameters else "",
        "their memory": _size(row.parameter_bytes) if row.parameters else "",
        "output memory": _size(row.output_bytes),
        "multiply-adds": f"{row.multiply_adds:,}" if row.multiply_adds else "",
    }


def _flat(row: Row) -> dict[str, Any]:
    flat: dict[str, Any] = {"layer": row.layer, "block": row.block, "inputs": " ".join(row.inputs)}
    flat |= _named("output", ("channels", "height", "width"), row.output if row.output else None)
    flat |= _named("support", ("height", "width"), row.support)
    flat |= _named("filters", ("count", "channels"), row.filters)
    flat |= _named("stride", ("vertical", "horizontal"), row.stride)
    flat |= _named("padding", ("top", "bottom", "left", "right"), row.padding)
    flat |= _named("dilation", ("vertical", "horizontal"), row.dilation)
    flat["ceil_mode"], flat["groups"] = row.ceil_mode, row.groups
    numbers = _field_numbers(row.receptive_field) or dict.fromkeys(("size", "stride", "offset"))
    for name, values in numbers.items():
        flat |= _named(f"field_{name}", ("vertical", "horizontal"), values)
    flat["no_receptive_field"] = row.no_receptive_field
    for name in ("parameters", "parameter_bytes", "output_bytes", "multiply_adds"):
        flat[name] = getattr(row, name)
    return flat


def _named(prefix: str, names: Sequence[str], values: Sequence[float] | None) -> dict[str, float | None]:
    given: Sequence[float | None] = values or [None] * len(names)
    return {f"{prefix}_{name}": value for name, value in zip(names, given, strict=True)}


def _field_numbers(field: Fields | None) -> dict[str, tuple[float, float]] | None:
    if field is None:
        return None
    return {name: (_plain(field[0], name), _plain(field[1], name)) for name in ("size", "stride", "offset")}


def _plain(field: ReceptiveField, name: str) -> float:
    value = getattr(field, name)
    return value if isinstance(value, int) else float(value)


def _both(field: Fields, name: str) -> str:
    vertical, horizontal = (as_text(getattr(each, name)) for each in field)
    return vertical if vertical == horizontal else f"{vertical} x {horizontal}"


def _by(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def _short(values: Sequence[int] | None) -> str:
    return "" if values is None else str(values[0]) if len(set(values)) == 1 else " ".join(map(str, values))


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (c.rjust(n) if r else c.ljust(n) for c, n, r in zip(cells, widths, right, strict=True))
    return "| " + " | ".join(padded) + " |"


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.2f} GiB"
