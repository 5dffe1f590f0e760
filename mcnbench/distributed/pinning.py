"""Which cores each worker has: cores of its own while there are enough, and the same number of threads for each."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence


def cores(rank: int, workers: int, threads: int, allowed: Sequence[int]) -> list[int]:
    """The cores of one of so many workers on a machine with these cores, `threads` of them where that many are left.

    Workers that find none of their own share with others, each pinned to a core or more all the same.
    """
    if workers * threads <= len(allowed):
        return list(allowed[rank * threads : (rank + 1) * threads])
    return sorted({allowed[(rank * threads + i) % len(allowed)] for i in range(threads)})


def shared(hosts: Mapping[str, Sequence[Sequence[int]]]) -> str | None:
    """What the table must say where workers share cores, of the cores of each worker of each host; else None."""
    for host, lists in hosts.items():
        found = {core for cores in lists for core in cores}
        if sum(map(len, lists)) > len(found):
            here = f" of {host}" if len(hosts) > 1 else ""
            return (
                f"{len(lists)} workers on {len(found)} core{'s' * (len(found) > 1)}{here}: this measures correctness, "
                "not scaling"
            )
    return None


def allowed() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0))
