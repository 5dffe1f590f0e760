"""What a backend's process does with a case: runs the block and its pullback."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from mcnbench.arrays import Array
from mcnbench.backends import Backend
from mcnbench.case import parse
from suites.properties.outcome import Unsupported
from suites.properties.subject import Subject


@dataclass(frozen=True)
class Computed:
    """y ("y") and the gradients ("dx", ...), those that the backend has."""

    values: dict[str, Array] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """Why "forward" or "backward" is missing."""
    seconds: float = 0.0
    """What the backend itself took, conversions included."""


def compute(backend: Backend, line: str) -> Computed:
    """The block on the case of that line."""
    case = parse(line)
    began = perf_counter()
    try:
        result = Subject(backend, case.block)(case)
        values = {"y": np.array(result.y)}
    except (Unsupported, NotImplementedError) as reason:
        said = str(reason) or type(reason).__name__
        return Computed({}, {"forward": said, "backward": said}, perf_counter() - began)
    try:
        values |= {name: np.array(g) for name, g in result.pullback(case.dy()).items()}
    except (Unsupported, NotImplementedError) as reason:
        return Computed(values, {"backward": str(reason) or type(reason).__name__}, perf_counter() - began)
    return Computed(values, {}, perf_counter() - began)
