"""What a check concluded on one property of one block of one backend in one dtype."""

from __future__ import annotations

import builtins
import json
from dataclasses import asdict, dataclass
from typing import Literal

from reports.schema import BlockVerdict

Word = Literal["HOLDS", "VIOLATED", "MISTRUSTED", "UNSUPPORTED", "ERROR"]
BAD: tuple[Word, ...] = ("VIOLATED", "MISTRUSTED", "ERROR")
"""A check that ends in one of these has not shown the block right."""


@dataclass(frozen=True)
class Verdict:
    """HOLDS; VIOLATED; MISTRUSTED: it passed but could hardly have failed; UNSUPPORTED: the backend lacks it, or it
    has no meaning for the block; ERROR: a crash, a hang or an exception."""

    backend: str
    block: str
    property: str
    dtype: str
    verdict: Word
    examples: int = 0
    """How many cases were tried."""
    worst_ratio: float | None = None
    """The largest error over its bound that was seen; None for a property without a bound."""
    error_multiple: float | None = None
    """The root mean square of error / bound over that of torch on the same cases; None where there is none."""
    message: str = ""
    """One sentence, and for a violation the lines of its dossier."""
    reproduce: str | None = None
    """The case as one line."""
    script: str | None = None
    """A stand-alone script that shows the violation with NumPy and torch only."""
    seconds: float = 0.0

    @builtins.property  # a field has that name here
    def name(self) -> str:
        return f"{self.block}-{self.property}-{self.dtype}"

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    def to_line(self) -> BlockVerdict:
        """The line of a run file."""
        return BlockVerdict(
            case=f"check/{self.block}/{self.property}/{self.dtype}",
            block=self.block,
            backend=self.backend,
            dtype=self.dtype,
            property=self.property,
            verdict=self.verdict,
            examples=self.examples,
            worst_ratio=self.worst_ratio,
            error_multiple=self.error_multiple,
            message=self.message or None,
            reproduce=self.reproduce,
        )
