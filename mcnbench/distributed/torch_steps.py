"""Data-parallel training steps as a user of PyTorch takes them: DistributedDataParallel around autograd.

DistributedDataParallel sums in buckets of its own while the backward pass goes on, and divides by the number of ranks;
a rank's loss is multiplied by it, so that the sum is that of the whole batch whatever the shares. Sub-batches before
the last are under `no_sync`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from mcnbench.arrays import Array
from mcnbench.backends.torch.training import TorchSteps
from mcnbench.distributed.failure import Diverged, Lost, from_engine
from mcnbench.distributed.reducer import Sums
from mcnbench.executor import See
from mcnbench.network import Network

Tensor = torch.Tensor


class Trained(torch.nn.Module):
    """A network's parameters and its loss, as DistributedDataParallel wants them."""

    def __init__(self, steps: TorchSteps) -> None:
        super().__init__()
        self._part = steps
        self.held = torch.nn.ParameterList(steps.parameters.values())

    def forward(self, piece: Mapping[str, Tensor], total: int) -> Tensor:
        """The sum of the losses over `total`; <dy, y> for a network that does not end in a loss."""
        y = self._part.output(piece)
        dy = piece.get(f"{self._part.network.layers[-1].name}/d")
        return y / total if dy is None else (y * dy).sum()


class ParallelTorchSteps:
    """One rank's part of the steps; see `block_steps.ParallelBlockSteps` for what its methods are."""

    def __init__(
        self,
        network: Network,
        parameters: dict[str, Array],
        pieces: Sequence[Mapping[str, Array]],
        total: int,
        *,
        variant: str | None = None,
        device: str = "cpu",
        alone: bool = False,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._own = TorchSteps(network, parameters, dict(pieces[0]), variant, device)
        self._pieces = [self._own.given(piece) for piece in pieces]
        self._total, self._progress, self._device = total, progress, device
        self._module = Trained(self._own)
        self._several: Any = None
        self.sums = None if alone else Sums()
        if not alone:
            self._several = torch.nn.parallel.DistributedDataParallel(self._module, gradient_as_bucket_view=True)
        for p in self._module.held:
            p.register_post_accumulate_grad_hook(lambda _: progress())
        self.sub_batch_ns: list[int] = []

    @property
    def runs(self) -> Sequence[tuple[str, ...]]:
        return self._own.runs

    def step(self, alone: bool = False) -> None:
        """One whole step; with `alone` as if there were no other rank, which makes the ranks differ."""
        self._backward(self._pieces, self._total, alone)
        self._own.optimizer.step()
        self._synchronize()
        self._progress()

    def gradients(self, pieces: Sequence[Mapping[str, Array]], total: int, alone: bool = False) -> dict[str, Array]:
        """The gradients of all ranks' images, of which these are this rank's; nothing is updated."""
        self._backward([self._own.given(piece) for piece in pieces], total, alone)
        found = {}
        for name, p in self._own.parameters.items():
            assert p.grad is not None
            found[name] = p.grad.detach().cpu().numpy().copy()
            if not np.isfinite(found[name]).all():
                raise Diverged(f"its gradient of {name} is not finite")
        return found

    def parameters(self) -> dict[str, Array]:
        """As they are now."""
        return {name: p.detach().cpu().numpy() for name, p in self._own.parameters.items()}

    def observed(self, inputs: Mapping[str, Array], see: See) -> None:
        """As `training.Steps.observed`, alone: ranks that are given the same remain the same."""
        self._own.observed(inputs, see)

    def _backward(self, pieces: Sequence[Mapping[str, Tensor]], total: int, alone: bool) -> None:
        together = self._several is not None and not alone
        ranks = dist.get_world_size() if together else 1
        self._own.optimizer.zero_grad()
        self.sub_batch_ns = []
        for i, piece in enumerate(pieces):
            began = time.perf_counter_ns()
            self._progress()
            last = i == len(pieces) - 1
            apart = self._several.no_sync() if together and not last else nullcontext()
            try:
                with apart:
                    loss = (self._several if together else self._module)(piece, total)
                    _refuse_not_finite(loss)
                    torch.autograd.backward(loss * ranks)
            except RuntimeError as error:
                if from_engine(error):
                    raise Lost(error) from error
                raise
            self._synchronize()
            self.sub_batch_ns.append(time.perf_counter_ns() - began)

    def _synchronize(self) -> None:
        if self._device != "cpu":
            torch.cuda.synchronize()


def _refuse_not_finite(loss: Tensor) -> None:
    if not torch.isfinite(loss):
        raise Diverged("its loss is not finite")
