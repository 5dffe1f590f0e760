"""What a user did wrong, said in one sentence: what was wanted, what was given, where, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class BadInput(ValueError):
    """The call or a file is wrong. The command line prints the sentence and exits with 2."""


class NothingDone(Exception):
    """Nothing was measured or checked, which must not look like success. The command line exits with 3."""


def unknown(kind: str, given: str, known: Iterable[str], where: str = "") -> BadInput:
    """The error for a name that is not known, with the nearest known ones (all of them when none is near)."""
    choices = sorted(known)
    near = get_close_matches(given, choices, n=1, cutoff=0.5)
    advice = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(choices)}"
    return BadInput(f"unknown {kind} '{given}'{f' in {where}' if where else ''}; {advice}")
