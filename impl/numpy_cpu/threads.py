"""Worker threads, one BLAS thread each, and the working memory that belongs to each of them.

NumPy releases the interpreter lock in copies, element-wise operations and matrix products, so plain threads over images
or tiles use all cores. BLAS is held to one thread meanwhile: its own collapse on a shared machine when one is late.
"""

import contextlib
import functools
import itertools
import math
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import threadpoolctl
from numpy.typing import DTypeLike

from impl.numpy_cpu.arrays import Array

_own = threading.local()  # .scratch: name -> bytes; .busy: whether this thread is inside run()
_blas_lock = threading.Lock()
_blas_users = 0
_blas_limit: Any = None
_pool: ThreadPoolExecutor | None = None
_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _after_fork() -> None:
    """Threads do not survive a fork: the child starts its own."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def set_threads(n: int) -> None:
    """Use ``n`` worker threads from now on (the default: all cores that the process may use)."""
    global _threads, _pool
    if n < 1:
        raise ValueError(f"set_threads needs at least 1 thread, got {n}")
    if n != _threads and _pool is not None:
        _pool.shutdown()
        _pool = None
    _threads = n


def threads() -> int:
    """The number of worker threads."""
    return _threads


def run(task: Callable[[int], object], count: int) -> None:
    """Calls ``task(0)`` .. ``task(count - 1)`` on the worker threads and the caller's; each takes the next one left.

    A task called from a task runs in its own thread. The first exception raised by a task is raised here.
    """
    global _pool
    helpers = min(_threads, count) - 1
    if helpers < 1 or getattr(_own, "busy", False):
        with _one_blas_thread():
            for i in range(count):
                task(i)
        return
    if _pool is None:
        _pool = ThreadPoolExecutor(_threads - 1, thread_name_prefix="numpy_cpu")
    left = iter(range(count))

    def work() -> None:
        _own.busy = True
        try:
            for i in left:
                task(i)
        finally:
            _own.busy = False

    with _one_blas_thread():
        others = [_pool.submit(work) for _ in range(helpers)]
        try:
            work()
        finally:
            for other in others:
                other.result()


def scratch(name: str, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Uninitialised working memory of the calling thread, reused by its next request for the same name.

    Reuse spares the page faults of fresh memory. Never return it, or a view of it, to the user of a block.
    """
    buffers: dict[str, Array] = _own.__dict__.setdefault("scratch", {})
    size = math.prod(shape) * np.dtype(dtype).itemsize
    buffer = buffers.get(name)
    if buffer is None or buffer.size < size:
        buffer = buffers[name] = np.empty(size, np.uint8)
    return buffer[:size].view(dtype).reshape(shape)


@functools.cache
def _blas() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController().select(user_api="blas")


@contextlib.contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Holds BLAS to one thread while anybody needs it so; the last to leave restores what was there."""
    global _blas_users, _blas_limit
    with _blas_lock:
        if _blas_users == 0:
            _blas_limit = _blas().limit(limits=1)
        _blas_users += 1
    try:
        yield
    finally:
        with _blas_lock:
            _blas_users -= 1
            if _blas_users == 0:
                _blas_limit.restore_original_limits()


def split(count: int, parts: int) -> list[slice]:
    """``range(count)`` in at most ``parts`` slices of nearly equal length."""
    parts = max(1, min(parts, count))
    edges = [count * i // parts for i in range(parts + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]
