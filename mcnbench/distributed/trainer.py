"""One rank's part of the training of a network: what `training.Trainer` is to a process alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from mcnbench import executor, training
from mcnbench.arrays import Array
from mcnbench.backends import Backend
from mcnbench.distributed import reducer
from mcnbench.distributed.reducer import Sums
from mcnbench.distributed.shares import cut, shares, sub_batches
from mcnbench.executor import See
from mcnbench.network import Network

DDP_BUCKET_BYTES = 25 << 20  # PyTorch's default


class ParallelSteps(Protocol):
    """A way of taking data-parallel steps; see `block_steps.ParallelBlockSteps`."""

    sub_batch_ns: list[int]
    sums: Sums | None
    """None of a process alone."""

    @property
    def runs(self) -> Sequence[tuple[str, ...]]: ...

    def step(self, alone: bool = False) -> None: ...

    def gradients(self, pieces: Sequence[Mapping[str, Array]], total: int, alone: bool = False) -> dict[str, Array]: ...

    def parameters(self) -> dict[str, Array]: ...

    def observed(self, inputs: Mapping[str, Array], see: See) -> None: ...


class Place(NamedTuple):
    """Which of how many ranks."""

    rank: int
    ranks: int


class Compared(NamedTuple):
    """The parameter whose summed gradient is furthest from that of one process, in relative L2."""

    parameter: str
    error: float


class ParallelTrainer:
    """Takes a rank's part of training steps. Raises BadInput for what `training.Trainer` and `shares` refuse.

    `images` and `flops` are of the whole batch; gradients of fewer than `bucket_bytes` are summed several at a time,
    so that a step has sums of `summed_bytes`.
    """

    def __init__(
        self,
        network: Network,
        backend: Backend,
        batch: int,
        sub_batch: int,
        place: Place,
        *,
        dtype: str = "float32",
        seed: int = 0,
        images: str | None = None,
        variant: str | None = None,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        training.refuse_without_loss(network)
        self.network, self.backend, self.dtype, self.variant = network, backend, dtype, variant
        self.images, self.flops, self.place = batch, network.flops(batch), place
        self.tried: dict[str, float] = {}
        self._seed, self._folder, self._sub_batch = seed, images, sub_batch
        pieces = self._pieces(training.draw_inputs(network, batch, seed, dtype, images))
        self.shared_as = [len(piece["images"]) for piece in pieces]
        parameters = training.initial_parameters(network, seed, dtype)
        alone = place.ranks == 1
        itemsize = np.dtype(dtype).itemsize
        gradients = [itemsize * math.prod(shape) for shape in reversed(list(network.parameters.values()))]
        self.steps: ParallelSteps
        if hasattr(backend.implementation, "training_step") and backend.name.startswith("torch"):
            from mcnbench.distributed.torch_steps import ParallelTorchSteps

            self.bucket_bytes = DDP_BUCKET_BYTES
            device = "cuda" if backend.name.startswith("torch-cuda") else "cpu"
            self.steps = ParallelTorchSteps(
                network, parameters, pieces, batch, variant=variant, device=device, alone=alone, progress=progress
            )
            cut = False
        else:
            from mcnbench.distributed.block_steps import ParallelBlockSteps

            self.bucket_bytes = reducer.BUCKET_BYTES
            self.steps = ParallelBlockSteps(network, backend, parameters, pieces, batch, alone=alone, progress=progress)
            cut = self.steps.sums is not None and self.steps.sums.neighbours is None
        self.summed_bytes = reducer.summed_bytes(gradients, self.bucket_bytes, cut)

    @property
    def runs(self) -> Sequence[tuple[str, ...]]:
        """The layers' names, those that the backend computes as one block together."""
        return self.steps.runs

    def step(self) -> None:
        """One whole step of stochastic gradient descent on the same images; all is done on return."""
        self.steps.step()

    def observed(self, batch: int, seed: int, see: See) -> None:
        """As `training.Trainer.observed`, without the others: ranks that do the same remain the same."""
        inputs = training.draw_inputs(self.network, batch, seed, self.dtype, self._folder)
        for name, array in inputs.items():
            see(name, array)
        self.steps.observed(inputs, see)

    def compare(self, seed: int) -> Compared | None:
        """Holds the ranks' gradients of a few fresh images, in shares and sub-batches, to those that rank 0 finds
        alone; None on other ranks. Where there is batch normalisation, rank 0 takes the same sub-batches."""
        few = 2 * self.place.ranks + 1
        inputs = training.draw_inputs(self.network, few, seed, self.dtype, self._folder)
        summed = self.steps.gradients(self._pieces(inputs, 2), few)
        if self.place.rank > 0:
            return None
        whole = [dict(inputs)]
        if any(layer.block == "batch_norm" for layer in self.network.layers):
            whole = [piece for rank in range(self.place.ranks) for piece in self._pieces(inputs, 2, rank)]
        return _furthest(summed, self.steps.gradients(whole, few, alone=True))

    def _pieces(
        self, inputs: Mapping[str, Array], sub_batch: int | None = None, rank: int | None = None
    ) -> list[dict[str, Array]]:
        mine = shares(len(inputs["images"]), self.place.ranks)[self.place.rank if rank is None else rank]
        return [cut(inputs, part) for part in sub_batches(mine, sub_batch or self._sub_batch)]


def _furthest(ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> Compared:
    errors: dict[str, Any] = {}
    for name, wanted in theirs.items():
        size = float(np.linalg.norm(wanted.ravel()))
        off = float(np.linalg.norm((ours[name] - wanted).ravel()))
        errors[name] = off / size if size else off
    worst = max(errors, key=lambda name: (np.isnan(errors[name]), errors[name]))
    return Compared(worst, errors[worst])


def followed(trainer: ParallelTrainer, batch: int, seed: int) -> None:
    """What the other ranks do while rank 0 is observed."""
    trainer.observed(batch, seed, executor.nothing)
