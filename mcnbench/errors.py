"""What a user did wrong, said in one sentence: what was wanted, what was given, where, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class BadInput(ValueError):
    """The call or a file is wrong. The command line prints the sentence and exits with 2."""


class NothingDone(Exception):
    """Nothing was measured or checked, which must not look like success. The command line exits with 3."""


MANY = 40
"""More names are not listed."""


def unknown(kind: str, given: str, known: Iterable[str], where: str = "") -> BadInput:
    """The error for a name that is not known, with the nearest known one, or else with all unless they are many."""
    choices = sorted(known)
    near = get_close_matches(given, choices, n=1, cutoff=0.5)
    rest = f", and {len(choices) - MANY} more" if len(choices) > MANY else ""
    advice = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(choices[:MANY])}{rest}"
    return BadInput(f"unknown {kind} '{given}'{f' in {where}' if where else ''}; {advice}")
