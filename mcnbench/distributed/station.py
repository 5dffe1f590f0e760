"""Ranks on several machines: each process that torchrun starts is a station, which keeps one rank for the conductor.

    torchrun --nnodes 2 --node-rank 0 --nproc-per-node 4 --master-addr HOST --master-port PORT -m mcnbench run multi-gpu

Station 0 conducts and writes the run file. The others do what they are told through torchrun's store: start a rank,
hand it a request, hand back its answer, end it. Requests and answers are numbered; while a rank works its station keeps
telling its condition, so that one that hangs can be told from those that wait for it.
"""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import timedelta
from typing import Any

import torch.distributed as dist

from mcnbench.distributed.team import Condition, Local
from mcnbench.distributed.torchrun import Stations, joined
from mcnbench.measure.process import WorkerFailed

FOREVER = timedelta(days=30)

EVERY = 0.5
"""Seconds between two reports of a rank's condition."""


def meet() -> Any:
    """torchrun's store, which all stations reach."""
    store, _, _ = next(iter(dist.rendezvous("env://")))  # type: ignore[attr-defined]  # torch's types leave it out
    return store


def serve() -> None:
    """Keeps a rank for the conductor until it says that it needs none any more."""
    place, store = joined(), meet()
    assert place is not None
    answers, rank = store.clone(), None
    with ThreadPoolExecutor(1) as reporter:
        for number in range(1 << 62):
            key = f"do/{place.rank}/{number}"
            store.wait([key], FOREVER)
            request = json.loads(store.get(key))
            store.delete_key(key)
            what = request.pop("do")
            if what == "part":
                break
            if what == "start":
                rank = Local.of(place.local_rank, place.local_ranks, **request)
            elif what == "end" and rank is not None:
                rank.end()  # whereupon the reporter, if it waits for the rank, reports that
            elif rank is not None:
                reporter.submit(_report, answers, place.rank, number, rank, what, request)
    if rank is not None:
        rank.end()
    store.set(f"parted/{place.rank}", "yes")


def _report(store: Any, place: int, number: int, rank: Local, what: str, request: dict[str, Any]) -> None:
    limit = request.pop("limit")
    with ThreadPoolExecutor(1) as asking:
        answer = asking.submit(_ask, rank, what, request, limit)
        while wait([answer], EVERY).not_done:
            store.set(f"condition/{place}", json.dumps(rank.condition()))
    error = answer.exception()
    said = {"failed": str(error)} if error is not None else {"answer": answer.result()}
    store.set(f"answer/{place}/{number}", json.dumps(said))


def _ask(rank: Local, what: str, request: dict[str, Any], limit: float) -> dict[str, Any]:
    rank.send(what, **request)
    return rank.receive(limit)


class Post:
    """What the conductor tells the stations, numbered for each."""

    def __init__(self, store: Any, place: Stations) -> None:
        self.store, self._own, self._place = store, store.clone(), place
        self._numbers = dict.fromkeys(range(1, place.ranks), 0)
        self._lock = threading.Lock()

    def tell(self, station: int, request: dict[str, Any]) -> int:
        """Returns the request's number."""
        with self._lock:
            number = self._numbers[station]
            self._numbers[station] += 1
            self._own.set(f"do/{station}/{number}", json.dumps(request))
        return number

    def part(self) -> None:
        """The stations may go; waits a moment for them."""
        for station in self._numbers:
            self.tell(station, {"do": "part"})
        with suppress(RuntimeError):  # torch's store has no narrower one
            self.store.wait([f"parted/{station}" for station in self._numbers], timedelta(seconds=10))


class Remote:
    """The rank of another station, as the conductor sees it."""

    def __init__(self, post: Post, station: int, threads: int, device: str, inherit: bool) -> None:
        self._post, self._station, self._ended = post, station, False
        self._store, self._aside = post.store.clone(), post.store.clone()
        self._store.set(f"condition/{station}", json.dumps(Condition("?", -1)))
        post.tell(station, {"do": "start", "threads": threads, "device": device, "inherit": inherit})

    def send(self, what: str, **fields: Any) -> None:
        """The station waits for its rank as long as it takes; the conductor ends it."""
        self._number = self._post.tell(self._station, {"do": what, **fields, "limit": FOREVER.total_seconds()})

    def receive(self, limit: float) -> dict[str, Any]:
        key = f"answer/{self._station}/{self._number}"
        try:
            self._store.wait([key], timedelta(seconds=limit))
        except RuntimeError as error:  # torch's store has no narrower one
            raise WorkerFailed(f"gave no answer within {limit:.0f} s") from error
        said = json.loads(self._store.get(key))
        self._store.delete_key(key)
        if "failed" in said:
            raise WorkerFailed(said["failed"])
        answer: dict[str, Any] = said["answer"]
        return answer

    def condition(self) -> Condition:
        return Condition(*json.loads(self._aside.get(f"condition/{self._station}")))

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self._post.tell(self._station, {"do": "end"})
