"""How the time of an experiment is spent: every case gets its two rounds and a share of what is over; then the case
with the widest interval is visited again, until no visit fits any more.

What a visit costs is predicted from its arithmetic and corrected by what the visits so far took. A case that was begun
gets its two rounds even if they take longer than predicted; no case is begun that should not end within the budget.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar

ROUNDS = 2
"""The fewest rounds that count: one sample has no interval."""

FIRST_SHARE = 0.7
"""The part of the time over that the first visits may use; the rest is for the cases that turn out least precise."""


class Named(Protocol):
    """Whatever is visited."""

    @property
    def name(self) -> str: ...


Some = TypeVar("Some", bound=Named)


class Budget:
    """A number of seconds for a set of cases; `predicted` are the seconds that each one's shortest visit takes, and
    `first_share` the part of what is over that is for first visits: if 0, these have two rounds and no more."""

    def __init__(
        self,
        seconds: float,
        predicted: Mapping[str, float],
        clock: Callable[[], float] = time.monotonic,
        first_share: float = FIRST_SHARE,
    ) -> None:
        self._clock, self._first_share = clock, first_share
        self._end = clock() + seconds
        self._predicted = dict(predicted)
        self._shortest: dict[str, float] = {}
        self._waiting = list(predicted)
        self._entered = self._deadline = clock()
        self._reserve: float | None = None

    def left(self) -> float:
        """Seconds left; below 0 when the last visit took longer than predicted."""
        return self._end - self._clock()

    def shortest(self, case: str) -> float:
        """Seconds of a visit with two rounds: as the last one went, or predicted in the light of other visits."""
        if case in self._shortest:
            return self._shortest[case]
        taken = sum(self._shortest.values())
        scale = taken / sum(self._predicted[done] for done in self._shortest) if taken else 1.0
        return self._predicted[case] * scale

    def enter(self, case: str) -> bool:
        """Begins a visit, whose time is limited from now; False if it would not end within the budget and must not.
        The first visit of all always may: what it takes is not known before."""
        shortest = self.shortest(case)
        if shortest > self.left() and self._shortest:
            return False
        self._entered = self._clock()
        if case in self._waiting:
            waiting = sum(self.shortest(other) for other in self._waiting)
            over = max(0.0, self.left() - waiting)
            if self._reserve is None:
                self._reserve = (1 - self._first_share) * over
            share = shortest / waiting
            length = min(shortest, self.left() * share) + max(0.0, over - self._reserve) * share
            length = length if self._first_share else 0.0
        else:
            length = 2 * shortest  # so that about as much goes into rounds as into starting and verifying
        self._deadline = min(self._entered + length, self._end)
        return True

    def another_round(self, done: int, seconds: float, closing: float) -> bool:
        """Whether this visit has time for a round of `seconds` before its end, which takes `closing` seconds."""
        return done < ROUNDS or self._clock() + seconds + closing <= self._deadline

    def leave(self, case: str, rounds: int, seconds: float) -> None:
        """Ends a visit that had so many rounds of so many seconds each."""
        taken = self._clock() - self._entered
        self._shortest[case] = max(0.0, taken - max(0, rounds - ROUNDS) * seconds)
        if case in self._waiting:
            self._waiting.remove(case)

    def widest(self, widths: Mapping[str, float]) -> str | None:
        """The case with the widest interval among those that there is time to visit again."""
        fitting = [case for case in widths if self.shortest(case) <= self.left()]
        return max(fitting, key=lambda case: widths[case], default=None)

    def spend(
        self,
        cases: Iterable[Some],
        visit: Callable[[Some], None],
        leave_out: Callable[[Some], None],
        widths: Callable[[], Mapping[str, float]],
    ) -> list[Some]:
        """Visits every case once, then again the one with the widest of the intervals `widths`, until no visit fits.

        `visit` ends by `leave`. Returns the cases that were left out because there was no time for them.
        """
        by_name, missing = {}, []
        for case in cases:
            by_name[case.name] = case
            if self.enter(case.name):
                visit(case)
            else:
                leave_out(case)
                missing.append(case)
        while (name := self.widest(widths())) is not None and self.enter(name):
            visit(by_name[name])
        return missing
