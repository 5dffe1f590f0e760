"""Sums gradients over all ranks while the backward pass goes on.

Gradients come in the order in which the backward pass completes them, the same on every rank. Small ones are copied
together into a bucket; one of a bucket's size or more is summed where it lies, in parts of a bucket's size: torch sees
the memory of the NumPy or CuPy array. Each bucket is looked at for what is not finite, while it is in the caches, and
handed at once to an asynchronous all-reduce: torch.distributed's, or on one machine that of neighbours.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.utils.dlpack import from_dlpack

from mcnbench.distributed.failure import Diverged
from mcnbench.distributed.neighbours import Neighbours, wait

BUCKET_BYTES = 16 << 20


@dataclass(frozen=True)
class Sums:
    """How all ranks sum arrays: those of NumPy by reading each other's memory, if they may, else by the engine."""

    neighbours: Neighbours | None = None

    @property
    def way(self) -> str:
        return "the engine's all-reduce" if self.neighbours is None else "reading each other's memory"

    def start(self, flat: Any) -> Any:
        """Begins to sum a contiguous array in place; returns a handle that waits for it."""
        if self.neighbours is not None and isinstance(flat, np.ndarray):
            return self.neighbours.start(flat)
        return dist.all_reduce(tensor(flat), async_op=True)


@dataclass(frozen=True)
class Waiting:
    """Gradients whose sums are under way: names, the arrays that will hold them, and torch's handles."""

    names: tuple[str, ...]
    arrays: tuple[Any, ...]
    works: tuple[Any, ...]


class Reducer:
    """Takes each parameter's gradient once, in the same order on every rank; `finish` gives the sums.

    Without `sums` nothing is summed: the gradients come out as they went in.
    """

    def __init__(
        self, sums: Sums | None, bucket_bytes: int = BUCKET_BYTES, began: Callable[[], None] = lambda: None
    ) -> None:
        self._sums, self._bucket_bytes, self._began = sums, bucket_bytes, began
        self._small: list[tuple[str, Any]] = []
        self._small_bytes = 0
        self._waiting: list[Waiting] = []
        self._squares: list[tuple[tuple[str, ...], Any]] = []

    def add(self, name: str, gradient: Any) -> None:
        """Begins to sum a gradient of NumPy or CuPy, or keeps it until a bucket is full. It may be overwritten.

        Raises Diverged if it is not finite.
        """
        if gradient.nbytes < self._bucket_bytes:
            self._small.append((name, gradient))
            self._small_bytes += gradient.nbytes
            if self._small_bytes >= self._bucket_bytes:
                self._flush()
            return
        self._flush()
        laid = in_order_of_memory(gradient)
        flat = laid.reshape(-1)
        step = max(1, self._bucket_bytes // gradient.itemsize)
        works = [self._start(flat[i : i + step], (name,)) for i in range(0, flat.size, step)]
        self._waiting.append(Waiting((name,), (as_before(laid, gradient),), tuple(works)))

    def finish(self) -> Iterator[tuple[str, Any]]:
        """Every gradient's sum as soon as it is there, in the order in which they were added."""
        self._flush()
        squares, self._squares = self._squares, []
        for names, square in squares:
            _check(names, math.isfinite(float(square)))
        waiting, self._waiting = self._waiting, []
        for bucket in waiting:
            for work in bucket.works:
                if work is not None:
                    wait(work)
            yield from zip(bucket.names, bucket.arrays, strict=True)

    def _flush(self) -> None:
        if not self._small:
            return
        small, self._small, self._small_bytes = self._small, [], 0
        names = tuple(name for name, _ in small)
        if len(small) == 1:
            laid = [in_order_of_memory(small[0][1])]
            flat = laid[0].reshape(-1)
        else:
            laid = [in_order_of_memory(gradient, writable=False) for _, gradient in small]
            flat = np.concatenate([a.reshape(-1) for a in laid])  # CuPy's, for its arrays
        works = (self._start(flat, names),)
        ends = np.cumsum([a.size for a in laid])
        arrays = [
            as_before(flat[end - a.size : end].reshape(a.shape), gradient)
            for (_, gradient), a, end in zip(small, laid, ends, strict=True)
        ]
        self._waiting.append(Waiting(names, tuple(arrays), works))

    def _start(self, flat: Any, names: tuple[str, ...]) -> Any:
        with np.errstate(over="ignore"):
            square = flat.dot(flat)
        if isinstance(flat, np.ndarray):
            _check(names, _finite(flat, float(square)))
        else:
            self._squares.append((names, square))  # looked at in the end, as the device has yet to compute it
        self._began()
        return None if self._sums is None else self._sums.start(flat)


def tensor(array: Any) -> torch.Tensor:
    """torch's view of the memory of an array of NumPy or CuPy."""
    return torch.from_numpy(array) if isinstance(array, np.ndarray) else from_dlpack(array)


def in_order_of_memory(array: Any, writable: bool = True) -> Any:
    """The array with its axes in the order of its memory; a copy only where it has gaps, or must not be written to."""
    laid = array.transpose(_order(array))
    if not laid.flags.c_contiguous or (writable and isinstance(laid, np.ndarray) and not laid.flags.writeable):
        laid = laid.copy()
    return laid


def as_before(laid: Any, array: Any) -> Any:
    """Undoes the transposition of `in_order_of_memory(array)`."""
    return laid.transpose(tuple(int(i) for i in np.argsort(_order(array))))


def _order(array: Any) -> tuple[int, ...]:
    """Axes of size 1 have any stride, so that they do not count: the order must be the same on every rank."""
    strides = [-stride if size > 1 else 0 for size, stride in zip(array.shape, array.strides, strict=True)]
    return tuple(int(i) for i in np.argsort(strides, kind="stable"))


def _check(names: tuple[str, ...], finite: bool) -> None:
    if not finite:
        raise Diverged(f"its gradient of {' or '.join(names)} is not finite")


def _finite(flat: Any, square: float) -> bool:
    """From the sum of its squares, which a dot product reads fastest; it overflows, too, where an element is huge."""
    return math.isfinite(square) or bool(np.isfinite(flat).all())
