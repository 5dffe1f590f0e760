"""Every plan that cuDNN offers for a convolution: what it computes, whether twice the same bits, how long it takes.

A plan is timed on operands in turn that together are larger than the L2 cache twice, as no real step finds its own
operands there; one event before and one after each execution.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from impl.cudnn import graphs
from impl.cudnn.checks import Convolution, check_buffer
from impl.cudnn.choice import execute, least_time
from impl.cudnn.graphs import UIDS, Plan, Target
from impl.cudnn.library import handle
from impl.cupy_cuda.arrays import Array
from impl.cupy_cuda.device import cupy, elapsed_ns

RUNS = 5  # on the same operands, whose results must be the same bits


@dataclass
class Census:
    """A convolution, its operands (two of x, w, y), and the plans that cuDNN offers for it.

    `compiled` also asks for the plans that cuDNN compiles when they are built. Raises ValueError for operands that do
    not fit, and RuntimeError where cuDNN has no plan.
    """

    convolution: Convolution
    first: Array
    second: Array
    workspace: int
    compiled: bool = False

    def __post_init__(self) -> None:
        c = self.convolution
        for name, a in zip(c.operands, (self.first, self.second), strict=True):
            check_buffer(a, c.shape(name), c.dtype, name)
        self.graph: Any = graphs.build(c, Target(handle()))
        self.plans = graphs.plans(self.graph, (), self.workspace, self.compiled)
        self._notes = graphs.notes_of(c, Target(handle()), [plan.name for plan in self.plans], self.workspace)
        rotated = self.first.nbytes + self.second.nbytes + self._fresh().nbytes
        copies = 1 + 2 * int(cupy.cuda.Device().attributes["L2CacheSize"]) // rotated
        self._turns = [self._pack(self.first.copy(), self.second.copy(), self._fresh()) for _ in range(copies)]

    def notes(self, plan: Plan) -> list[str]:
        """How the plan computes: cuDNN's numerical notes."""
        return self._notes[plan.name]

    def result(self, plan: Plan, first: Array, second: Array) -> np.ndarray[Any, Any]:
        """What the plan computes of these operands, on the host."""
        pack, keep = self._pack(first, second, self._fresh())
        execute(self.graph, plan, pack)
        return np.asarray(cupy.asnumpy(keep[2]))

    def repeatable(self, plan: Plan) -> bool:
        """Whether the plan computes the same bits every time."""
        results = (self.result(plan, self.first, self.second).tobytes() for _ in range(RUNS))
        expected = next(results)
        return all(bits == expected for bits in results)

    def times(self, plan: Plan, count: int) -> Iterator[int]:
        """Nanoseconds of so many executions, each on the next operands in turn."""
        least_time(self.graph, plan, self._turns[0][0], repeats=1)
        for i in range(count):
            pack, _ = self._turns[i % len(self._turns)]
            yield elapsed_ns(partial(execute, self.graph, plan, pack))

    def _fresh(self) -> Array:
        return cupy.empty(self.convolution.shape(self.convolution.result), self.convolution.dtype)

    def _pack(self, first: Array, second: Array, out: Array) -> tuple[dict[int, int], tuple[Array, Array, Array]]:
        """The addresses by which cuDNN knows them, and the arrays, which must live as long."""
        names = (*self.convolution.operands, self.convolution.result)
        arrays = first, second, out
        return {UIDS[name]: int(a.data.ptr) for name, a in zip(names, arrays, strict=True)}, arrays
