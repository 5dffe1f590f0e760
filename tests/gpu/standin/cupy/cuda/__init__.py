"""The parts of cupy.cuda that impl.cupy_cuda touches."""

from __future__ import annotations

import time
from types import MappingProxyType, SimpleNamespace
from typing import Any

from cupy._module import compile_using_nvrtc


class CUDARuntimeError(RuntimeError):
    pass


class Device:
    id = 0
    compute_capability = "host"
    attributes = MappingProxyType({"L2CacheSize": 1 << 16})

    def synchronize(self) -> None:
        pass


class Event:
    """The host's clock in place of an event on a stream."""

    def record(self) -> None:
        self.seconds = time.perf_counter()

    def synchronize(self) -> None:
        pass


def get_elapsed_time(start: Event, end: Event) -> float:
    return 1000 * (end.seconds - start.seconds)


def get_current_stream() -> Any:
    return SimpleNamespace(ptr=0)


def _properties(_: int) -> dict[str, Any]:
    return {"name": b"no GPU: kernels run on the host", "major": 0, "minor": 0}


runtime = SimpleNamespace(
    CUDARuntimeError=CUDARuntimeError,
    getDeviceCount=lambda: 1,
    getDeviceProperties=_properties,
    runtimeGetVersion=lambda: 0,
)
nvrtc = SimpleNamespace(getVersion=lambda: (0, 0))
device = SimpleNamespace(get_cublas_handle=lambda: 0)
compiler = SimpleNamespace(compile_using_nvrtc=compile_using_nvrtc)
