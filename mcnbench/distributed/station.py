"""Ranks on several machines: each process that torchrun starts is a station, which keeps ranks for the conductor.

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
    """Keeps ranks for the conductor, one for each team that it has, until it says that it needs none any more."""
    place, store = joined(), meet()
    assert place is not None
    answers: Any = store.clone()
    ranks: dict[int, Local] = {}
    with ThreadPoolExecutor(16) as reporters:
        for number in range(1 << 62):
            key = f"do/{place.rank}/{number}"
            store.wait([key], FOREVER)
            request = json.loads(store.get(key))
            store.delete_key(key)
            what = request.pop("do")
            if what == "part":
                break
            if what == "start":
                ranks[number] = Local.of(place.local_rank, place.local_ranks, **request)
                continue
            rank = ranks[request.pop("of")]
            if what == "end":
                rank.end()  # whereupon a reporter that waits for it reports that
            else:
                reporters.submit(_report, answers, f"{place.rank}/{number}", rank, what, request)
        for rank in ranks.values():
            rank.end()
    store.set(f"parted/{place.rank}", "yes")


def _report(store: Any, name: str, rank: Local, what: str, request: dict[str, Any]) -> None:
    """Hands over the answer to the request of that name, and until then the rank's condition."""
    with ThreadPoolExecutor(1) as asking:
        answer = asking.submit(_ask, rank, what, request)
        while wait([answer], EVERY).not_done:
            store.set(f"condition/{name}", json.dumps(rank.condition()))
    error = answer.exception()
    said = {"failed": str(error)} if error is not None else {"answer": answer.result()}
    store.set(f"answer/{name}", json.dumps(said))


def _ask(rank: Local, what: str, request: dict[str, Any]) -> dict[str, Any]:
    """It waits as long as it takes; the conductor ends the rank."""
    rank.send(what, **request)
    return rank.receive(FOREVER.total_seconds())


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
    """A rank of another station, as the conductor sees it."""

    def __init__(self, post: Post, station: int, threads: int, device: str, inherit: bool) -> None:
        self._post, self._station, self._ended = post, station, False
        self._store, self._aside = post.store.clone(), post.store.clone()
        about = {"threads": threads, "device": device, "inherit": inherit}
        self._started = post.tell(station, {"do": "start", **about})
        self._name = ""

    def send(self, what: str, **fields: Any) -> None:
        number = self._post.tell(self._station, {"do": what, "of": self._started, **fields})
        self._name = f"{self._station}/{number}"

    def receive(self, limit: float) -> dict[str, Any]:
        key = f"answer/{self._name}"
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
        key = f"condition/{self._name}"
        return Condition(*json.loads(self._aside.get(key))) if self._aside.check([key]) else Condition("?", -1)

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self._post.tell(self._station, {"do": "end", "of": self._started})
