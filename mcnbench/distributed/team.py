"""The ranks that share a batch, as the harness sees them: asked together, and ended together when one fails.

When a rank ends, hangs or diverges, the others are left waiting for it or lose contact. Which one is to blame: the one
that ended or reported an error of its own; else the one that is stopped; else the one that has come least far. It is
named in one sentence, and all ranks are ended, so that nothing of them remains.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from mcnbench.distributed import pinning
from mcnbench.distributed.failure import LOST
from mcnbench.distributed.progress import Watched
from mcnbench.measure import environment
from mcnbench.measure.process import Worker

GRACE = 3.0
"""Seconds that the others have to report what they know, once one has reported a failure."""

LATE = 60.0
"""Seconds beyond the limit that a thread goes on waiting, by which time the rank was ended."""

MODULE = "mcnbench.distributed.rank"

STOPPED = "T"


class RankFailed(Exception):
    """The ranks cannot go on; the sentence names the one to blame."""


class Condition(NamedTuple):
    """The state of a rank's process, as in /proc ("T" when stopped), and how far it has come."""

    state: str
    progress: int


class Member(Protocol):
    """A rank's process, here or on another machine."""

    def send(self, what: str, **fields: Any) -> None: ...

    def receive(self, limit: float) -> dict[str, Any]: ...

    def condition(self) -> Condition: ...

    def end(self) -> None: ...


class Local:
    """A rank on this machine, on these cores; on a GPU machine it uses the GPU of that number, counted round."""

    def __init__(self, variables: Mapping[str, str], cores: list[int], gpu: int | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mcnbench-rank-")
        self._counter = Path(self._folder.name, "progress")
        self._watched: Watched | None = None
        self._worker = Worker(variables, cores, module=MODULE)
        self._worker.send("prepare", path=str(self._counter), gpu=gpu)

    @classmethod
    def of(cls, rank: int, ranks: int, threads: int, device: str, inherit: bool) -> Self:
        """One of so many ranks of this machine, on cores of its own while there are enough."""
        cores = pinning.cores(rank, ranks, threads, pinning.allowed())
        variables = environment.clean(os.environ, threads, inherit).variables
        return cls(variables, cores, rank if device == "cuda" else None)

    @property
    def pid(self) -> int:
        return self._worker.pid

    def send(self, what: str, **fields: Any) -> None:
        if self._watched is None:
            self._worker.receive(LATE)
            self._watched = Watched(self._counter)
            self._folder.cleanup()  # already now, as this process may be killed
        self._worker.send(what, **fields)

    def receive(self, limit: float) -> dict[str, Any]:
        return self._worker.receive(limit)

    def condition(self) -> Condition:
        return Condition(_state(self._worker.pid), -1 if self._watched is None else self._watched.count())

    def end(self) -> None:
        self._worker.__exit__(None, None, None)
        self._folder.cleanup()


class Team:
    """So many ranks; leaving the context ends those that are left."""

    def __init__(self, start: Callable[[int], Member], ranks: int) -> None:
        self.ranks = ranks
        self.members: list[Member] = []
        self._threads = ThreadPoolExecutor(ranks, thread_name_prefix="rank")
        try:
            for rank in range(ranks):
                self.members.append(start(rank))
        except BaseException:
            self.end()
            raise

    def ask(
        self, what: str, limit: float, each: Sequence[Mapping[str, Any]] | None = None, **fields: Any
    ) -> list[dict[str, Any]]:
        """All ranks' answers, by rank; `each` adds fields of its own for each rank.

        Raises RankFailed when one fails or gives no answer in `limit` seconds; then all are ended.
        """
        return self.ask_each([(what, {**fields, **(each[rank] if each else {})}) for rank in range(self.ranks)], limit)

    def ask_each(self, requests: Sequence[tuple[str, Mapping[str, Any]]], limit: float) -> list[dict[str, Any]]:
        """As `ask`, with a request for each of the first ranks."""
        answers = [
            self._threads.submit(_ask, member, what, fields, limit + LATE)
            for member, (what, fields) in zip(self.members, requests, strict=False)
        ]
        _, open_ = wait(answers, limit, FIRST_EXCEPTION)
        failed = any(answer.done() and answer.exception() for answer in answers)
        if not failed and not open_:
            return [answer.result() for answer in answers]
        if failed:
            wait(answers, GRACE)
        what = requests[0][0]
        try:
            sentence = self._blame(answers, f"gave no answer to '{what}' within {limit:.0f} s", failed)
        finally:
            self.end()
        raise RankFailed(sentence)

    def agree(self, what: str, limit: float) -> None:
        """Asks for a hash; raises RankFailed naming the ranks whose hash is another than most ranks'."""
        hashes = [answer["hash"] for answer in self.ask(what, limit)]
        if len(set(hashes)) == 1:
            return
        usual = max(hashes, key=lambda h: (hashes.count(h), h == hashes[0]))
        odd = [rank for rank, h in enumerate(hashes) if h != usual]
        self.end()
        raise RankFailed(
            f"{_named(odd, self.ranks)} diverged: its parameters are not those of the other ranks after the same steps"
        )

    def end(self) -> None:
        """Ends all ranks, those that hang or are stopped too."""
        for member in self.members:
            member.end()
        self.members = []
        self._threads.shutdown(wait=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def _blame(self, answers: Sequence[Future[dict[str, Any]]], silence: str, failed: bool) -> str:
        said = {rank: str(a.exception()) for rank, a in enumerate(answers) if a.done() and a.exception()}
        own = {rank: text for rank, text in said.items() if LOST not in text}
        if own:
            rank = min(own, key=lambda r: (not _ended(own[r]), r))
            return f"{_named([rank], self.ranks)} {_worded(own[rank])}"
        silent = [rank for rank, answer in enumerate(answers) if not answer.done()]
        if not silent:
            rank, text = next(iter(said.items()))
            return f"{_named([rank], self.ranks)} {_worded(text)}"
        conditions = {rank: self.members[rank].condition() for rank in silent}
        stopped = [rank for rank, condition in conditions.items() if condition.state == STOPPED]
        if stopped:
            return f"{_named(stopped, self.ranks)} {silence}: stopped from outside (SIGSTOP)"
        least = min(condition.progress for condition in conditions.values())
        behind = [rank for rank, condition in conditions.items() if condition.progress == least]
        why = "the others wait for it" if len(behind) == 1 and self.ranks > 1 else "none is behind another"
        return f"{_named(behind, self.ranks)} {silence}" + (f": {why}" if self.ranks > 1 else "")


def _ask(member: Member, what: str, fields: Mapping[str, Any], limit: float) -> dict[str, Any]:
    member.send(what, **fields)
    return member.receive(limit)


def _ended(text: str) -> bool:
    return text.startswith(("was killed", "crashed", "ended with"))


def _worded(text: str) -> str:
    """The worker's report as it follows "rank 1 of 4"."""
    kind, colon, rest = text.partition(": ")
    if kind == "Diverged":
        return f"diverged: {rest}"
    if kind == "Lost":
        return rest
    return f"failed: {text}" if colon and kind.isidentifier() else text


def _named(ranks: Sequence[int], of: int) -> str:
    if of == 1:
        return "the only rank"
    listed = " and ".join(map(str, ranks))
    return f"rank{'s' * (len(ranks) > 1)} {listed} of {of}"


def _state(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "gone"
    return stat.rpartition(")")[2].split()[0]
