"""A gate experiment as data: the workloads that `mcnbench compare --against` measures, steps of 1 to 20 ms best."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

import mcnbench
from mcnbench import case, experiment, network
from mcnbench.compare.interleave import Workload
from mcnbench.errors import BadInput, NothingDone


class Gate(BaseModel):
    """The keys of a file of kind "gate"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    title: str = ""
    backend: str = "numpy"
    threads: int = Field(default=1, ge=1)
    seed: int = Field(default=0, ge=0)
    batch: int = Field(default=1, ge=1)
    """Of the networks."""
    networks: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    """Lines such as `mcnbench check --case` reads; each is timed forward and backward."""


def workloads(name: str, backend: str | None) -> tuple[list[Workload], list[str]]:
    """The workloads of that experiment that the backend can run, and the names of those that it cannot; raises BadInput
    for a file that does not fit, and NothingDone for a backend that can run none of them."""
    where, content = experiment.load(name)
    if content["kind"] != "gate":
        raise BadInput(f"experiment '{where}' is of kind '{content['kind']}'; --against wants one of kind 'gate'")
    read = experiment.check(Gate, content, f"experiment '{where}'")
    chosen = backend or read.backend
    has = set(mcnbench.backend(chosen).blocks())
    unmeasured = [name for name in read.networks if not {layer.block for layer in network.load(name).layers} <= has]
    unmeasured += [line for line in read.cases if case.parse(line).block not in has]

    def workload(network: str = "", case: str = "") -> Workload:
        return Workload(chosen, network, case, read.batch, read.threads, read.seed)

    found = [workload(network=name) for name in read.networks if name not in unmeasured]
    found += [workload(case=line) for line in read.cases if line not in unmeasured]
    if not found:
        raise NothingDone(f"backend '{chosen}' has the blocks of none of the cases of experiment '{where}'")
    return found, unmeasured
