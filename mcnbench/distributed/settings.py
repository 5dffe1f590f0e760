"""What an experiment of kind "multi-gpu" is asked to do: the keys of its file, changed by the command line."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mcnbench import experiment, machine, network
from mcnbench.distributed.torchrun import Stations
from mcnbench.errors import BadInput
from mcnbench.measure.judging import Check
from mcnbench.measure.settings import Seconds, named_once, some_threads, some_time


class Settings(BaseModel):
    """The keys of the experiment's file."""

    model_config = ConfigDict(extra="forbid")

    name: str
    title: str = ""
    networks: list[str] = Field(min_length=1)
    backends: list[str] = Field(min_length=1)
    workers: list[Annotated[int, Field(ge=1)]] = Field(min_length=1)
    """How many processes or devices share the batch, each number a case."""
    batches: dict[str, Annotated[int, Field(ge=1)]] = {}
    """Images per step of all workers together, by network; else the published batch of the network's file."""
    batch: Annotated[int, Field(ge=1)] | None = None
    """The same for all networks."""
    sub_batches: dict[str, Annotated[int, Field(ge=1)]] = {}
    """The most images that a worker holds at a time, by network; else its whole share of the batch."""
    sub_batch: Annotated[int, Field(ge=1)] | None = None
    """The same for all networks."""
    dtype: Literal["float32", "float64"] = "float32"
    device: Literal["cpu", "cuda"] = "cpu"
    budget: Seconds
    time_limit: Seconds
    seed: int = 0
    threads: int
    """Of each worker."""
    images: str | None = None
    inherit_env: bool = False
    check: Check = Check()
    precision: float = Field(default=0.01, gt=0)

    def batch_of(self, net: network.Network) -> int:
        """Images per step of a network."""
        return self.batch or self.batches.get(net.name, net.batch)

    def sub_batch_of(self, net: network.Network) -> int:
        """The most images of a network that a worker holds at a time."""
        return self.sub_batch or self.sub_batches.get(net.name, self.batch_of(net))


class Changes(BaseModel):
    """What `--device cuda` and `--quick` may change."""

    model_config = ConfigDict(extra="forbid")

    networks: list[str] | None = None
    backends: list[str] | None = None
    workers: list[int] | None = None
    batches: dict[str, int] | None = None
    sub_batches: dict[str, int] | None = None
    budget: str | float | None = None


def read(name: str, content: dict[str, Any], given: dict[str, Any], quick: bool, place: Stations | None) -> Settings:
    """The file's keys, changed by `--quick` and then by the options given; what cannot be measured is refused. Where
    torchrun started us, the numbers of workers are 1 and all, unless they are given.

    Threads not given are shared fairly: each of the most workers gets as many, and fewer workers get no more, so that
    all of them have the same.
    """
    where = f"experiment '{name}'"
    content = {key: value for key, value in content.items() if key != "kind"}
    asked = {"cuda": given.get("device", content.get("device")) == "cuda", "quick": quick}
    for table, wanted in asked.items():
        changes = experiment.check(Changes, content.pop(table, {}), f"{where}, table '{table}'")
        if wanted:
            content |= changes.model_dump(exclude_none=True)
    if isinstance(given.get("workers"), str):
        given = given | {"workers": numbers(given["workers"])}
    if place is not None:
        content["workers"] = sorted({1, place.ranks})
    content |= given | {"name": name}
    most = max([n for n in content.get("workers", []) if isinstance(n, int)], default=1)
    here = most if place is None else place.local_ranks
    content.setdefault("threads", max(1, machine.cores_allowed() // max(1, here)))
    settings = experiment.check(Settings, content, where)
    some_threads(settings.threads)
    named_once({"networks": settings.networks, "backends": settings.backends, "workers": settings.workers})
    some_time(settings.budget)
    settings.workers.sort()
    if place is not None and settings.workers[-1] > place.ranks:
        raise BadInput(f"wanted at most {place.ranks} workers, as torchrun started so many, got {settings.workers[-1]}")
    return settings


def numbers(text: str) -> list[int]:
    """The numbers of a text such as "1,2,4"; raises BadInput."""
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise BadInput(f"wanted numbers of workers such as 1,2,4, got '{text}'")
    return found
