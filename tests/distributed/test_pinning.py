"""Cores of their own while there are enough, threads in equal parts, and what is said where there are not."""

from __future__ import annotations

import pytest

from mcnbench.distributed import pinning
from mcnbench.distributed.settings import numbers, read
from mcnbench.errors import BadInput

CONTENT = {"networks": ["alexnet"], "backends": ["numpy"], "sub_batch": 4, "budget": "10s", "time_limit": "9s"}


@pytest.mark.parametrize(("workers", "threads", "count"), [(1, 1, 4), (2, 2, 4), (3, 1, 4), (4, 2, 9)])
def test_cores_are_disjoint(workers: int, threads: int, count: int) -> None:
    allowed = list(range(10, 10 + count))
    lists = [pinning.cores(rank, workers, threads, allowed) for rank in range(workers)]
    assert all(len(cores) == threads for cores in lists)
    assert len({core for cores in lists for core in cores}) == workers * threads
    assert pinning.shared({"here": lists}) is None


def test_more_workers_than_cores_share_them_evenly_and_it_is_said() -> None:
    lists = [pinning.cores(rank, 4, 1, [0, 1]) for rank in range(4)]
    assert lists == [[0], [1], [0], [1]]
    assert pinning.shared({"here": lists}) == "4 workers on 2 cores: this measures correctness, not scaling"
    two_hosts = {"a": [[0], [1]], "b": [[0], [0]]}
    assert pinning.shared(two_hosts) == "2 workers on 1 core of b: this measures correctness, not scaling"


@pytest.mark.parametrize(("workers", "threads"), [("1,2,4", 2), ("3", 2), ("8", 1), ("16", 1), ("1", 8)])
def test_threads_are_divided_fairly(workers: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcnbench.machine.cores_allowed", lambda: 8)
    assert read("x", CONTENT, {"workers": workers}, False, None).threads == threads


@pytest.mark.parametrize("text", ["", "two", "1,", "0", "-1,2", "1;2"])
def test_what_is_no_list_of_numbers_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="wanted numbers of workers such as 1,2,4"):
        numbers(text)
