"""CuPy, if it is there, and the device: what it is, why it cannot be used, and the way of arrays to it and back."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

_why_not = ""
try:
    cupy: Any = import_module("cupy")
except ImportError as error:  # said by version()
    cupy, _why_not = None, str(error)

TF32 = os.environ.get("CUPY_TF32") == "1"  # CuPy reads it once too; matrix products alone obey it
precision = {
    "float32": "tf32" if TF32 else "float32",
    "float64": "float64",
    "float16": "float16",
    "bfloat16": "bfloat16",
}


def version() -> str:
    """CuPy, CUDA, the device and its arithmetic. Raises RuntimeError with the reason when nothing can run here."""
    check_usable()
    runtime = cupy.cuda.runtime
    properties = runtime.getDeviceProperties(cupy.cuda.Device().id)
    release = runtime.runtimeGetVersion()
    return (
        f"CuPy {cupy.__version__}, CUDA {release // 1000}.{release % 1000 // 10}, {properties['name'].decode()}, "
        f"compute capability {properties['major']}.{properties['minor']}, TF32 {'on' if TF32 else 'off'}"
    )


def check_usable() -> None:
    """Raises RuntimeError with one sentence when CuPy, the driver, a device or a CUDA library is missing."""
    if cupy is None:
        raise RuntimeError(
            f"CuPy cannot be imported ({_why_not}); on a machine with an NVIDIA GPU: "
            "pip install 'mcnbench[cuda13]' (or cuda12)"
        )
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise RuntimeError(f"CuPy {cupy.__version__} finds no NVIDIA driver and GPU it can use: {error}") from error
    if count == 0:
        raise RuntimeError(f"CuPy {cupy.__version__} finds a driver, but no GPU (CUDA_VISIBLE_DEVICES may hide it)")
    try:
        cupy.cuda.nvrtc.getVersion()
        cupy.cuda.device.get_cublas_handle()
    except (ImportError, RuntimeError, AttributeError) as error:
        raise RuntimeError(
            f"CuPy {cupy.__version__} lacks CUDA's libraries (cuBLAS, NVRTC): "
            f"pip install 'mcnbench[cuda13]' brings them, or set CUDA_PATH: {error}"
        ) from error


def from_numpy(a: NDArray[Any]) -> Any:
    """A copy on the current device."""
    return cupy.asarray(a)


def to_numpy(a: Any) -> NDArray[Any]:
    """A copy on the host."""
    return np.asarray(cupy.asnumpy(a))


def synchronize() -> None:
    """Returns when everything started on the current device is done."""
    cupy.cuda.Device().synchronize()


def elapsed_ns(work: Callable[[], object]) -> int:
    """Does the work and returns the device's time for it, from an event before it to one after it."""
    start, end = cupy.cuda.Event(), cupy.cuda.Event()
    start.record()
    work()
    end.record()
    end.synchronize()
    return round(1e6 * float(cupy.cuda.get_elapsed_time(start, end)))


def reset_peak_bytes() -> None:
    """From here on `peak_bytes` counts."""
    synchronize()
    cupy.get_default_memory_pool().free_all_blocks()


def peak_bytes() -> int:
    """The most memory of the device that CuPy's pool held at a time: it keeps what it once had."""
    return int(cupy.get_default_memory_pool().total_bytes())
