"""Ranks of one machine read each other's memory; those of several, or that may not, leave it to the engine."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

from mcnbench.distributed import neighbours
from mcnbench.distributed.failure import Lost
from tests.distributed.ranks import together

NOBODY = 1 << 30
"""No process has this number."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux lets processes read each other's memory")


def sums(sizes: list[int], rank: int, ranks: int) -> list[np.ndarray] | None:
    near = neighbours.met()
    if near is None:
        return None
    rng = np.random.default_rng(rank)
    arrays = [rng.integers(-9, 9, size).astype(np.float32) for size in sizes]
    for _ in range(2):  # sums of sums, which shows that none begins before the others have ended
        handles = [near.start(array) for array in arrays]
        handles[-1].wait()
    return arrays


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_every_rank_has_the_sums(ranks: int) -> None:
    """Of arrays with fewer elements than ranks, too, and with more than are read at a time."""
    sizes = [1, 2, 1000, neighbours.CHUNK_BYTES * ranks // 4 + 5]
    found = together(sums, ranks, sizes)
    if found[0] is None:
        assert found == [None] * ranks
        pytest.skip("this system forbids processes to read each other's memory")
    rngs = [np.random.default_rng(rank) for rank in range(ranks)]
    for i, size in enumerate(sizes):
        whole = ranks * sum(rng.integers(-9, 9, size) for rng in rngs)
        for rank in range(ranks):
            np.testing.assert_array_equal(found[rank][i], whole, f"rank {rank}, {size} elements")


def on_nodes_of_their_own(rank: int, ranks: int) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GROUP_RANK", str(rank // 2))
        return neighbours.met() is None


def test_the_nodes_of_torchrun_are_machines() -> None:
    assert together(on_nodes_of_their_own, 3) == [True, True, True]


def where_one_is_wrong(rank: int, ranks: int) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        if rank == 1:
            patch.setattr(neighbours, "read", lambda pid, address, into: into.fill(0))
        return neighbours.met() is None


def test_what_one_rank_cannot_read_none_reads() -> None:
    """As in a container, where a process's number may be another's outside."""
    assert together(where_one_is_wrong, 2) == [True, True]


def unreadable(rank: int, ranks: int) -> tuple[str] | None:
    near = neighbours.met()
    if near is None:
        return None
    if rank == 1:
        near = neighbours.Neighbours(rank, [NOBODY, os.getpid()])
    try:
        near.start(np.ones(10)).wait()
    except Lost as error:
        return (str(error),)
    raise AssertionError("a process that is not there was read")


def test_a_rank_that_is_gone_is_reported_as_lost_contact() -> None:
    found = together(unreadable, 2)[1]
    if found is None:
        pytest.skip("this system forbids processes to read each other's memory")
    assert found[0].startswith(f"lost contact with another rank: [Errno 3] process {NOBODY} cannot be read: ")
