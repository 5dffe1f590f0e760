"""What a worker can be asked to do: one method a request; its arguments are the fields, its result the answer.

A step is timed by the monotonic clock from outside to outside, in integer nanoseconds, and is finished when it returns;
on a device, by events before and after it.
Garbage collection is off while steps are timed; it strikes at random, and steps make no cycles.
"""

from __future__ import annotations

import ctypes
import gc
import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
from threadpoolctl import threadpool_limits

import mcnbench
from mcnbench import machine, network, verification
from mcnbench.backends import Backend
from mcnbench.case import parse
from mcnbench.measure import block_timing, device
from mcnbench.training import Trainer

WARM_NS = 500_000_000
"""Warm-up ends with the first step after so much time, and has at least one step: the first makes all workspaces."""


class Work:
    """The state of a worker: its backend, and the network that it trains."""

    def __init__(self) -> None:
        self._backend: Backend
        self._trainer: Trainer
        self._block: block_timing.Timed

    def hello(self, backend: str, threads: int) -> dict[str, Any]:
        """Loads the backend; answers its receipt and the libraries that it uses. It raises what the backend raises."""
        self._backend = mcnbench.backend(backend)
        set_threads = getattr(self._backend.implementation, "set_threads", None)
        if set_threads is not None:
            set_threads(threads)
        receipt = self._backend.version()
        preload = getattr(self._backend.implementation, "preload", None)
        if preload is not None:
            preload()
        several = bool(getattr(self._backend.implementation, "variants", ()))
        return {"receipt": receipt, "libraries": machine.blas(), "several": several}

    def build(
        self,
        network_name: str,
        batch: int,
        dtype: str,
        seed: int,
        images: str | None,
        variant: str | None,
        shared: str | None = None,
    ) -> dict[str, Any]:
        """Makes the network and its inputs; of a backend's variants (memory formats) takes the given or faster one."""
        vars(self).pop("_trainer", None)  # of the visit before, whose memory the new one can use
        gc.unfreeze()
        gc.enable()
        gc.collect()
        self._trainer = Trainer(
            timed_network(network_name),
            self._backend,
            batch,
            dtype=dtype,
            seed=seed,
            images=images,
            variant=variant,
            shared=shared,
        )
        return {"variant": self._trainer.variant, "tried": self._trainer.tried}

    def record(self, folder: str, seed: int, images: int, share: float = 1.0, sparse: bool = False) -> dict[str, Any]:
        """Takes a step on a few fresh images and keeps what it computed in the folder, for the harness to judge."""
        verification.record(self._trainer, Path(folder), seed=seed, batch=images, share=share, sparse=sparse)
        return {}

    def judge(self, network_name: str, folder: str, whole: bool, share: float) -> dict[str, Any]:
        """What verification finds of a step that another worker recorded in the folder."""
        with threadpool_limits(1, "blas"):  # NumPy's, whose threads would fight with PyTorch's for the cores
            found = verification.judge(timed_network(network_name), Path(folder), whole=whole, share=share).verified()
        answer: dict[str, Any] = json.loads(found.model_dump_json())
        return answer

    def rest(self) -> dict[str, Any]:
        """Gives memory back to the system that judging needed, unless there is plenty."""
        gc.collect()
        gc.freeze()  # what is left lives on; the next collection need not look at it
        if machine.memory_available() < psutil.virtual_memory().total // 2:
            _give_memory_back()
        return {}

    def warm_up(self) -> dict[str, Any]:
        """Steps until the time is stable."""
        self.settle()
        ns = [self._timed()]
        while sum(ns) < WARM_NS:
            ns.append(self._timed())
        return {"ns": ns}

    def settle(self) -> None:
        """From here on peak memory counts, and garbage collection is off."""
        gc.collect()
        _give_memory_back()  # of the variants that were tried, and of the check
        Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is held now
        getattr(self._backend, "reset_peak_bytes", _nothing)()
        gc.freeze()
        gc.disable()

    def steps(self, count: int) -> dict[str, Any]:
        """Times so many steps, each for itself."""
        return {"ns": [self._timed() for _ in range(count)]}

    def peak(self) -> dict[str, Any]:
        """The most memory held since `warm_up`, in bytes: the device's, or else the process's.

        Of a device also its state right after the last step, and what the backend recorded (cuDNN: its plans).
        """
        if hasattr(self._backend, "peak_bytes"):
            details = {"device": device.state(), "recorded": getattr(self._backend, "recorded", _empty)()}
            return {"bytes": self._backend.peak_bytes(), "details": details}
        found = re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
        assert found, "Linux gives VmHWM in /proc/self/status"
        return {"bytes": int(found[1]) * 1024, "details": {}}

    def limit(self, threads: int, seconds: float, device: str) -> dict[str, Any]:
        """The matrix-product rate of the machine, or of its GPU."""
        from mcnbench.measure.limit import device_product_rate, matrix_product_rate

        return matrix_product_rate(threads, seconds) if device == "cpu" else device_product_rate(seconds)

    def memory_limit(self, threads: int, seconds: float) -> dict[str, Any]:
        """The rate at which the machine's memory is read and written."""
        from mcnbench.measure.limit import memory_rate

        return {"bytes_per_second": memory_rate(threads, seconds)}

    def block(self, case: str) -> dict[str, Any]:
        """Makes one block ready to be timed on a case; answers the memory layout in which it is faster."""
        self._block = block_timing.prepare(self._backend, parse(case))
        return {
            "layout": self._block.layout,
            "precision": self._backend.precision(self._block.case.dtype),
            "normwise_factor": self._backend.normwise_factor,
        }

    def block_record(self, case: str, folder: str) -> dict[str, Any]:
        """Runs the block on another case and keeps what it computed in the folder, for the harness to judge."""
        block_timing.record(self._backend, parse(case), self._block.layout, Path(folder))
        return {}

    def block_turn(self, seconds: float) -> dict[str, Any]:
        """Times the block in each direction, again and again for so long, once at least."""
        calls = {"forward": self._block.forward, "backward": self._block.backward}
        return {name: [] if call is None else _repeated(call, seconds) for name, call in calls.items()}

    def bare_loop(self, count: int) -> dict[str, Any]:
        """The same steps in a bare loop, as one would time them without this harness: one clock reading a step."""
        step, clock = self._trainer.step, time.perf_counter_ns
        times = [clock()]
        for _ in range(count):
            step()
            times.append(clock())
        return {"ns": [b - a for a, b in pairwise(times)]}

    def _timed(self) -> int:
        elapsed = getattr(self._backend, "elapsed_ns", None)
        if elapsed is not None:
            return max(1, int(elapsed(self._trainer.step)))
        began = time.perf_counter_ns()
        self._trainer.step()
        return time.perf_counter_ns() - began


def timed_network(name: str) -> network.Network:
    """The network with a hundredth of its learning rate. A step takes the same time, but many steps on the same few
    images must not diverge, as NaN is neither timed nor checked in earnest. (VGG-F at 0.01 does within 16 steps.)"""
    found = network.load(name)
    return replace(found, lr=found.lr / 100)


def _repeated(call: Callable[[], Any], seconds: float) -> list[int]:
    ns: list[int] = []
    while sum(ns) < seconds * 1e9:
        began = time.perf_counter_ns()
        call()
        ns.append(max(1, time.perf_counter_ns() - began))
    return ns


def _nothing() -> None:
    pass


def _empty() -> list[Any]:
    return []


def _give_memory_back() -> None:
    """Free memory goes back to the system; by the workers' settings the C library keeps it."""
    ctypes.CDLL(None).malloc_trim(0)
