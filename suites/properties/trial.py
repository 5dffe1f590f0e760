"""One property being tried on one case: the subject, the case, and the tally that every case adds to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mcnbench import blocks
from mcnbench.arrays import Array, Float64, pair, sides
from mcnbench.bounds import PRECISIONS, Precision
from mcnbench.case import Case
from suites.properties.outcome import Tally, Violated
from suites.properties.subject import Arrays, Result, Subject

NORMWISE_FACTOR = 100.0
"""How many times the normwise bound an algorithm by transforms may err: F(4 x 4, 3 x 3) at its usual points 96.8."""


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
        factor = self.subject.backend.normwise_factor if self.normwise else None
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
        try:
            self.tally.judge(name, got, expected, bound, message=message, peer=peer)
        except Violated as violated:
            violated.hint = self._hint(violated)
            raise

    def _hint(self, violated: Violated) -> str:
        """Whether a convolution that claims to be right element by element errs as Winograd's and FFT's algorithms do:
        little beside the largest elements of its map."""
        got, expected, wrong = violated.got, violated.expected, violated.wrong
        if self.normwise or "w" not in self.case.names or got is None or expected is None or wrong is None:
            return ""
        case = self.case
        normwise = bounds(case.block, case.inputs(), case.options, case.dy(), self.precision, 1.0)
        bound = normwise.get(violated.name)
        if bound is None or bound.shape != got.shape:
            return ""
        with np.errstate(all="ignore"):
            ratio = np.max(np.abs(got.astype(np.float64) - expected)[wrong] / bound[wrong])
        if not ratio <= NORMWISE_FACTOR:
            return ""
        factor = f" and normwise_factor = {ratio:.2g}, or what its analysis gives" if ratio > 1 else ""
        return (
            f"beside the largest elements of the map the error is small, {ratio:.2g} of the normwise bound, as it is "
            f'with Winograd\'s algorithm or an FFT: if it is one, declare accuracy = "normwise"{factor}'
        )

    def same(self, name: str, got: Array, expected: Array, message: str) -> None:
        """Raises Violated unless both are equal bit for bit (a NaN equals a NaN of the same bits)."""
        if got.dtype != expected.dtype or got.tobytes() != expected.tobytes():
            wide = expected.astype(np.float64)
            wrong = ~((got == expected) | (np.isnan(got) & np.isnan(expected)))
            raise Violated(message, name, got, wide, np.zeros(wide.shape), wrong if wrong.any() else ~wrong)
        self.tally.told(name, bool(np.any(expected)) or not expected.size)


def bounds(
    block: str, inputs: Arrays, options: Any, dy: Array, precision: Precision, factor: float | None
) -> dict[str, Float64]:
    """How far y and each gradient may be from the oracle; `factor` is that of a normwise algorithm, None for others."""
    if factor is None:
        return blocks.block(block).bound(inputs, options, dy, precision)
    inputs, dy = [a if a is None else _largest(a) for a in inputs], _largest(dy)
    names = blocks.gradient_names(blocks.block(block).INPUTS, len(inputs))
    shapes = {"y": dy.shape} | {name: a.shape for name, a in zip(names, inputs, strict=True) if a is not None}
    if dy.ndim == 4:
        inputs, options, dy = _as_transforms_see_it(block, inputs, options, dy)
    found = blocks.block(block).bound(inputs, options, dy, precision)
    return {name: _filled(bound, shapes[name]) * factor for name, bound in found.items()}


def _as_transforms_see_it(block: str, inputs: Arrays, options: Any, dy: Array) -> tuple[Arrays, Any, Array]:
    """The same convolution on the padded map, all of it as large as its largest element, with stride 1; or the
    transposed one before it is cropped: transforms mix what lies there, even where only zeros are summed."""
    x, w, b = inputs
    assert x is not None
    assert w is not None
    border = [(0, 0), (0, 0), *np.reshape(sides(options.padding), (2, 2)).tolist()]
    if block == "conv_transpose2d":
        return inputs, replace(options, padding=0), np.pad(dy, border)
    padded, (sv, sh), (dv, dh) = _largest(np.pad(x, border)), pair(options.stride), pair(options.dilation)
    rows, columns = padded.shape[2] - dv * (w.shape[2] - 1), padded.shape[3] - dh * (w.shape[3] - 1)
    between: Array = np.zeros((*dy.shape[:2], rows, columns), dy.dtype)
    between[:, :, ::sv, ::sh] = dy
    return [padded, w, b], replace(options, stride=1, padding=0), between


def _largest(a: Array) -> Array:
    """|a| with each map, the last two axes, filled with its largest element; NaN stays in its map."""
    return _filled(np.abs(a), a.shape) if a.ndim == 4 else a


def _filled(a: Array, shape: tuple[int, ...]) -> Array:
    """Each map of the largest element of that map of `a`, in that shape."""
    return np.broadcast_to(a.max((-1, -2), keepdims=True), shape) if a.ndim == 4 and a.size else a
