"""What a comparison concludes: one line per case and quantity, and the exit code of them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["REGRESSED", "IMPROVED", "SAME", "AMBIGUOUS", "MISSING", "INCOMPARABLE", "INCORRECT"]

WRONG: tuple[Verdict, ...] = ("INCORRECT", "REGRESSED", "MISSING", "INCOMPARABLE")
"""What must not pass, the worst first."""


@dataclass(frozen=True)
class Comparison:
    """One quantity of one case on one backend in head, against base."""

    case: str
    backend: str
    quantity: str
    """"speed", "error" or "memory"."""
    verdict: Verdict
    reason: str
    """Why, in a few words; always said."""
    change: float | None = None
    """The growth of time, error or memory from base to head: 0.05 is 5% more, so worse."""
    low: float | None = None
    high: float | None = None
    """The 95% interval of the change; None where there is nothing random."""

    @property
    def name(self) -> str:
        """One word for the line."""
        return f"{self.case} {self.backend} {self.quantity}"


def exit_code(comparisons: Sequence[Comparison], strict: bool) -> int:
    """0 all good; 1 something is wrong; 4 ambiguous and strict."""
    verdicts = {comparison.verdict for comparison in comparisons}
    if verdicts & set(WRONG):
        return 1
    return 4 if strict and "AMBIGUOUS" in verdicts else 0


def ordered(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The worst first, then as given."""
    order: tuple[Verdict, ...] = (*WRONG, "AMBIGUOUS", "IMPROVED", "SAME")
    return sorted(comparisons, key=lambda comparison: order.index(comparison.verdict))
