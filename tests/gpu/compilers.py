"""The CUDA compilers of this machine: nvcc, and NVRTC libraries of any installed wheel or toolkit. None needs a GPU."""

from __future__ import annotations

import ctypes
import ctypes.util
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Compiler:
    """What it is, the architectures it knows, and a function of source and architecture: "" or what is wrong."""

    name: str
    architectures: tuple[int, ...]
    errors: Callable[[str, int], str]


@cache
def compilers() -> tuple[Compiler, ...]:
    found = [_nvcc()] if shutil.which("nvcc") else []
    wheels = Path(sysconfig.get_path("purelib"), "nvidia").glob("*/lib/libnvrtc.so.*")
    libraries = {str(path) for path in wheels} | {ctypes.util.find_library("nvrtc") or ""} - {""}
    return (*found, *(_nvrtc(library) for library in sorted(libraries)))


def _nvcc() -> Compiler:
    listed = subprocess.run(["nvcc", "--list-gpu-code"], capture_output=True, text=True, check=True).stdout.split()
    release = subprocess.run(["nvcc", "--version"], capture_output=True, text=True, check=True).stdout
    architectures = tuple(int(word[3:]) for word in listed if word[3:].isdigit())

    def errors(source: str, architecture: int) -> str:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "kernel.cu")
            path.write_text(source)
            command = ["nvcc", f"-arch=sm_{architecture}", "-cubin", "-Werror=all-warnings", "-o", f"{path}.cubin"]
            done = subprocess.run([*command, str(path)], capture_output=True, text=True)
            return "" if done.returncode == 0 else done.stdout + done.stderr

    return Compiler(f"nvcc {release.split('release ')[1].split(',')[0]}", architectures, errors)


def _nvrtc(path: str) -> Compiler:
    library = ctypes.CDLL(path)
    major, minor, count = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    library.nvrtcGetNumSupportedArchs(ctypes.byref(count))
    architectures = (ctypes.c_int * count.value)()
    library.nvrtcGetSupportedArchs(architectures)

    def errors(source: str, architecture: int) -> str:
        program = ctypes.c_void_p()
        library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernel.cu", 0, None, None)
        options = (ctypes.c_char_p * 2)(b"-std=c++17", f"-arch=sm_{architecture}".encode())
        failed = library.nvrtcCompileProgram(program, len(options), options)
        size = ctypes.c_size_t()
        library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        library.nvrtcGetProgramLog(program, log)
        library.nvrtcDestroyProgram(ctypes.byref(program))
        return log.value.decode() if failed else ""

    return Compiler(f"NVRTC {major.value}.{minor.value}", tuple(architectures), errors)
