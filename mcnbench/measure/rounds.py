"""Rounds in lock step: in each, everyone has one turn, in random order, so that drift of the machine hits all alike."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from mcnbench.measure.budget import Budget
from mcnbench.measure.outcome import Outcome

STEPS_A_TURN = ((50e6, 1), (1e6, 3), (0.0, 10))
"""Steps of at least so many ns: so many a turn. A turn's first step finds cold caches; of several it is the odd one."""

ROUNDS_BETWEEN_LOOKS = 10
"""Whether a case is known well enough is asked after so many rounds, as often looking finds luck."""

Some = TypeVar("Some", bound=Outcome)


def in_rounds(
    outcomes: Sequence[Some],
    turn: Callable[[Some, int, int], None],
    known: Callable[[list[Some]], bool],
    budget: Budget,
    order: random.Random,
    closing: float,
) -> tuple[float, int]:
    """Gives everyone alive a `turn(outcome, round, steps)`, round after round: at least two rounds, then until all are
    `known` well enough, or the budget has no time for another round and `closing` seconds.

    Returns the seconds of the last round, and how many there were.
    """
    alive = [outcome for outcome in outcomes if outcome.alive]
    steps = _steps_a_turn([outcome.warmup[-1] for outcome in alive])
    seconds, done = 0.0, 0
    while alive and budget.another_round(done, seconds, closing):
        began = time.monotonic()
        order.shuffle(alive)
        for outcome in alive:
            turn(outcome, done, steps)
        seconds, done = time.monotonic() - began, done + 1
        alive = [outcome for outcome in outcomes if outcome.alive]
        if done % ROUNDS_BETWEEN_LOOKS == 0 and known(alive):
            break
    return seconds, done


def _steps_a_turn(warm: list[int]) -> int:
    """How many steps of so many nanoseconds are taken in a row."""
    shortest = min(warm, default=0)
    return next(steps for ns, steps in STEPS_A_TURN if shortest >= ns)
