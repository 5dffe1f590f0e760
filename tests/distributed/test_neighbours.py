"""Ranks of one machine read each other's memory; those of several, or that may not, leave it to the engine."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from mcnbench.distributed import neighbours
from mcnbench.distributed.failure import Diverged, Lost
from tests.distributed.ranks import together

FORBIDDEN = "this system forbids processes to read each other's memory"

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
        pytest.skip(FORBIDDEN)
    rngs = [np.random.default_rng(rank) for rank in range(ranks)]
    for i, size in enumerate(sizes):
        whole = ranks * sum(rng.integers(-9, 9, size) for rng in rngs)
        for rank in range(ranks):
            np.testing.assert_array_equal(found[rank][i], whole, f"rank {rank}, {size} elements")


def updates(size: int, rank: int, ranks: int) -> tuple[np.ndarray, np.ndarray] | None:
    near = neighbours.met()
    if near is None:
        return None
    summand, parameter = np.full(size, rank + 1, np.float32), np.arange(size, dtype=np.float32)

    def use(part: slice, sum_: np.ndarray) -> None:
        parameter[part] += 100 * sum_ + rank

    near.start(summand, use=use, result=parameter).wait()
    return summand, parameter


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("size", [1, 1000, neighbours.CHUNK_BYTES * 3 // 4 + 5])
def test_each_rank_makes_its_part_of_the_result_and_all_have_it(ranks: int, size: int) -> None:
    found = together(updates, ranks, size)
    if None in found:
        pytest.skip(FORBIDDEN)
    ends = [size * rank // ranks for rank in range(ranks + 1)]
    made_by = np.repeat(np.arange(ranks), np.diff(ends))
    for rank, (summand, parameter) in enumerate(found):
        np.testing.assert_array_equal(summand, np.full(size, rank + 1, np.float32))
        np.testing.assert_array_equal(parameter, np.arange(size) + 100 * ranks * (ranks + 1) // 2 + made_by)


def not_finite(places: dict[int, tuple[str, int]], rank: int, ranks: int) -> tuple[str] | None:
    """What the rank says when some ranks have a NaN in one of two gradients."""
    near = neighbours.met()
    if near is None:
        return None
    gradients = {name: np.ones(30, np.float32) for name in ("fc6.w", "fc7.w")}
    if rank in places:
        name, at = places[rank]
        gradients[name][at] = np.nan
    try:
        for name, gradient in gradients.items():
            handle = near.start(gradient, [name])
        handle.wait()
    except (Diverged, Lost) as error:
        return (f"{type(error).__name__}: {error}",)
    return ("nothing",)


@pytest.mark.parametrize("at", [0, 15, 29], ids=["part of rank 0", "part of rank 1", "part of rank 2"])
def test_the_rank_whose_gradient_is_not_finite_names_it(at: int) -> None:
    """Whoever sums that element; the others blame nobody else."""
    said = together(not_finite, 3, {1: ("fc7.w", at)})
    if None in said:
        pytest.skip(FORBIDDEN)
    assert said[1][0] == "Diverged: its gradient of fc7.w is not finite"
    assert said[0][0].startswith("Lost: ")
    assert said[2][0].startswith("Lost: ")


def test_of_two_such_ranks_each_names_its_own() -> None:
    said = together(not_finite, 2, {0: ("fc7.w", 3), 1: ("fc6.w", 3)})
    if None in said:
        pytest.skip(FORBIDDEN)
    assert said[0][0] == "Diverged: its gradient of fc7.w is not finite"
    assert said[1][0] == "Diverged: its gradient of fc6.w is not finite"


def huge(rank: int, ranks: int) -> np.ndarray | None:
    near = neighbours.met()
    if near is None:
        return None
    gradient = np.full(10, 3e38, np.float32)
    near.start(gradient).wait()
    return gradient


def test_a_sum_that_overflows_is_nobodys_fault() -> None:
    for sum_ in together(huge, 2):
        if sum_ is None:
            pytest.skip(FORBIDDEN)
        np.testing.assert_array_equal(sum_, np.full(10, np.inf))


def on_nodes_of_their_own(rank: int, ranks: int) -> bool | None:
    if neighbours.met() is None:
        return None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GROUP_RANK", str(rank // 2))
        return neighbours.met() is None


def test_the_nodes_of_torchrun_are_machines() -> None:
    found = together(on_nodes_of_their_own, 3)
    if None in found:
        pytest.skip(FORBIDDEN)
    assert found == [True, True, True]


def where_one_is_wrong(rank: int, ranks: int) -> bool | None:
    if neighbours.met() is None:
        return None
    with pytest.MonkeyPatch.context() as patch:
        if rank == 1:
            patch.setattr(neighbours, "read", lambda pid, address, into: into.fill(0))
        return neighbours.met() is None


def test_what_one_rank_cannot_read_none_reads() -> None:
    """As in a container, where a process's number may be another's outside."""
    found = together(where_one_is_wrong, 2)
    if None in found:
        pytest.skip(FORBIDDEN)
    assert found == [True, True]


def unreadable(rank: int, ranks: int) -> tuple[str] | None:
    near = neighbours.met()
    if near is None:
        return None
    if rank == 1:
        near._pids[0] = NOBODY
    try:
        near.start(np.ones(10)).wait()
    except Lost as error:
        return (str(error),)
    raise AssertionError("a process that is not there was read")


def test_a_rank_that_is_gone_is_reported_as_lost_contact() -> None:
    found = together(unreadable, 2)[1]
    if found is None:
        pytest.skip(FORBIDDEN)
    assert found[0].startswith(f"lost contact with another rank: [Errno 3] process {NOBODY} cannot be read: ")
