"""The cases of a comparison, drawn as `mcnbench check` draws those of the property `bounded`."""

from __future__ import annotations

import zlib

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as hypothesis_seed

from mcnbench.case import Case
from suites.properties import strategies


def drawn(block: str, dtype: str, examples: int, seed: int) -> list[Case]:
    """So many cases of that block with real numbers; the same arguments draw the same cases."""
    found: list[Case] = []

    @hypothesis_seed(zlib.crc32(f"{seed} {block} agree {dtype}".encode()))
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategies.cases(block, "bounded", dtype))
    def each(case: Case) -> None:
        found.append(case)

    each()
    return found
