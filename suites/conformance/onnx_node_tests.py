"""`mcnbench check --onnx-node-tests BACKEND`: the node tests of the onnx package, those of operators that are blocks.

Each is a model of one operator with inputs and outputs, and a tolerance that the package gives. Those that ask for what
no block does are listed with the reason. Outputs beside the first (running means, indices) are not compared.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from mcnbench import blocks, runfile
from mcnbench.arrays import Array
from mcnbench.backends import Backend, refuse_missing
from mcnbench.errors import BadInput, NothingDone
from reports import schema
from suites.agreement.process import Failed, Process
from suites.conformance.translation import OPERATORS, Call, NotOurs, translate

BAD = ("VIOLATED", "ERROR")


@dataclass(frozen=True)
class NodeTest:
    """One test: the block's call and what must come; or why it does not apply."""

    name: str
    operator: str
    call: Call | None
    expected: Array
    rtol: float
    atol: float
    reason: str = ""


def node_tests() -> Iterator[NodeTest]:
    """The package's tests of single operators that are blocks of ours; takes seconds, for all its tests are made."""
    from onnx import helper, numpy_helper
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the package's own making
        tests = load_model_tests(kind="node")
    for test in tests:
        nodes = test.model.graph.node
        if len(nodes) != 1 or nodes[0].op_type not in OPERATORS or nodes[0].domain:
            continue
        node = nodes[0]
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        (given, wanted), *_ = test.data_sets
        inputs, outputs = ([_array(a, numpy_helper) for a in arrays] for arrays in (given, wanted))
        call, reason = None, ""
        try:
            call = translate(node.op_type, attributes, inputs)
        except NotOurs as error:
            reason = str(error)
        yield NodeTest(test.name, node.op_type, call, outputs[0], test.rtol, test.atol, reason)


def _array(value: Any, numpy_helper: Any) -> Array:
    return np.asarray(value if isinstance(value, np.ndarray | np.generic) else numpy_helper.to_array(value))


def compute(backend: Backend, block: str, inputs: Sequence[Array], options: Mapping[str, Any]) -> Array | str:
    """y, or why the backend does not do that; runs in its process."""
    function = backend.block(block)
    if function is None:
        return f"{backend.name} has no {block}"
    made = blocks.make_options(block, options)
    keywords = {field.name: getattr(made, field.name) for field in fields(made)}
    if keywords.get("moments") is not None:
        keywords["moments"] = tuple(backend.from_numpy(a) for a in keywords["moments"])
    try:
        y, _ = function(*(backend.from_numpy(a) for a in inputs), **keywords)
    except NotImplementedError as reason:
        return str(reason) or "not implemented"
    return np.array(backend.to_numpy(y))


def run(backend: str, out: Path | None) -> int:
    """Runs all of them, prints what came, and returns the exit code of the command."""
    refuse_missing(backend)
    if find_spec("onnx") is None:
        raise BadInput("the node tests are the onnx package's: pip install 'mcnbench[onnx]'")
    path = out or runfile.default_path("onnx-node-tests")
    runfile.refuse_existing(path)
    process = Process(backend)
    process.start()
    try:
        tests = list(node_tests())
        lines = [_verdict(process, test) for test in tests if test.call is not None]
    finally:
        process.end()
    first = runfile.first_line("onnx-node-tests", {}, {backend: process.hello["receipt"]})
    with runfile.Writer.create(path, first) as writer:
        for line in lines:
            writer.write(line)
    _show(lines, tests, f"{backend} ({process.hello['receipt']})", path)
    if all(line.verdict == "UNSUPPORTED" for line in lines):
        raise NothingDone(f"backend '{backend}' has none of the blocks that the node tests ask for")
    return int(any(line.verdict in BAD for line in lines))


def _verdict(process: Process, test: NodeTest) -> schema.BlockVerdict:
    assert test.call is not None
    message: str | None
    try:
        y = process.ask(compute, test.call.block, test.call.inputs, test.call.options)
        word, message = ("UNSUPPORTED", y) if isinstance(y, str) else judged(test, test.call.output(y))
    except Failed as error:
        word, message = "ERROR", str(error)
    return schema.BlockVerdict(
        case=f"onnx/{test.name}",
        block=test.call.block,
        backend=process.backend,
        dtype="float32",
        property=test.name,
        verdict=word,  # type: ignore[arg-type]  # one of the four words above and below
        examples=1,
        message=message,
    )


def judged(test: NodeTest, y: Array) -> tuple[str, str | None]:
    """The package's own comparison."""
    if y.shape != test.expected.shape:
        return "VIOLATED", f"wanted shape {test.expected.shape}, got {y.shape}"
    if np.allclose(y, test.expected, rtol=test.rtol, atol=test.atol, equal_nan=True):
        return "HOLDS", None
    apart = np.abs(y.astype(np.float64) - test.expected)
    at = tuple(int(i) for i in np.unravel_index(np.nanargmax(apart), apart.shape))
    return "VIOLATED", f"at {list(at)} expected {test.expected[at]:.7g}, got {y[at]:.7g}"


def _show(lines: Sequence[schema.BlockVerdict], tests: Sequence[NodeTest], receipt: str, path: Path) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        said = f": {line.message}" if line.message else ""
        console.print(Text(f"{line.verdict:<12}{line.property} ({line.block}){said}"))
    reasons = Counter((test.operator, test.reason) for test in tests if test.call is None)
    for (operator, reason), count in sorted(reasons.items()):
        console.print(Text(f"{'not ours':<12}{operator}, {count} test{'s' * (count != 1)}: {reason}", "dim"))
    counts = Counter(line.verdict for line in lines)
    said = ", ".join(f"{count} {word}" for word, count in counts.most_common())
    console.print(Text(f"\n{receipt}: of {len(tests)} node tests of our operators {len(lines)} apply: {said}"))
    console.print(f"Run file: {path}")
