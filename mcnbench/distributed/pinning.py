"""Which cores each worker has: cores of its own while there are enough, and the same number of threads for each."""

from __future__ import annotations

import os
from collections.abc import Sequence


def cores(rank: int, workers: int, threads: int, allowed: Sequence[int]) -> list[int]:
    """The cores of one of so many workers on a machine with these cores, `threads` of them where that many are left.

    Workers that find none of their own share with others, each pinned to a core or more all the same.
    """
    if workers * threads <= len(allowed):
        return list(allowed[rank * threads : (rank + 1) * threads])
    return sorted({allowed[(rank * threads + i) % len(allowed)] for i in range(threads)})


def shared(workers: int, threads: int, allowed: Sequence[int]) -> str | None:
    """What the table must say where workers have not cores enough; None where they have."""
    if workers * threads <= len(allowed):
        return None
    return (
        f"{workers} workers of {threads} thread{'s' * (threads > 1)} on {len(allowed)} core{'s' * (len(allowed) > 1)}: "
        "this measures correctness, not scaling"
    )


def allowed() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0))
