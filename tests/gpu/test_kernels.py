"""Every kernel compiles for the GPUs we name, with what is installed here; no GPU is needed for it."""

from __future__ import annotations

import pytest

from impl.cupy_cuda import launch
from tests.gpu.compilers import Compiler, compilers

ARCHITECTURES = (70, 80, 90)
SIXTEEN_BIT = ("im2row", "max_pool2d", "avg_pool2d", "elementwise", "channel_sums")
CASES = [
    (file, dtype)
    for file in launch.files()
    for dtype in launch.SCALARS
    if dtype.endswith(("32", "64")) or file in SIXTEEN_BIT
]


def compiler_for(architecture: int) -> Compiler:
    """The one that starts fastest comes last: NVRTC before nvcc."""
    for compiler in reversed(compilers()):
        if architecture in compiler.architectures:
            return compiler
    known = "; ".join(f"{c.name} knows sm_{min(c.architectures)} and later" for c in compilers())
    pytest.skip(f"no compiler for sm_{architecture} here ({known or 'neither nvcc nor NVRTC is installed'})")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_kernel_compiles(architecture: int) -> None:
    compiler = compiler_for(architecture)
    # Without NVRTC, nvcc takes half a second a file; one dtype shows there what the host has not compiled yet.
    cases = CASES if compiler.name.startswith("NVRTC") else [(f, d) for f, d in CASES if d in ("float32", "float16")]
    wrong = {case: compiler.errors(launch.source(*case), architecture) for case in cases}
    assert {case: error for case, error in wrong.items() if error} == {}


def test_a_kernel_that_is_wrong_does_not_compile() -> None:
    source = launch.source("im2row", "float32").replace("int pixel = PIXEL;", "int pixel = PIXELS;")
    assert "PIXELS" in compiler_for(90).errors(source, 90)
