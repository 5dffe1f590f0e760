"""How one case came out: violated, unsupported, or compared, with a tally of what the comparison could have found."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mcnbench.arrays import Array, Float64

TELLING_SHARE = 0.02
"""Below this share of elements that would fail if they were zero, a pass is mistrusted."""


class Violated(Exception):
    """The property does not hold for the case. With arrays, if it is values that are wrong."""

    def __init__(
        self,
        message: str,
        name: str = "",
        got: Array | None = None,
        expected: Float64 | None = None,
        bound: Float64 | None = None,
        wrong: Array | None = None,
    ) -> None:
        super().__init__(message)
        self.hint = ""
        """What may be the cause, where the values tell."""
        self.message, self.name, self.got, self.expected, self.bound, self.wrong = (
            message,
            name,
            got,
            expected,
            bound,
            wrong,
        )


class Unsupported(Exception):
    """The backend does not do this, and says why."""


@dataclass
class Count:
    """Elements of one quantity over all cases: compared; telling (a zero in their place would have been found)."""

    compared: int = 0
    telling: int = 0


@dataclass
class Tally:
    """What the comparisons of one property amount to."""

    counts: dict[str, Count] = field(default_factory=dict)
    bounded: bool = False
    worst: float = 0.0
    squares: float = 0.0
    """Of error / bound, ours."""
    peer_squares: float = 0.0
    """Of error / bound, torch's on the same cases."""
    peers: int = 0

    def judge(
        self,
        name: str,
        got: Array,
        expected: Float64,
        bound: Float64 | float = 0.0,
        *,
        message: str = "",
        peer: Array | None = None,
        key: str = "",
    ) -> None:
        """Raises Violated unless |got - expected| <= bound at every element; inf in the bound is not judged.

        The comparison counts under `key`, or the name.
        """
        bound = np.broadcast_to(np.asarray(bound, np.float64), expected.shape)
        with np.errstate(all="ignore"):
            error = np.abs(got.astype(np.float64) - expected)
            fine = (error <= bound) | (got == expected) | np.isinf(bound)
        if not fine.all():
            raise Violated(message, name, got, expected, bound, ~fine)
        count = self.counts.setdefault(key or name, Count())
        count.compared += expected.size
        judged = np.isfinite(bound)
        count.telling += int(np.count_nonzero(judged & (np.abs(expected) > bound)))
        self._ratios(error, bound, judged, got, expected, peer)

    def _ratios(
        self, error: Float64, bound: Float64, judged: Array, got: Array, expected: Float64, peer: Array | None
    ) -> None:
        use = judged & (bound > 0) & np.isfinite(error)
        if not use.any():
            return
        self.bounded = True
        ratio = error[use] / bound[use]
        self.worst = max(self.worst, float(ratio.max()))
        if peer is not None:
            other = np.abs(peer.astype(np.float64)[use] - expected[use]) / bound[use]
            finite = np.isfinite(other)
            self.squares += float(np.square(ratio[finite]).sum())
            self.peer_squares += float(np.square(other[finite]).sum())
            self.peers += 1

    def told(self, name: str, telling: bool = True) -> None:
        """Counts one comparison that was not of arrays against a bound."""
        count = self.counts.setdefault(name, Count())
        count.compared += 1
        count.telling += telling

    @property
    def error_multiple(self) -> float | None:
        """None where torch made no error, so that there is nothing to divide by."""
        return (self.squares / self.peer_squares) ** 0.5 if self.peer_squares > 0 else None

    def mistrust(self) -> str | None:
        """Why the property could hardly have failed, if that is so."""
        if not any(count.compared for count in self.counts.values()):
            return "nothing was compared"
        for name, count in self.counts.items():
            if count.compared and count.telling < TELLING_SHARE * count.compared:
                return (
                    f"only {count.telling} of {count.compared} elements of {name} could have been found wrong: "
                    "the others are zero, or their bound is larger than they are"
                )
        return None
