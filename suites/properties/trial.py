"""One property being tried on one case: the subject, the case, and the tally that every case adds to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcnbench import blocks
from mcnbench.arrays import Array, Float64
from mcnbench.bounds import PRECISIONS, Precision
from mcnbench.case import Case
from suites.properties.outcome import Tally, Violated
from suites.properties.subject import Arrays, Result, Subject


@dataclass(frozen=True)
class Trial:
    subject: Subject
    case: Case
    tally: Tally
    peer: Subject | None = None
    """torch, where its error is to be compared with."""

    @property
    def precision(self) -> Precision:
        """The arithmetic that the backend says it really uses for the case's dtype."""
        return PRECISIONS[self.subject.backend.precision(self.case.dtype)]

    @property
    def normwise(self) -> bool:
        """Whether the block is a convolution by an algorithm such as Winograd's, whose transforms mix elements."""
        return self.subject.backend.accuracy == "normwise" and "w" in self.case.names

    @property
    def factor(self) -> float:
        """What a normwise backend's bound is multiplied with: the growth of its algorithm's transforms."""
        return self.subject.backend.normwise_factor or 1.0

    def call(self, inputs: Arrays | None = None, options: object = None) -> Result:
        return self.subject(self.case, inputs, options)

    def expected(self, inputs: Arrays, dy: Array | None = None) -> dict[str, Float64]:
        """The oracle's y ("y"), and with dy its gradients ("dx", ...)."""
        y, pullback = blocks.block(self.case.block).oracle(inputs, self.case.options)
        values = {"y": np.asarray(y)}
        if dy is not None:
            values |= self.named(pullback(dy.astype(np.float64)))
        return values

    def named(self, gradients: tuple[Array | None, ...]) -> dict[str, Float64]:
        names = (f"d{name}" for name in self.case.names)
        return {name: g for name, g in zip(names, gradients, strict=False) if g is not None}

    def bounds(self, inputs: Arrays, dy: Array, options: object = None) -> dict[str, Float64]:
        """How far y and each gradient may be from the oracle.

        For a normwise algorithm every element of a map, a filter or dy counts as large as the largest of its map, and
        so does every bound.
        """
        options = self.case.options if options is None else options
        factor = self.factor if self.normwise else None
        return bounds(self.case.block, inputs, options, dy, self.precision, factor)

    def judge(
        self,
        name: str,
        got: Array,
        expected: Float64,
        bound: Float64 | float = 0.0,
        message: str = "",
        peer: Array | None = None,
    ) -> None:
        message = message or f"{name} is not what the oracle says"
        self.tally.judge(name, got, expected, bound, message=message, peer=peer)

    def same(self, name: str, got: Array, expected: Array, message: str) -> None:
        """Raises Violated unless both are equal bit for bit (a NaN equals a NaN of the same bits)."""
        if got.dtype != expected.dtype or got.tobytes() != expected.tobytes():
            wide = expected.astype(np.float64)
            wrong = ~((got == expected) | (np.isnan(got) & np.isnan(expected)))
            raise Violated(message, name, got, wide, np.zeros(wide.shape), wrong if wrong.any() else ~wrong)
        self.tally.told(name, bool(np.any(expected)) or not expected.size)


def bounds(
    block: str, inputs: Arrays, options: object, dy: Array, precision: Precision, factor: float | None
) -> dict[str, Float64]:
    """How far y and each gradient may be from the oracle; `factor` is that of a normwise algorithm, None for others."""
    if factor is not None:
        inputs, dy = [a if a is None else _largest(a) for a in inputs], _largest(dy)
    found = blocks.block(block).bound(inputs, options, dy, precision)
    return found if factor is None else {name: _largest(bound) * factor for name, bound in found.items()}


def _largest(a: Array) -> Array:
    """|a| with each map, the last two axes, filled with its largest element; NaN stays in its map."""
    if a.ndim != 4 or not a.size:
        return a
    return np.broadcast_to(np.abs(a).max((-1, -2), keepdims=True), a.shape)
