"""What is shown of a violation: the values in words, and a stand-alone script that needs only NumPy and PyTorch."""

from __future__ import annotations

import base64
import inspect
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from mcnbench.arrays import Array, Float64, pair, sides
from mcnbench.backends import Backend
from mcnbench.case import Case
from mcnbench.pattern import describe as pattern
from suites.properties import strategies
from suites.properties.outcome import Violated

LARGEST = 4000
"""A script holds arrays of up to so many elements as numbers, larger ones as bytes; shrunk cases have a few."""


def describe(error: Violated, more: str = "") -> str:
    """The lines of a dossier: what is wrong; the worst element, with its error over its bound; the pattern."""
    message = f"{error.message}{more}"
    got, expected, wrong = error.got, error.expected, error.wrong
    if got is None or expected is None or wrong is None:
        return message
    at = _worst(got, expected, error.bound, wrong)
    place = f"{error.name}[{', '.join(map(str, at))}]" if at else error.name
    ratio = _ratio(got, expected, error.bound, at)
    return "\n".join(
        [
            message,
            f"where     {place}: expected {expected[at]:.9g}, got {got[at]:.9g}{ratio}",
            f"wrong     {int(wrong.sum())} of {wrong.size} elements of {error.name} {got.shape}",
            f"pattern   {pattern_of(error)}",
            *([f"hint      {error.hint}"] if error.hint else []),
        ]
    )


def pattern_of(error: Violated) -> str:
    """The pattern of the wrong elements, in words; "" if it is not values that are wrong."""
    if error.got is None or error.expected is None or error.wrong is None:
        return ""
    return pattern(error.name, error.got, error.expected, error.wrong)


def _worst(got: Array, expected: Float64, bound: Float64 | None, wrong: Array) -> tuple[int, ...]:
    with np.errstate(all="ignore"):
        error = np.abs(got.astype(np.float64) - expected)
        ratio = error if bound is None else error / np.where(bound > 0, bound, np.finfo(np.float64).tiny)
    ratio = np.where(wrong, np.nan_to_num(ratio, nan=np.inf, posinf=np.inf), -1.0)
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(ratio)), ratio.shape)) if ratio.ndim else ()


def _ratio(got: Array, expected: Float64, bound: Float64 | None, at: tuple[int, ...]) -> str:
    if bound is None or not np.isfinite(got[at]):
        return ""
    error = abs(float(got[at]) - float(expected[at]))
    if bound[at] == 0:
        return f" (off by {error:.3g}, where it must be exact)"
    return f" (error {error:.3g}, bound {float(bound[at]):.3g}: {error / float(bound[at]):.3g} times the bound)"


def script(backend: Backend, case: Case, property: str, message: str) -> str:
    """A Python script that calls the backend's function on the arrays of the case and shows what is wrong."""
    inputs = dict(zip(case.names, case.inputs(), strict=True))
    lines = [
        '"""' + f"{case.block}: the property '{property}' does not hold for {backend.name}.",
        "",
        *message.replace("\\", "/").replace('"""', "'''").splitlines(),
        "",
        f"Replay: mcnbench check {backend.name} --case '{case}'",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        *_imports(backend),
        "",
    ]
    for name, a in inputs.items():
        lines += [f"{name} = {_literal(a)}"]
    lines.append(f"options = {_options(case)}")
    arguments = ", ".join(inputs)
    to, back = _conversions(backend.implementation)
    given = ", ".join(name if a is None else to.format(name) for name, a in inputs.items())
    call = f"blocks.{case.block}({given}, **options)"
    got = "got" if back == "{0}" else f"got if got is None else {back.format('got')}"
    watched = property == "leaves-inputs"
    if property == "rejects-invalid":
        lines += ["", f"result = {call}", 'print("These sizes do not fit, and must raise ValueError; got", result[0])']
        return "\n".join(lines) + "\n"
    lines += [
        f"dy = {_literal(case.dy())}",
        "",
        *_reference(case),
        "",
        f"right_y, right_gradients = expected({arguments})",  # before the call, which may write into them
        *([f"before = [{', '.join(f'{name}.copy()' for name, a in inputs.items() if a is not None)}]"] * watched),
        f"y, pullback = {call}",
        f"gradients = pullback({to.format('dy')}) if pullback else ()",
        f'print("y", {back.format("y")}, "should be", right_y, sep="\\n")',
        f"for name, got, right in zip({[f'd{name}' for name in inputs]}, gradients, right_gradients):",
        f'    print(name, {got}, "should be", right, sep="\\n")',
    ]
    lines += _tail(property, call, back, [name for name, a in inputs.items() if a is not None])
    return "\n".join(lines) + "\n"


def _imports(backend: Backend) -> list[str]:
    """Lines after which `blocks` holds the implementation."""
    common = ["import base64", "from typing import Any", "", "import numpy as np", "import torch", ""]
    if backend.name.endswith(".py"):
        path = Path(backend.name).resolve()
        return [
            "import importlib.util",
            "import sys",
            *common,
            f"sys.path.insert(0, {str(path.parent)!r})",
            f"spec = importlib.util.spec_from_file_location({path.stem!r}, {str(path)!r})",
            "blocks = importlib.util.module_from_spec(spec)",
            "spec.loader.exec_module(blocks)",
        ]
    if isinstance(backend.implementation, ModuleType):
        return [*common, f"import {backend.implementation.__name__} as blocks"]
    # In a dialect, or an object of an installed package: that takes mcnbench.
    return [*common, f"import mcnbench\n\nblocks = mcnbench.backend({backend.name!r})"]


def _conversions(implementation: Any) -> tuple[str, str]:
    """How an array enters and leaves the implementation, as formats of an expression."""
    to = "blocks.from_numpy({0})" if hasattr(implementation, "from_numpy") else "{0}"
    back = "blocks.to_numpy({0})" if hasattr(implementation, "to_numpy") else "{0}"
    return to, back


def _literal(a: Array | None) -> str:
    if a is None:
        return "None"
    if a.size > LARGEST:
        text = base64.b85encode(a.tobytes()).decode()
        return f"np.frombuffer(base64.b85decode({text!r}), np.{a.dtype}).reshape({a.shape})"
    flat = ", ".join(_number(value) for value in a.ravel().tolist())
    return f"np.array([{flat}], np.{a.dtype}).reshape({a.shape})"


def _number(value: float) -> str:
    text = repr(value)
    return {"nan": "np.nan", "inf": "np.inf", "-inf": "-np.inf"}.get(text, text)


def _options(case: Case, in_full: bool = False) -> str:
    """The options as a dictionary; `in_full` has a number for each direction or side."""
    parts = []
    for field in fields(case.options):
        value = getattr(case.options, field.name)
        if in_full and field.name == "padding":
            value = sides(value)
        elif in_full and "tuple[int, int]" in str(field.type):
            value = pair(value)
        text = f"({', '.join(_literal(v) for v in value)})" if field.name == "moments" and value else repr(value)
        parts.append(f"{field.name!r}: {text}")
    return "{" + ", ".join(parts) + "}"


def _reference(case: Case) -> list[str]:
    """The block in PyTorch, and a function that runs it in float64 with autograd."""
    return [
        *inspect.getsource(strategies.module(case.block).reference).splitlines(),
        "",
        "",
        "def expected(*arrays):",
        '    """y and its gradients, by PyTorch in float64."""',
        "    tensors = [a if a is None else torch.tensor(a) for a in arrays]",
        "    real = [t is not None and t.is_floating_point() for t in tensors]",
        "    tensors = [t.double().requires_grad_() if r else t for t, r in zip(tensors, real)]",
        f"    y = reference(*tensors, **{_options(case, in_full=True)})",
        "    wanted = [t for t, r in zip(tensors, real) if r]",
        "    found = iter(torch.autograd.grad(y, wanted, torch.tensor(dy).double(), materialize_grads=True))",
        "    return y.detach().numpy(), [next(found).numpy() if r else None for r in real]",
        "",
    ]


def _tail(property: str, call: str, back: str, names: list[str]) -> list[str]:
    """Lines that show what the values alone do not."""
    match property:
        case "leaves-inputs":
            return [
                f"for name, a, held in zip({names}, [{', '.join(names)}], before):",
                '    print(name, "unchanged" if np.array_equal(a, held) else "CHANGED")',
            ]
        case "deterministic":
            return [
                f"first = np.array({back.format('y')})",
                f"again, _ = {call}",
                f'print("the same call again", {back.format("again")}, sep="\\n")',
                f'print("the first y afterwards", {back.format("y")}, "was", first, sep="\\n")',
            ]
        case _:
            return []
