"""Sums gradients over all ranks while the backward pass goes on.

Gradients come in the order in which the backward pass completes them, the same on every rank. Small ones are copied
together into a bucket; one of a bucket's size or more is summed where it lies: torch sees the memory of the NumPy or
CuPy array. Each is handed at once to an asynchronous all-reduce: that of neighbours.py on one machine, else
torch.distributed's, in parts of a bucket's size, which are looked at for what is not finite while they are in the
caches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.utils.dlpack import from_dlpack

from mcnbench.arrays import Array
from mcnbench.distributed.failure import Lost, finite, refuse_not_finite
from mcnbench.distributed.neighbours import Neighbours

BUCKET_BYTES = 16 << 20


@dataclass(frozen=True)
class Divided:
    """A parameter of which each rank updates its own part: `w` and `v` are flat, in the order of their memory, and
    `sgd(w, v, dw)` updates parts of them in place."""

    w: Array
    v: Array
    sgd: Callable[[Array, Array, Array], None]

    def update(self, part: slice, dw: Array) -> None:
        self.sgd(self.w[part], self.v[part], dw)


@dataclass(frozen=True)
class Sums:
    """How all ranks sum arrays: those of NumPy by reading each other's memory, if they may, else by the engine.

    With `apart` nothing is summed, and all else is done as if it were.
    """

    neighbours: Neighbours | None = None
    apart: bool = False

    @property
    def way(self) -> str:
        return "the engine's all-reduce" if self.neighbours is None else "reading each other's memory"

    def near(self, flat: Any) -> Neighbours | None:
        """Those who sum this array."""
        return self.neighbours if isinstance(flat, np.ndarray) else None

    def start(self, flat: Any, names: Sequence[str] = (), divided: Divided | None = None) -> Any:
        """Begins to sum a contiguous array in place, or to update the parameter by the sum of its gradients.

        Returns a handle that waits for it, or None.
        """
        near = self.near(flat)
        if self.apart:
            if near is not None and divided is not None:
                part = near.part(flat)
                divided.update(part, flat[part])
            return None
        if near is None:
            return dist.all_reduce(tensor(flat), async_op=True)
        return near.start(flat, names) if divided is None else near.start(flat, names, divided.update, divided.w)


@dataclass(frozen=True)
class Waiting:
    """Gradients whose sums are under way: names, the arrays that will hold them, and handles, None if already there."""

    names: tuple[str, ...]
    arrays: tuple[Any, ...]
    works: tuple[Any, ...]


class Reducer:
    """Takes each parameter's gradient once, in the same order on every rank; `finish` gives the sums.

    Without `sums` nothing is summed: the gradients come out as they went in. Those for which `divide` finds how the
    ranks can divide the update do not come out: their parameters are updated when all the others have.
    """

    def __init__(
        self,
        sums: Sums | None,
        bucket_bytes: int = BUCKET_BYTES,
        began: Callable[[], None] = lambda: None,
        divide: Callable[[str, Any], Divided | None] = lambda name, gradient: None,
    ) -> None:
        self._sums, self._bucket_bytes, self._began, self._divide = sums, bucket_bytes, began, divide
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
        divided = self._divide(name, gradient)
        works = self._start(flat, (name,), divided)
        comes_out = Waiting((name,), (as_before(laid, gradient),), works)
        self._waiting.append(comes_out if divided is None else Waiting((), (), works))

    def finish(self) -> Iterator[tuple[str, Any]]:
        """Every gradient's sum as soon as it is there, in the order in which they were added."""
        self._flush()
        squares, self._squares = self._squares, []
        for names, square in squares:
            refuse_not_finite(names, math.isfinite(float(square)))
        waiting, self._waiting = self._waiting, []
        for bucket in waiting:
            for work in bucket.works:
                _wait(work)
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
        works = self._start(flat, names)
        ends = np.cumsum([a.size for a in laid])
        arrays = [
            as_before(flat[end - a.size : end].reshape(a.shape), gradient)
            for (_, gradient), a, end in zip(small, laid, ends, strict=True)
        ]
        self._waiting.append(Waiting(names, tuple(arrays), works))

    def _start(self, flat: Any, names: tuple[str, ...], divided: Divided | None = None) -> tuple[Any, ...]:
        self._began()
        sums = self._sums
        if sums is not None and sums.near(flat) is not None:  # who look at it themselves
            return (sums.start(flat, names, divided),)
        works = []
        step = max(1, self._bucket_bytes // flat.itemsize)
        for i in range(0, flat.size, step):
            part = flat[i : i + step]
            if isinstance(flat, np.ndarray):
                refuse_not_finite(names, finite(part))
            else:  # looked at in the end, as the device has yet to compute it
                self._squares.append((names, part.dot(part)))
            works.append(sums and sums.start(part))
        return tuple(works)


def summed_bytes(gradients: Iterable[int], bucket_bytes: int, cut: bool) -> list[int]:
    """Bytes of each sum that a Reducer, or PyTorch's DistributedDataParallel, makes of gradients of so many bytes.

    For a Reducer the engine sums large ones in parts: `cut`.
    """
    sums, small = [], 0
    for size in gradients:
        if size >= bucket_bytes:
            sums += [small, size]
            small = 0
        elif (small := small + size) >= bucket_bytes:
            sums.append(small)
            small = 0
    sums = [size for size in [*sums, small] if size]
    return [min(bucket_bytes, size - at) for size in sums for at in range(0, size, bucket_bytes)] if cut else sums


def tensor(array: Any) -> torch.Tensor:
    """torch's view of the memory of an array of NumPy or CuPy."""
    return torch.from_numpy(array) if isinstance(array, np.ndarray) else from_dlpack(array)


def in_order_of_memory(array: Any, writable: bool = True) -> Any:
    """The array with its axes in the order of its memory; a copy only where it has gaps, or must not be written to."""
    laid = array.transpose(_order(array))
    if not laid.flags.c_contiguous or (writable and isinstance(laid, np.ndarray) and not laid.flags.writeable):
        laid = laid.copy()
    return laid


def in_order_of(array: Array, gradient: Array) -> Array | None:
    """The array as one axis in the order of the gradient's memory, if that is the order of its own."""
    laid = array.transpose(_order(gradient))
    return laid.reshape(-1) if laid.flags.c_contiguous and laid.flags.writeable else None


def as_before(laid: Any, array: Any) -> Any:
    """Undoes the transposition of `in_order_of_memory(array)`."""
    return laid.transpose(tuple(int(i) for i in np.argsort(_order(array))))


def _order(array: Any) -> tuple[int, ...]:
    """Axes of size 1 have any stride, so that they do not count: the order must be the same on every rank."""
    strides = [-stride if size > 1 else 0 for size, stride in zip(array.shape, array.strides, strict=True)]
    return tuple(int(i) for i in np.argsort(strides, kind="stable"))


def _wait(work: Any) -> None:
    """For a handle; raises Lost."""
    try:
        if work is not None:
            work.wait()
    except RuntimeError as error:
        raise Lost(error) from error
