"""All-reduces between the ranks of one machine, which read each other's memory (Linux: process_vm_readv).

Each rank sums its own part of an array, reading that part of every other rank's; when all have done so it reads what
the others made of theirs. Nothing is copied elsewhere first. Over sockets the ranks tell each other where their arrays
lie, and when these may be read. Gloo's own all-reduce sends the arrays through sockets, which costs several times as
much of the cores' time, and the backward pass needs the cores.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist

from mcnbench.arrays import Array
from mcnbench.distributed.failure import Lost, finite, refuse_not_finite

CHUNK_BYTES = 2 << 20
"""Read at a time, so that it is still in the cache when it is added."""

PATIENCE = 1800.0
"""Seconds after which a silent rank is given up, as torch.distributed does; who started the ranks ends them sooner."""

TWO = Struct("qq")

PR_SET_PTRACER = 0x59616D61

Use = Callable[[slice, Array], None]
"""Takes the sum of that part of an array; the sum may not be kept."""


class Span(ctypes.Structure):
    """struct iovec: so many bytes from that address on."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Bucket(NamedTuple):
    """An array whose sum is under way, of these parameters' gradients; what uses this rank's part of the sum, and the
    array that it puts its results into."""

    names: Sequence[str]
    array: Array
    use: Use
    result: Array


class Addresses(NamedTuple):
    """Where a rank's `array` and `result` lie."""

    array: int
    result: int


class Handle:
    """As torch's: `wait` returns when the array holds the sum."""

    def __init__(self, neighbours: Neighbours) -> None:
        self._neighbours = neighbours

    def wait(self) -> None:
        self._neighbours.finish()


class Neighbour(NamedTuple):
    """A rank as the others find it: its process, the name of its socket, and what they must know to be answered there,
    which shows that they read its memory at that address."""

    pid: int
    socket: str
    address: int
    secret: bytes


class Neighbours:
    """All ranks, which `listener` connects. Every rank sums the same arrays in the same order."""

    def __init__(self, rank: int, ranks: list[Neighbour], listener: Listener) -> None:
        self._rank, self._pids = rank, [other.pid for other in ranks]
        self._lines = _connected(rank, ranks, listener)
        self._told: list[Bucket] = []  # in order; their parts are yet to be summed
        self._summed: list[tuple[Bucket, dict[int, Addresses]]] = []  # the others' parts are yet to be read
        self._odd: set[int] = set()  # ranks with something not finite

    def start(
        self, array: Array, names: Sequence[str] = (), use: Use | None = None, result: Array | None = None
    ) -> Handle:
        """Begins to sum a contiguous array in place, and goes on with those whose turn has come.

        With `use` it remains as it is: each rank has `use` put what it makes of its own part of the sum into the same
        part of `result`, and gets the other parts of this from the other ranks. Neither array may be touched, nor let
        go, until they are waited for.
        """
        array = array.reshape(-1)
        if use is None or result is None:
            use, result = array.__setitem__, array
        self._told.append(self._announce(Bucket(names, array, use, result)))
        while self._told and all(line.poll() for line in self._lines.values()):
            self._sum(self._told.pop(0))
        return Handle(self)

    def complete(self, array: Array) -> None:
        """Gets the parts of an array, which has one axis, from the ranks that make them."""
        bucket = self._announce(Bucket((), array, array.__setitem__, array))
        self._summed.append((bucket, self._addresses()))
        self.finish()

    def finish(self) -> None:
        """Ends all sums that were begun.

        Raises Diverged where a summand of this rank was not finite, Lost where one of another rank was not, or another
        rank is gone.
        """
        while self._told:
            self._sum(self._told.pop(0))
        if not self._summed:
            return
        for other, line in self._lines.items():
            _tell(line, other in self._odd)
        blamed = [_hear(line)[0] for line in self._lines.values()]
        if any(blamed) or self._rank in self._odd:
            for bucket, _ in self._summed:
                refuse_not_finite(bucket.names, finite(bucket.array))
        if self._odd:
            raise Lost(ValueError(f"the gradient of rank {min(self._odd)} is not finite"))
        for bucket, addresses in self._summed:
            for other in self._others():
                part = self.part(bucket.array, other)
                self._read(other, addresses[other].result, part, bucket.result[part])
        self._summed = []
        for line in self._lines.values():  # before this rank's results, which the others read, may change
            _tell(line)
        for line in self._lines.values():
            _hear(line)

    def part(self, array: Array, rank: int | None = None) -> slice:
        """Which elements a rank sums, this one by default."""
        rank, ranks = self._rank if rank is None else rank, len(self._pids)
        return slice(array.size * rank // ranks, array.size * (rank + 1) // ranks)

    def _announce(self, bucket: Bucket) -> Bucket:
        for line in self._lines.values():
            _tell(line, bucket.array.ctypes.data, bucket.result.ctypes.data)
        return bucket

    def _addresses(self) -> dict[int, Addresses]:
        """Of the others, of the first bucket of which they are not known."""
        return {other: Addresses(*_hear(line)) for other, line in self._lines.items()}

    def _sum(self, bucket: Bucket) -> None:
        addresses = self._addresses()
        part = self.part(bucket.array)
        step = max(1, CHUNK_BYTES // bucket.array.itemsize)
        read, scratch = np.empty((2, min(step, part.stop - part.start)), bucket.array.dtype)
        for begin in range(part.start, part.stop, step):
            chunk = slice(begin, min(begin + step, part.stop))
            sum_ = bucket.array[chunk]
            for other in self._others():
                self._read(other, addresses[other].array, chunk, read[: sum_.size])
                sum_ = np.add(sum_, read[: sum_.size], out=scratch[: sum_.size])
            if finite(sum_) or not self._look(bucket, addresses, chunk):
                bucket.use(chunk, sum_)
        self._summed.append((bucket, addresses))

    def _look(self, bucket: Bucket, addresses: Mapping[int, Addresses], chunk: slice) -> bool:
        """Notes the ranks whose summand is not finite; whether there are any, as finite ones can overflow."""
        if not finite(bucket.array[chunk]):
            self._odd.add(self._rank)
        for other in self._others():
            summand = np.empty_like(bucket.array[chunk])
            self._read(other, addresses[other].array, chunk, summand)
            if not finite(summand):
                self._odd.add(other)
        return bool(self._odd)

    def _others(self) -> list[int]:
        """From the next one on, so that not all read the same rank's memory at once."""
        ranks = len(self._pids)
        return [(self._rank + i) % ranks for i in range(1, ranks)]

    def _read(self, rank: int, address: int, part: slice, into: Array) -> None:
        if into.size:
            try:
                read(self._pids[rank], address + part.start * into.itemsize, into)
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
    network = str(Path("/proc/self/ns/net").readlink())  # within which a socket's name is found
    machine = Path("/proc/sys/kernel/random/boot_id").read_text(), network, os.environ.get("GROUP_RANK")
    own = Neighbour(os.getpid(), f"\0mcnbench-{os.urandom(8).hex()}", secret.ctypes.data, secret.tobytes())
    told: list[Any] = [None] * dist.get_world_size()
    with Listener(own.socket, "AF_UNIX", backlog=len(told), authkey=own.secret) as listener:
        try:
            dist.all_gather_object(told, (machine, own))
            legible = torch.tensor([all(theirs == machine and _shows(other) for theirs, other in told)])
            dist.all_reduce(legible, dist.ReduceOp.MIN)  # after which nobody reads the secret any more
            others = [other for _, other in told]
            return Neighbours(dist.get_rank(), others, listener) if legible else None
        except (RuntimeError, OSError, EOFError) as error:
            raise Lost(error) from error


def _shows(other: Neighbour) -> bool:
    """Whether this rank reads there what the other one wrote: the process of that number may be another's."""
    found = np.zeros(len(other.secret), np.uint8)
    try:
        read(other.pid, other.address, found)
    except OSError:
        return False
    return found.tobytes() == other.secret


def _connected(rank: int, ranks: Sequence[Neighbour], listener: Listener) -> dict[int, Connection]:
    """Connections to all other ranks: to the lower ones this one calls, the higher ones call."""
    lines = {}
    for other in range(rank):
        lines[other] = Client(ranks[other].socket, "AF_UNIX", authkey=ranks[other].secret)
        _tell(lines[other], rank)
    while len(lines) < len(ranks) - 1:
        line = listener.accept()
        lines[_hear(line)[0]] = line
    return lines


def _tell(line: Connection, one: int = 0, two: int = 0) -> None:
    try:
        line.send_bytes(TWO.pack(one, two))
    except OSError as error:
        raise Lost(error) from error


def _hear(line: Connection) -> tuple[int, int]:
    try:
        if not line.poll(PATIENCE):
            raise TimeoutError(f"it was silent for {PATIENCE:.0f} s")
        one, two = TWO.unpack(line.recv_bytes())
    except (OSError, EOFError) as error:
        raise Lost(error) from error
    return one, two


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
