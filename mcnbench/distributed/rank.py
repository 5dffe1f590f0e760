"""A rank: a worker process that trains together with others, `python -m mcnbench.distributed.rank SOCKET CORES`.

It answers the requests of `mcnbench.measure.work.Work` and those below. Requests that the ranks do together, such as
"steps", are sent to all of them at once.
"""

from __future__ import annotations

import hashlib
import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from mcnbench import training
from mcnbench.distributed import gpus
from mcnbench.distributed.failure import Diverged, Lost, from_engine
from mcnbench.distributed.progress import Progress
from mcnbench.distributed.reducer import in_order_of_memory
from mcnbench.distributed.trainer import ParallelTrainer, Place, followed
from mcnbench.measure.work import Work, timed_network
from mcnbench.measure.worker import serve

stores: Any = dist  # of which PyTorch's types do not know the stores

LARGEST_DIFFERENCE = 1e-2
"""Relative L2 of a gradient summed over ranks and one of a single process; the step's own tolerance to float64, as here
too a ReLU or a maximum may fall on the other side of a kink."""


class RankWork(Work):
    """The state of a rank."""

    _trainer: ParallelTrainer  # type: ignore[assignment]  # it has all of a Trainer that Work's methods use

    def __init__(self) -> None:
        super().__init__()
        self._place = Place(0, 1)
        self._progress: Progress
        self._store: Any = None

    def prepare(self, path: str, gpu: int | None) -> dict[str, Any]:
        """From now on it counts its progress in that file, and sees that GPU only."""
        if gpu is not None:
            gpus.take(gpu)
        self._progress = Progress(Path(path))
        return {}

    def choose(self, network_name: str, batch: int, dtype: str, seed: int, images: str | None) -> dict[str, Any]:
        """The backend's variant (memory format) that is faster on sub-batches of that size; None if it has none."""
        if not getattr(self._backend, "variants", ()):
            return {"variant": None, "tried": {}}
        tried = training.Trainer(
            timed_network(network_name), self._backend, batch, dtype=dtype, seed=seed, images=images
        )
        return {"variant": tried.variant, "tried": tried.tried}

    def open(self, address: str) -> dict[str, Any]:
        """Opens the port at which the ranks meet."""
        self._store = stores.TCPStore(address, 0, is_master=True, wait_for_workers=False)
        return {"port": self._store.port}

    def join(self, rank: int, ranks: int, address: str, port: int, device: str, seconds: float) -> dict[str, Any]:
        """Meets the others; from then on an operation that takes longer than that many seconds fails."""
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(ranks)}
        self._place = Place(rank, ranks)
        engine = "no other process"
        if ranks > 1:
            store = self._store or stores.TCPStore(address, port, timeout=timedelta(seconds=seconds))
            engine = gpus.engine(device, store, rank, ranks)
            dist.init_process_group(
                engine, store=store, rank=rank, world_size=ranks, timeout=timedelta(seconds=seconds)
            )
        return {
            "engine": engine,
            "pid": os.getpid(),
            "host": os.uname().nodename,
            "cores": sorted(os.sched_getaffinity(0)),
        }

    def share(
        self,
        network_name: str,
        batch: int,
        sub_batch: int,
        dtype: str,
        seed: int,
        images: str | None,
        variant: str | None,
    ) -> dict[str, Any]:
        """Makes the network and this rank's inputs; answers its sub-batches' images, and how sums are made."""
        self._trainer = ParallelTrainer(
            timed_network(network_name),
            self._backend,
            batch,
            sub_batch,
            self._place,
            dtype=dtype,
            seed=seed,
            images=images,
            variant=variant,
            progress=self._progress.advance,
        )
        sums = self._trainer.steps.sums
        return {
            "sub_batches": self._trainer.shared_as,
            "bucket_bytes": self._trainer.bucket_bytes,
            "sums": None if sums is None else sums.way,
        }

    def follow(self, seed: int, images: int) -> dict[str, Any]:
        """Takes the step that another rank records, so that the parameters remain the same."""
        followed(self._trainer, images, seed)
        return {}

    def compare(self, seed: int) -> dict[str, Any]:
        """Whether the sum over ranks is what one process finds: raises Diverged, on rank 0, where it is not."""
        found = self._trainer.compare(seed)
        if found is not None and not found.error <= LARGEST_DIFFERENCE:
            raise Diverged(
                f"the sum over ranks of the gradient of {found.parameter} is {found.error:.2g} (relative L2) from that "
                "of one process on all their images"
            )
        return {} if found is None else {"parameter": found.parameter, "difference": found.error}

    def digest(self) -> dict[str, Any]:
        """A hash of all parameters, which must be the same on every rank; raises Diverged if one is not finite."""
        made = hashlib.sha256()
        for name, w in sorted(self._trainer.steps.parameters().items()):
            flat = in_order_of_memory(w, writable=False).reshape(-1)
            if not np.isfinite(flat).all():
                raise Diverged(f"its parameter {name} is not finite")
            made.update(memoryview(flat))
        return {"hash": made.hexdigest()}

    def steps(self, count: int) -> dict[str, Any]:
        """Times so many steps, each for itself; all ranks begin a step together."""
        ns, parts = [], []
        for _ in range(count):
            self._meet()
            ns.append(self._timed())
            parts.append(self._trainer.steps.sub_batch_ns)
        return {"ns": ns, "sub_batch_ns": parts}

    def warm_steps(self, count: int) -> dict[str, Any]:
        """Steps until the time is stable, a number that all ranks share; see `Work.settle`."""
        self.settle()
        return {"ns": [self._timed() for _ in range(count)]}

    def alone(self, count: int) -> dict[str, Any]:
        """Times whole steps and such in which nothing is summed, in turn.

        The ranks differ afterwards, so that it is the last thing to do.
        """
        whole, alone = [], []
        for _ in range(count):
            self._meet()
            whole.append(self._timed())
            self._meet()
            began = time.perf_counter_ns()
            self._trainer.steps.step(alone=True)
            alone.append(time.perf_counter_ns() - began)
        return {"whole_ns": whole, "alone_ns": alone}

    def all_reduce(self, sizes: list[int], count: int) -> dict[str, Any]:
        """Times all-reduces of so many bytes of float32, one after the other, with nothing else going on."""
        return {"ns": [[self._summed([size]) for _ in range(count)] for size in sizes]}

    def exchange(self, count: int) -> dict[str, Any]:
        """Times the sums of all gradients of a step, as many at a time as in a step, with nothing else going on."""
        sizes = self._trainer.summed_bytes
        return {"bytes": sum(sizes), "buckets": len(sizes), "ns": [self._summed(sizes) for _ in range(count)]}

    def leave(self) -> dict[str, Any]:
        """Parts from the others in peace."""
        if dist.is_initialized():
            dist.destroy_process_group()
        return {}

    def _summed(self, sizes: list[int]) -> int:
        sums, on_gpu = self._trainer.steps.sums, dist.get_backend() == "nccl"
        assert sums is not None, "a process alone has nothing to sum"
        counts = [max(1, size // 4) for size in sizes]
        arrays = [torch.zeros(n, device="cuda") if on_gpu else np.ones(n, np.float32) for n in counts]
        self._meet()
        began = time.perf_counter_ns()
        for work in [sums.start(array) for array in arrays]:
            work.wait()
        if on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter_ns() - began

    def _meet(self) -> None:
        if self._place.ranks == 1:
            return
        try:
            dist.barrier()
        except RuntimeError as error:
            if from_engine(error):
                raise Lost(error) from error
            raise


if __name__ == "__main__":
    serve(RankWork)
