"""All-reduces between the ranks of one machine, which read each other's memory (Linux: process_vm_readv).

Each rank sums its own part of an array, reading that part of every other rank's; when all have done so it reads their
sums. Nothing is copied elsewhere first. torch.distributed says where the arrays lie, and when they may be read. Gloo's
own all-reduce sends everything through sockets, which costs several times as much of the cores' time, and the backward
pass needs the cores.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist

from mcnbench.arrays import Array
from mcnbench.distributed.failure import Lost

CHUNK_BYTES = 1 << 20
"""Read at a time, so that it is still in the cache when it is added."""

PR_SET_PTRACER = 0x59616D61


class Span(ctypes.Structure):
    """struct iovec: so many bytes from that address on."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Bucket(NamedTuple):
    """An array whose sum is under way, the addresses of all ranks' (by rank), and torch's handle for these."""

    array: Array
    addresses: list[torch.Tensor]
    told: Any


class Handle:
    """As torch's: `wait` returns when the array holds the sum."""

    def __init__(self, neighbours: Neighbours) -> None:
        self._neighbours = neighbours

    def wait(self) -> None:
        self._neighbours.finish()


class Neighbours:
    """All ranks, with their process ids by rank. Every rank sums the same arrays in the same order."""

    def __init__(self, rank: int, pids: list[int]) -> None:
        self._rank, self._pids = rank, pids
        self._told: list[Bucket] = []  # in order; their parts are yet to be summed
        self._summed: list[Bucket] = []  # the others' parts are yet to be read

    def start(self, array: Array) -> Handle:
        """Begins to sum a contiguous array in place, and goes on with those whose turn has come. It may not be touched,
        nor let go, until it is waited for."""
        addresses = [torch.empty(1, dtype=torch.int64) for _ in self._pids]
        told = dist.all_gather(addresses, torch.tensor([array.ctypes.data]), async_op=True)
        self._told.append(Bucket(array.reshape(-1), addresses, told))
        while self._told and self._told[0].told.is_completed():
            self._sum(self._told.pop(0))
        return Handle(self)

    def finish(self) -> None:
        """Ends all sums that were begun. Raises Lost when another rank's memory is gone."""
        while self._told:
            self._sum(self._told.pop(0))
        if not self._summed:
            return
        _meet()
        for bucket in self._summed:
            for other in self._others():
                part = self._part(bucket.array, other)
                self._read(bucket, other, part, bucket.array[part])
        self._summed = []
        _meet()  # before this rank's sums, which the others read, may change

    def _sum(self, bucket: Bucket) -> None:
        wait(bucket.told)
        part = self._part(bucket.array, self._rank)
        step = max(1, CHUNK_BYTES // bucket.array.itemsize)
        read = np.empty(min(step, part.stop - part.start), bucket.array.dtype)
        for begin in range(part.start, part.stop, step):
            chunk = slice(begin, min(begin + step, part.stop))
            own = bucket.array[chunk]
            for other in self._others():
                self._read(bucket, other, chunk, read[: own.size])
                np.add(own, read[: own.size], out=own)
        self._summed.append(bucket)

    def _others(self) -> list[int]:
        """From the next one on, so that not all read the same rank's memory at once."""
        ranks = len(self._pids)
        return [(self._rank + i) % ranks for i in range(1, ranks)]

    def _part(self, array: Array, rank: int) -> slice:
        """Which elements a rank sums."""
        ranks = len(self._pids)
        return slice(array.size * rank // ranks, array.size * (rank + 1) // ranks)

    def _read(self, bucket: Bucket, rank: int, part: slice, into: Array) -> None:
        if into.size:
            try:
                read(self._pids[rank], int(bucket.addresses[rank]) + part.start * into.itemsize, into)
            except OSError as error:
                raise Lost(error) from error


def met() -> Neighbours | None:
    """All ranks of this process's group, if they are on one machine and may read each other's memory; all ranks find
    the same. The nodes of torchrun count as machines. Raises Lost as `finish` does."""
    if sys.platform != "linux" or not dist.is_initialized() or dist.get_backend() != "gloo":
        return None
    # Where processes may only be read by their ancestors (Yama), this allows the parent's other descendants, too.
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(os.getppid()), 0, 0, 0)
    secret = np.frombuffer(os.urandom(8), np.int64).copy()
    machine = (Path("/proc/sys/kernel/random/boot_id").read_text(), os.environ.get("GROUP_RANK"))
    told: list[Any] = [None] * dist.get_world_size()
    try:
        dist.all_gather_object(told, (machine, os.getpid(), secret.ctypes.data, int(secret[0])))
        legible = torch.tensor([all(theirs == machine and _shows(*about) for theirs, *about in told)])
        dist.all_reduce(legible, dist.ReduceOp.MIN)  # after which nobody reads the secret any more
    except RuntimeError as error:
        raise Lost(error) from error
    return Neighbours(dist.get_rank(), [pid for _, pid, _, _ in told]) if legible else None


def _shows(pid: int, address: int, secret: int) -> bool:
    """Whether this rank reads there what the other one wrote: the process of that number may be another's."""
    found = np.zeros(1, np.int64)
    try:
        read(pid, address, found)
    except OSError:
        return False
    return int(found[0]) == secret


def read(pid: int, address: int, into: Array) -> None:
    """Fills a contiguous array from another process's memory. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.process_vm_readv.restype = ctypes.c_ssize_t
    done = 0
    while done < into.nbytes:
        mine = Span(into.ctypes.data + done, into.nbytes - done)
        theirs = Span(address + done, into.nbytes - done)
        count = libc.process_vm_readv(
            pid, ctypes.byref(mine), ctypes.c_ulong(1), ctypes.byref(theirs), ctypes.c_ulong(1), ctypes.c_ulong(0)
        )
        if count <= 0:
            error = ctypes.get_errno()
            raise OSError(error, f"process {pid} cannot be read: {os.strerror(error)}")
        done += count


def _meet() -> None:
    try:
        dist.barrier()
    except RuntimeError as error:
        raise Lost(error) from error


def wait(work: Any) -> None:
    """Waits for a handle of torch's; raises Lost."""
    try:
        work.wait()
    except RuntimeError as error:
        raise Lost(error) from error
