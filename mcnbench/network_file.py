"""The format of network files, and its reader.

    title = "LeNet"                # optional, as are source, lr, momentum and weight_decay
    input = [1, 28, 28]            # channels, height, width
    batch = 64
    layers = [
      { name = "conv1", block = "conv2d", out_channels = 20, kernel_size = 5 },
      { name = "pool1", block = "max_pool2d", window = 2, stride = 2 },
      ...
    ]

A layer has a name, a block and the block's options; a convolution also `out_channels`, `kernel_size`, `bias` (true);
dropout also `p`, the probability that an element is set to zero. `window = "map"` covers the whole map. A layer reads
the layer before it unless `inputs` names others ("images" is what the network is fed). `parameters = "conv1"` makes it
use conv1's parameters. Layers may come in any order that has no cycle. All must lead to one last layer, which is the
loss where the network is to be trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from graphlib import CycleError, TopologicalSorter
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from mcnbench import blocks
from mcnbench.arrays import Shape, pair
from mcnbench.errors import BadInput, unknown
from mcnbench.network import IMAGES, LABELS, MASK, Layer, Network, argument_shapes, free_shapes

Table = Mapping[str, Any]

WHOLE_MAP = "map"

EVERY_LAYER = ("name", "block", "inputs", "parameters")


def _conv2d(x: Shape, table: Table) -> dict[str, Shape]:
    return {
        "w": (table["out_channels"], x[1] // table.get("groups", 1), *pair(table["kernel_size"])),
        "b": (table["out_channels"],),
    }


def _conv_transpose2d(x: Shape, table: Table) -> dict[str, Shape]:
    return {
        "w": (x[1], table["out_channels"] // table.get("groups", 1), *pair(table["kernel_size"])),
        "b": (table["out_channels"],),
    }


def _batch_norm(x: Shape, table: Table) -> dict[str, Shape]:
    return {"gain": (x[1],), "bias": (x[1],)}


PARAMETER_SHAPES: Mapping[str, Callable[[Shape, Table], dict[str, Shape]]] = {
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "batch_norm": _batch_norm,
}

FILTERS = {"out_channels": int, "kernel_size": int | tuple[int, int], "bias": bool}
EXTRA_KEYS: Mapping[str, Mapping[str, Any]] = {"conv2d": FILTERS, "conv_transpose2d": FILTERS, "dropout": {"p": float}}


def parse(data: Table, name: str, where: str) -> Network:
    """The network that `data`, the content of a TOML file, describes; `where` names the file in messages.

    Raises BadInput, with one sentence, for what is unknown, missing, or does not fit.
    """
    for key in data:
        if key not in FILE_KEYS:
            raise unknown("key", key, FILE_KEYS, where=where)
    for key, (required, valid, wanted) in FILE_KEYS.items():
        if required and key not in data:
            raise BadInput(f"{where} has no '{key}'; wanted {wanted}")
        if key in data and not valid(data[key]):
            raise BadInput(f"'{key}' in {where} is {data[key]!r}; wanted {wanted}")
    tables = _tables(data["layers"], where)
    reader = _Reader(where, tables, {IMAGES: (1, *data["input"])})
    return Network(
        name=name,
        title=data.get("title", name),
        source=" ".join(data.get("source", "").split()),
        input=tuple(data["input"]),
        batch=data["batch"],
        # The papers begin with 0.01, at which a few crops of one photograph are learnt by heart within four steps and
        # gradients vanish; a step's arithmetic is the same.
        lr=float(data.get("lr", 0.0001)),
        momentum=float(data.get("momentum", 0.9)),
        weight_decay=float(data.get("weight_decay", 0.0005)),
        layers=tuple(reader.layer(layer) for layer in _run_order(tables, where)),
        parameters=reader.parameters,
        dropout=reader.dropout,
    )


def _count(value: Any) -> bool:
    return type(value) is int and value >= 1


def _rate(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < float("inf")


def _string(value: Any) -> bool:
    return isinstance(value, str)


def _sizes(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_count, value))


def _list_of_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


FILE_KEYS: Mapping[str, tuple[bool, Callable[[Any], bool], str]] = {
    "title": (False, _string, "a string"),
    "source": (False, _string, "a string"),
    "input": (True, _sizes, "[channels, height, width]"),
    "batch": (True, _count, "a whole number of at least 1"),
    "lr": (False, _rate, "a number of at least 0"),
    "momentum": (False, _rate, "a number of at least 0"),
    "weight_decay": (False, _rate, "a number of at least 0"),
    "layers": (True, _list_of_tables, "a list of tables, one for each layer"),
}


def _tables(given: list[Table], where: str) -> dict[str, Table]:
    """The layers' tables by name, each with its `inputs` filled in."""
    tables: dict[str, Table] = {}
    before = IMAGES
    for number, table in enumerate(given, 1):
        name = table.get("name")
        if not isinstance(name, str) or not name or "." in name or name in (IMAGES, LABELS):
            raise BadInput(
                f"layer {number} of {where} has the name {name!r}; wanted a string without a dot that is neither "
                f"'{IMAGES}' nor '{LABELS}'"
            )
        if name in tables:
            raise BadInput(f"two layers of {where} have the name '{name}'; give each its own")
        inputs = table.get("inputs", [before])
        inputs = [inputs] if isinstance(inputs, str) else inputs
        if not isinstance(inputs, list) or not inputs or not all(isinstance(source, str) for source in inputs):
            raise BadInput(f"'inputs' of layer '{name}' in {where} is {inputs!r}; wanted a list of layers' names")
        tables[name] = {**table, "inputs": inputs}
        before = name
    for name, table in tables.items():
        for source in table["inputs"]:
            if source not in tables and source != IMAGES:
                raise unknown("input", source, {*tables, IMAGES}, where=f"layer '{name}' of {where}")
    return tables


def _run_order(tables: Mapping[str, Table], where: str) -> list[str]:
    """The layers' names in an order in which they can run: the file's order wherever that can run."""
    try:
        TopologicalSorter({name: table["inputs"] for name, table in tables.items()}).prepare()
    except CycleError as error:
        raise BadInput(f"layers of {where} form a cycle: {' -> '.join(error.args[1])}") from error
    order: list[str] = []
    waiting = list(tables)
    while waiting:
        ready = next(name for name in waiting if {IMAGES, *order}.issuperset(tables[name]["inputs"]))
        waiting.remove(ready)
        order.append(ready)
    read = {source for table in tables.values() for source in table["inputs"]}
    unread = [name for name in order if name not in read]
    if len(unread) > 1:
        raise BadInput(f"no layer of {where} reads the output of layer '{unread[0]}'; all must lead to one last layer")
    return order


@dataclass
class _Reader:
    """Reads layer after layer; what is known so far."""

    where: str
    tables: Mapping[str, Table]
    shapes: dict[str, Shape]
    parameters: dict[str, Shape] = field(default_factory=dict)
    dropout: dict[str, float] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)

    def layer(self, name: str) -> Layer:
        table = self.tables[name]
        here = f"layer '{name}' of {self.where}"
        if table.get("window") == WHOLE_MAP:
            table = {**table, "window": list(self.shapes[table["inputs"][0]][2:])}
        if not isinstance(table.get("block"), str):
            raise BadInput(f"{here} has no 'block'; known: {', '.join(blocks.names())}")
        if table["block"] not in blocks.names():
            raise unknown("block", table["block"], blocks.names(), where=here)
        options = _options(table, here)
        layer = Layer(name, table["block"], options, self._arguments(table, here))
        free = free_shapes(layer, self.shapes)
        try:
            shape = blocks.block(layer.block).output_shape(argument_shapes(layer, self.shapes | free), options)
        except ValueError as error:
            sizes = ", ".join(f"{source} {_size(self.shapes[source])}" for source in layer.maps)
            raise BadInput(f"{here} ({layer.block}) does not fit its input {sizes}: {error}") from error
        for value, needed in free.items():
            if self.shapes.setdefault(value, needed) != needed:
                there = self.shapes[value]
                raise BadInput(f"{here} needs {value} of shape {needed[1:]} an image, but another layer {there[1:]}")
        self.shapes[name] = shape
        self.layers[name] = layer
        return layer

    def _arguments(self, table: Table, here: str) -> tuple[str | None, ...]:
        roles = blocks.block(table["block"]).INPUTS
        inputs: list[str] = table["inputs"]
        if roles[0].startswith("*"):
            return tuple(inputs)
        wanted = sum(role in ("x", "target") for role in roles)
        if len(inputs) != wanted:
            raise BadInput(f"{here} ({table['block']}) has {len(inputs)} inputs, {', '.join(inputs)}; wanted {wanted}")
        own = self._parameters(table, here)
        mask = f"{table['name']}.{MASK}"
        if MASK in roles:
            self.dropout[mask] = float(table["p"])
        maps = iter(inputs)
        places = {LABELS: LABELS, MASK: mask, **own}
        return tuple(next(maps) if role in ("x", "target") else places.get(role) for role in roles)

    def _parameters(self, table: Table, here: str) -> dict[str, str]:
        """The names of the layer's parameters by their role; makes them unless they are another layer's."""
        block = table["block"]
        if "parameters" in table:
            owner = table["parameters"]
            if owner not in self.layers:
                raise unknown("layer", str(owner), self.layers, where=f"'parameters' of {here}, among those before it")
            if self.layers[owner].block != block or block not in PARAMETER_SHAPES:
                raise BadInput(
                    f"{here} ({block}) cannot share the parameters of '{owner}' ({self.layers[owner].block})"
                )
            roles = blocks.block(block).INPUTS
            found = zip(roles, self.layers[owner].arguments, strict=True)
            return {role: name for role, name in found if name is not None and name in self.parameters}
        if block not in PARAMETER_SHAPES:
            return {}
        x = self.shapes[table["inputs"][0]]
        if len(x) != 4:
            raise BadInput(f"{here} ({block}) reads '{table['inputs'][0]}', which has no map")
        made = PARAMETER_SHAPES[block](x, table)
        if table.get("bias") is False:
            made.pop("b")
        self.parameters.update({f"{table['name']}.{role}": shape for role, shape in made.items()})
        self.shapes.update(self.parameters)
        return {role: f"{table['name']}.{role}" for role in made}


def _options(table: Table, here: str) -> Any:
    """The block's options; checks the types of all the layer's keys, and that none is missing or unknown."""
    block = table["block"]
    cls = blocks.block(block).Options
    hints = get_type_hints(cls)
    shared = "parameters" in table
    extra = {} if shared and block in PARAMETER_SHAPES else EXTRA_KEYS.get(block, {})
    required = [f.name for f in fields(cls) if f.default is MISSING] + [key for key in extra if key != "bias"]
    for key, value in table.items():
        if key in EVERY_LAYER:
            continue
        if key not in hints and key not in extra:
            raise unknown("option", key, {*hints, *extra}, where=f"{here} ({block})")
        _check_type(key, value, hints.get(key) or extra[key], here)
    for key in required:
        if key not in table:
            raise BadInput(f"{here} ({block}) has no '{key}'")
    for key in ("out_channels", "groups", "kernel_size"):
        if min(pair(table.get(key, 1))) < 1:
            raise BadInput(f"'{key}' of {here} is {table[key]}; wanted at least 1")
    if not 0 <= table.get("p", 0) < 1:
        raise BadInput(f"'p' of {here} is {table['p']}; wanted a probability of at least 0 and below 1")
    return blocks.make_options(block, {key: value for key, value in table.items() if key in hints})


def _check_type(key: str, value: Any, hint: Any, here: str) -> None:
    value = tuple(value) if isinstance(value, list) else value
    try:
        TypeAdapter(hint, config=ConfigDict(strict=True, arbitrary_types_allowed=True)).validate_python(value)
    except ValidationError as error:
        wanted = str(hint).removeprefix("<class '").removesuffix("'>")
        raise BadInput(f"'{key}' of {here} is {value!r}; wanted {wanted}") from error


def _size(shape: Shape) -> str:
    return "x".join(map(str, shape[1:])) or "(a single number)"
