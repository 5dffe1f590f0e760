"""Whether torchrun started this process, and as which of how many."""

from __future__ import annotations

import os
from typing import NamedTuple


class Stations(NamedTuple):
    """Where this process is among those that torchrun started; the address is the first machine's."""

    rank: int
    ranks: int
    local_rank: int
    local_ranks: int
    address: str


def joined() -> Stations | None:
    """This process's place, or None where torchrun did not start it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    rank, ranks, local_rank, local_ranks = (
        int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    )
    return Stations(rank, ranks, local_rank, local_ranks, os.environ["MASTER_ADDR"])
