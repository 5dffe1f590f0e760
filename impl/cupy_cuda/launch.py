"""Our kernels: their sources, compiled by NVRTC once per file, dtype and kind of device, and started over maps, places,
channels or elements.

CuPy's own way of compiling (RawModule(code=...)) always adds -ftz=true, which flushes float32 numbers below 2^-126 to
zero and breaks the error bounds there; so the source is compiled here, and the binary, kept in CuPy's cache folder, is
loaded.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from impl.cupy_cuda.device import cupy

KERNELS = Path(__file__).with_name("kernels")
SCALARS = {"float32": "float", "float64": "double", "float16": "float16", "bfloat16": "bfloat16"}
INCLUDED = {"softmax": "over_channels", "p_distance": "over_channels"}
THREADS = 256  # of a block; the kernels that share memory are written for it
MOST_BLOCKS = 65535  # along y and z
OPTIONS = ("-std=c++17",)


def source(file: str, dtype: str) -> str:
    """The text to compile: SCALAR, what all kernels share (pasted, so that it counts in cache keys), the file."""
    names = ["common.cuh", *([f"{INCLUDED[file]}.cuh"] if file in INCLUDED else []), f"{file}.cu"]
    return f"#define SCALAR {SCALARS[dtype]}\n" + "\n".join((KERNELS / name).read_text("utf-8") for name in names)


def files() -> tuple[str, ...]:
    """The names of all kernel files."""
    return tuple(sorted(path.stem for path in KERNELS.glob("*.cu")))


def over_maps(file: str, kernel: str, dtype: Any, planes: int, pixels: int, *arguments: Any) -> None:
    """Starts a kernel with one thread per pixel of each plane (one channel of one image)."""
    if planes and pixels:
        width = min(THREADS, _rounded_up(pixels, 32))
        depth = THREADS // width
        grid = -(-pixels // width), min(-(-planes // depth), MOST_BLOCKS), 1
        _start(file, kernel, dtype, grid, (width, depth, 1), arguments)


def over_places(file: str, kernel: str, dtype: Any, places: int, pixels: int, *arguments: Any) -> None:
    """Starts a kernel whose threads share the channels of each place (pixel of an image): as many neighbouring places a
    block as a map has, up to 32, and for each of them the rest of the block as lanes."""
    if places:
        width = 1
        while width < min(pixels, 32):
            width *= 2
        _start(file, kernel, dtype, (-(-places // width), 1, 1), (width, THREADS // width, 1), arguments)


def over_channels(kernel: str, dtype: Any, shares: int, channels: int, *arguments: Any) -> None:
    """Starts a kernel of channel_sums.cu: one block per share of a channel."""
    _start("channel_sums", kernel, dtype, (shares, channels, 1), (THREADS, 1, 1), arguments)


def over_elements(file: str, kernel: str, dtype: Any, size: int, *arguments: Any) -> None:
    """Starts a kernel with one thread per element; its last array argument is followed by the size."""
    if size:
        _start(file, kernel, dtype, (min(-(-size // THREADS), 1 << 20), 1, 1), (THREADS, 1, 1), arguments)


def _start(file: str, kernel: str, dtype: Any, grid: tuple[int, ...], block: tuple[int, ...], arguments: Any) -> None:
    name = np.dtype(dtype).name
    real = np.float64 if name == "float64" else np.float32
    _function(KERNELS, file, kernel, name, _device())(grid, block, tuple(_passed(a, real) for a in arguments))


def _passed(a: Any, real: type) -> Any:
    """An argument as the kernel takes it: without this CuPy passes an int as 64 bits and a float as a double."""
    if isinstance(a, cupy.ndarray):
        if not a.flags.c_contiguous:  # kernels get a pointer only
            raise AssertionError(f"a kernel was given an array of shape {a.shape} and strides {a.strides}")
        return a
    if isinstance(a, np.generic):
        return a
    return real(a) if isinstance(a, float) else np.int32(a)


def _device() -> str:
    return str(cupy.cuda.Device().compute_capability)


@cache
def _function(folder: Path, file: str, kernel: str, dtype: str, capability: str) -> Any:
    return _module(folder, file, dtype, capability).get_function(kernel)


@cache
def _module(folder: Path, file: str, dtype: str, capability: str) -> Any:
    text = source(file, dtype)
    release = cupy.cuda.nvrtc.getVersion()
    key = hashlib.sha256(repr((text, OPTIONS, capability, release)).encode()).hexdigest()[:32]
    home = Path(os.environ.get("CUPY_CACHE_DIR", Path.home() / ".cupy" / "kernel_cache"))
    path = home / f"mcnbench-{file}-{key}.cubin"
    if not path.exists():
        binary, _ = cupy.cuda.compiler.compile_using_nvrtc(text, OPTIONS, capability, f"{file}.cu")
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=home, delete=False) as partial:
            partial.write(binary)
        os.replace(partial.name, path)  # another process may be doing the same
    return cupy.RawModule(path=str(path))


def _rounded_up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple
