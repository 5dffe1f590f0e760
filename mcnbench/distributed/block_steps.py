"""Data-parallel training steps over a backend's blocks: NumPy's, CuPy's, or a user's.

Each sub-batch is one sweep (executor.py), whose gradients are added up; the last one's, as soon as it has them all, go
to the reducer. The parameters are updated bucket by bucket as their sums arrive. Ranks that read each other's memory
divide the update of large ones, which no rank then does twice: each updates its part, and reads the others' parts
(Rajbhandari et al. 2020, ZeRO, stage 1).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mcnbench import executor
from mcnbench.arrays import Array
from mcnbench.backends import Backend
from mcnbench.distributed import neighbours
from mcnbench.distributed.failure import Diverged
from mcnbench.distributed.reducer import BUCKET_BYTES, Divided, Reducer, Sums, in_order_of
from mcnbench.executor import See
from mcnbench.network import Network
from mcnbench.training import BlockSteps


class ParallelBlockSteps:
    """One rank's part of the steps.

    `pieces` are the inputs of its sub-batches, `total` the images of the whole batch. A network that does not end in a
    loss is trained on <dy, y>, with dy the input "<last layer>/d". `progress` is called where the rank gets on.
    """

    def __init__(
        self,
        network: Network,
        backend: Backend,
        parameters: dict[str, Array],
        pieces: Sequence[Mapping[str, Array]],
        total: int,
        *,
        alone: bool = False,
        bucket_bytes: int = BUCKET_BYTES,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._own = BlockSteps(network, backend, parameters, dict(pieces[0]))
        self._bucket_bytes, self._progress = bucket_bytes, progress
        on_gpu = any(hasattr(w, "__cuda_array_interface__") for w in self._own.parameters.values())
        self.sums = None if alone else Sums(None if on_gpu else neighbours.met())
        self._total = total
        self._divided: dict[str, Divided] = {}  # what the ranks have divided, so that each knows its part of v only
        self._pieces = [self._own.inputs, *map(self._own.given, pieces[1:])]
        self.sub_batch_ns: list[int] = []
        """Of each sub-batch of the last step; the last one's includes handing over the buckets."""

    @property
    def runs(self) -> Sequence[tuple[str, ...]]:
        return self._own.runs

    def step(self, alone: bool = False) -> None:
        """One whole step; with `alone` without anything from other ranks, which makes the ranks differ."""
        sums = self.sums and replace(self.sums, apart=alone)
        for name, gradient in self._summed(self._pieces, self._total, sums, self._divide):
            self._own.update(name, gradient)
        self._own.backend.synchronize()
        self._progress()

    def gradients(self, pieces: Sequence[Mapping[str, Array]], total: int, alone: bool = False) -> dict[str, Array]:
        """The gradients of all ranks' images, of which these are this rank's; nothing is updated."""
        given, sums = [self._own.given(piece) for piece in pieces], None if alone else self.sums
        return {
            name: self._own.backend.to_numpy(gradient).copy() for name, gradient in self._summed(given, total, sums)
        }

    def parameters(self) -> dict[str, Array]:
        """As they are now."""
        return {name: self._own.backend.to_numpy(w) for name, w in self._own.parameters.items()}

    def observed(self, inputs: Mapping[str, Array], see: See) -> None:
        """As `training.Steps.observed`, alone: ranks that are given the same remain the same."""
        for divided in self._divided.values():
            assert self.sums, "only ranks with others divide anything"
            assert self.sums.neighbours
            self.sums.neighbours.complete(divided.v)
        self._own.observed(inputs, see)

    def _divide(self, name: str, gradient: Any) -> Divided | None:
        """How the ranks divide the update of that parameter, if it can be done in place in the gradient's order."""
        sgd = self._own.sgd(name)
        if not (sgd and self.sums and self.sums.near(gradient)):
            return None
        w = in_order_of(self._own.parameters[name], gradient)
        v = in_order_of(self._own.velocities[name], gradient)
        if w is None or v is None:
            return None
        self._divided[name] = Divided(w, v, sgd)
        return self._divided[name]

    def _summed(
        self,
        pieces: Sequence[Mapping[str, Any]],
        total: int,
        sums: Sums | None,
        divide: Callable[[str, Any], Divided | None] = lambda name, gradient: None,
    ) -> Iterator[tuple[str, Any]]:
        own, reducer = self._own, Reducer(sums, self._bucket_bytes, self._progress, divide)
        end = own.network.layers[-1].name
        held: dict[str, Any] = {}
        self.sub_batch_ns = []

        def keep(name: str, gradient: Any) -> None:
            held[name] = _added(held[name], gradient) if name in held else gradient

        def hand_over(name: str, gradient: Any) -> None:
            whole = _added(held.pop(name), gradient) if name in held else gradient
            reducer.add(name, self._summable(whole))

        for i, piece in enumerate(pieces):
            began = time.perf_counter_ns()
            self._progress()
            start = piece.get(f"{end}/d")
            if start is None:
                start = own.backend.from_numpy(np.asarray(1 / total, own.dtype))
            last = i == len(pieces) - 1
            y = executor.sweep(own.network, own.units, {**piece, **own.parameters}, start, hand_over if last else keep)
            _refuse_not_finite(own.backend.to_numpy(y))
            self.sub_batch_ns.append(time.perf_counter_ns() - began)
        for name, gradient in reducer.finish():
            yield name, self._taken(gradient)

    def _summable(self, gradient: Any) -> Any:
        """As NumPy or CuPy have it: itself, or what the backend makes of other arrays."""
        return gradient if _sums_in_place(gradient) else self._own.backend.to_numpy(gradient)

    def _taken(self, gradient: Any) -> Any:
        """As the backend has it."""
        mine = next(iter(self._own.parameters.values()))
        return gradient if isinstance(gradient, type(mine)) else self._own.backend.from_numpy(gradient)


def _added(sum_: Any, gradient: Any) -> Any:
    """Into the first one's memory where there may be written."""
    if _sums_in_place(sum_) and getattr(sum_.flags, "writeable", True):
        return np.add(sum_, gradient, out=sum_)  # CuPy's, for its arrays
    return sum_ + gradient


def _sums_in_place(gradient: Any) -> bool:
    return isinstance(gradient, np.ndarray) or hasattr(gradient, "__cuda_array_interface__")


def _refuse_not_finite(y: Array) -> None:
    if not np.isfinite(y).all():
        raise Diverged(f"its {'loss' if y.ndim == 0 else 'output'} is not finite")
