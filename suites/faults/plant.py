"""Tries one planted fault: property after property, as `check` does, until the first finds it; or says why none did."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic, process_time
from typing import Any, Literal

import numpy as np

from mcnbench import blocks
from mcnbench.arrays import Array
from mcnbench.backends import Backend
from mcnbench.bounds import PRECISIONS
from mcnbench.case import Case, parse
from mcnbench.verdict import BAD, Verdict
from suites.faults.fault import Fault, has_numpy_arrays, planted
from suites.properties import engine

DTYPES = ("float32", "float64")
Word = Literal["KILLED", "SURVIVED", "UNSUPPORTED"]


@dataclass(frozen=True)
class Outcome:
    """What became of one fault."""

    fault: str
    what: str
    origin: str
    word: Word
    property: str = ""
    dtype: str = ""
    verdict: str = ""
    """What the property that found it concluded: VIOLATED, MISTRUSTED or ERROR."""
    examples: int = 0
    """Cases tried by the property that found it, that case included; for a survivor, by all properties."""
    seconds: float = 0.0
    """From the first case of the first property on."""
    cpu_seconds: float = 0.0
    """The part of it in which the process had a core: what it takes on a machine that does nothing else."""
    message: str = ""
    """What the verdict says; of a survivor, what would have to be tightened."""
    reproduce: str | None = None


def attempt(backend: Backend, fault: Fault, examples: int = engine.EXAMPLES, seed: int = 0) -> Outcome:
    """Plants the fault and runs the properties of its block, float32 before float64, until one finds it.

    A finding counts only if the backend without the fault passes the very same.
    """
    began, worked, tried, own = monotonic(), process_time(), 0, []
    named = (fault.name, fault.what, fault.origin)
    if backend.block(fault.block) is None:
        return Outcome(*named, "UNSUPPORTED", message=f"{backend.name} has no {fault.block}")
    if fault.own_arrays and not has_numpy_arrays(backend):
        return Outcome(*named, "UNSUPPORTED", message=f"the arrays of {backend.name} are not NumPy's")
    wrong = planted(backend, fault)
    for dtype in DTYPES:
        for property in engine.properties(fault.block):
            found = engine.run(wrong, fault.block, property, dtype, examples, seed, shrink=False)
            tried += found.examples
            if found.verdict not in BAD:
                continue
            if _without_the_fault(backend, found, examples, seed) in BAD:
                own.append(f"{property} {dtype}")
                continue
            return Outcome(
                *named,
                "KILLED",
                property,
                dtype,
                found.verdict,
                found.examples,
                monotonic() - began,
                process_time() - worked,
                found.message,
                found.reproduce,
            )
    why = f"the backend itself does not pass {', '.join(own)}; " if own else ""
    why += _tighten(backend, wrong, fault.block, examples, seed)
    return Outcome(
        *named,
        "SURVIVED",
        examples=tried,
        seconds=monotonic() - began,
        cpu_seconds=process_time() - worked,
        message=why,
    )


def _without_the_fault(backend: Backend, found: Verdict, examples: int, seed: int) -> str:
    """The verdict on the right backend: on the case that was found, or on all where the verdict names none."""
    if found.reproduce is None:
        return engine.run(backend, found.block, found.property, found.dtype, examples, seed, shrink=False).verdict
    verdict = engine.replay(backend, parse(found.reproduce), found.property).verdict
    return "HOLDS" if verdict == "MISTRUSTED" else verdict  # one case may well be all zeros


def _tighten(backend: Backend, wrong: Backend, block: str, examples: int, seed: int) -> str:
    """What a survivor changed on the cases of the properties that compare values: nothing, or how much of the bound."""
    changed: dict[str, float] = {}
    cases = 0
    for property in ("exact", "bounded", "gradient-bounded"):
        drawn: list[Case] = []
        if property in engine.properties(block):
            engine.run(backend, block, property, "float32", examples, seed, shrink=False, on_case=drawn.append)
        cases += len(drawn)
        for case in drawn:
            for name, share in _changes(backend, wrong, case).items():
                changed[name] = max(changed.get(name, 0.0), share)
    shown = {name: share for name, share in changed.items() if share > 0}
    if not shown:
        return (
            f"it changed nothing on {cases} cases of values: the strategies of {block} draw none where it shows, or "
            "it is a matter of memory or state that no property looks at"
        )
    parts = [f"{name} by {share:.2g} of its bound" for name, share in shown.items()]
    return f"it changed {', '.join(parts)}: the bounds of {block} would have to be sharper"


def _changes(backend: Backend, wrong: Backend, case: Case) -> dict[str, float]:
    """For y and each gradient, the largest change over its bound."""
    before, after = _values(backend, case), _values(wrong, case)
    precision = PRECISIONS[backend.precision(case.dtype)]
    bounds = blocks.block(case.block).bound(case.inputs(), case.options, case.dy(), precision)
    found = {}
    for name, value in before.items():
        with np.errstate(all="ignore"):
            change = np.abs(after[name].astype(np.float64) - value)
            share = np.where(change > 0, change / bounds[name], 0.0)
        found[name] = float(np.nanmax(share, initial=0.0))
    return found


def _values(backend: Backend, case: Case) -> dict[str, Array]:
    from suites.properties.subject import Subject

    result = Subject(backend, case.block)(case)
    found: dict[str, Any] = {"y": result.y.copy()}
    return found | {name: g.copy() for name, g in result.gradients(case.dy()).items()}
