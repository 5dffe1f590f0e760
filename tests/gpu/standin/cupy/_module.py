"""Compiling the kernels for the host with g++, and starting them with arguments checked by type."""

from __future__ import annotations

import ctypes
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from cupy._array import ndarray

HERE = Path(__file__).parent
WORDS = {np.dtype("int32"): "i", np.dtype("int64"): "l", np.dtype("float32"): "f", np.dtype("float64"): "d"}


def compile_using_nvrtc(
    text: str, options: Any = (), arch: Any = None, filename: str = "kern.cu"
) -> tuple[bytes, None]:
    """A shared library in place of a binary for the GPU: for each kernel its name_words and name_launch."""
    kernels = re.findall(r"__global__ void (\w+)\(", text)
    ends = [f'extern "C" void {k}_unpack(void** a) {{ host::apply({k}, a); }}\n' for k in kernels]
    for k in kernels:
        ends.append(f'extern "C" const char* {k}_words() {{ return host::words({k}); }}\n')
        ends.append(
            f'extern "C" void {k}_launch(const int* grid, const int* block, void** a, bool reversed) {{ host::launch('
            f"{k}_unpack, {str('__syncthreads' in text).lower()}, grid, block, a, reversed); }}\n"
        )
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "kernel.cpp"), Path(folder, "kernel.so")
        source.write_text((HERE / "prelude.h").read_text() + f'#line 1 "{filename}"\n' + text + "\n" + "".join(ends))
        command = ["g++", "-std=c++17", "-O1", "-w", "-shared", "-fPIC", "-o", str(library), str(source)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{filename} does not compile for the host:\n{done.stderr}")
        return library.read_bytes(), None


class RawModule:
    def __init__(self, *, path: str) -> None:
        self.library = ctypes.CDLL(path)

    def get_function(self, name: str) -> Kernel:
        return Kernel(self.library, name)


class Kernel:
    """Takes what CuPy's does, and refuses what CuPy would pass on wrongly."""

    launches = 0

    def __init__(self, library: ctypes.CDLL, name: str) -> None:
        self.name = name
        words = library[f"{name}_words"]
        words.restype = ctypes.c_char_p
        self.words = words().decode().split()
        self.launch = library[f"{name}_launch"]

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
        assert len(grid) == len(block) == 3
        assert grid[0] < 2**31
        assert max(grid[1:]) < 2**16
        assert np.prod(block) <= 1024
        assert len(arguments) == len(self.words), f"{self.name} takes {self.words}, got {len(arguments)} arguments"
        cells = []
        for word, a in zip(self.words, arguments, strict=True):
            if word[0] in "rw":
                assert isinstance(a, ndarray), f"{self.name} wants an array, got {type(a).__name__}"
                assert a.itemsize == int(word[1:]), f"{self.name} wants {word}, got an array of {a.dtype}"
                cells.append(ctypes.c_void_p(a.values.ctypes.data))
            else:
                assert WORDS.get(getattr(a, "dtype", None)) == word, f"{self.name} wants {word}, got {a!r}"
                cells.append(np.ctypeslib.as_ctypes_type(a.dtype)(a.item()))
        pointers = (ctypes.c_void_p * len(cells))(*(ctypes.addressof(cell) for cell in cells))
        Kernel.launches += 1
        self.launch((ctypes.c_int * 3)(*grid), (ctypes.c_int * 3)(*block), pointers, Kernel.launches % 2 == 0)
        for a in arguments:
            assert not isinstance(a, ndarray) or a.intact(), f"{self.name} wrote outside an array of shape {a.shape}"
