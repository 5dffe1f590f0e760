"""cuDNN: NVIDIA's frontend package for graphs, libcudnn itself for the older functions, and one handle per device.

Every call works on CuPy's current stream, which cuDNN would not look at by itself. Both packages share one libcudnn.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from impl.cupy_cuda import device
from impl.cupy_cuda.device import cupy

LEAST_VERSION = 90800  # 9.8
_why_not = ""
try:
    frontend: Any = import_module("cudnn")
except ImportError as error:  # said by version()
    frontend, _why_not = None, str(error)


def version() -> str:
    """cuDNN, its frontend, and CuPy's receipt. Raises RuntimeError with the reason when nothing can run here."""
    device.check_usable()
    found = check_library()
    name = f"{found // 10000}.{found % 10000 // 100}.{found % 100}"
    return f"cuDNN {name}, frontend {frontend.__version__}, deterministic plans; {device.version()}"


def check_library() -> int:
    """The version of cuDNN, 92700 for 9.27.0. Raises RuntimeError when a part is missing or too old."""
    if frontend is None:
        raise RuntimeError(
            f"the cuDNN frontend cannot be imported ({_why_not}): pip install 'mcnbench[cuda13]' (or cuda12)"
        )
    try:
        found = int(frontend.backend_version())
    except RuntimeError as error:
        raise RuntimeError(
            f"the cuDNN frontend is here, but libcudnn is not found: pip install nvidia-cudnn-cu13 (or -cu12): {error}"
        ) from error
    if found < LEAST_VERSION:
        raise RuntimeError(
            f"cuDNN 9.8 or later is needed, found version number {found}: pip install -U nvidia-cudnn-cu13"
        )
    return found


def handle() -> Any:
    """The frontend's handle of the current device, on CuPy's current stream."""
    made = _handle(cupy.cuda.Device().id)
    frontend.set_stream(handle=made, stream=cupy.cuda.get_current_stream().ptr)
    return made


@cache
def _handle(device_id: int) -> Any:
    return frontend.create_handle()


def raw_handle() -> ctypes.c_void_p:
    """The same handle for libcudnn: a number in older frontends, an object in newer ones."""
    made = handle()
    return ctypes.c_void_p(int(getattr(made, "backend_handle", made)))


@cache
def library() -> ctypes.CDLL:
    """libcudnn: of the installed package nvidia-cudnn, which the frontend loads too, or of the system."""
    for folder in sys.path:
        path = Path(folder, "nvidia", "cudnn", "lib", "libcudnn.so.9")
        if path.is_file():
            return ctypes.CDLL(str(path))
    return ctypes.CDLL("libcudnn.so.9")


def call(function: str, *arguments: Any) -> None:
    """Calls a function of libcudnn; raises RuntimeError with its words when it fails."""
    status = getattr(library(), function)(*arguments)
    if status:
        words = library().cudnnGetErrorString
        words.restype = ctypes.c_char_p
        raise RuntimeError(f"{function} failed: {words(status).decode()} ({status})")
