"""The real cuDNN takes our graphs and offers plans for them, for a GPU that is only described (no GPU is needed).

Needs nvidia-cudnn-frontend and the large cuDNN wheel; skipped where they are not installed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from impl.cudnn import library

HERE = Path(__file__).parent
# What cuDNN's planning links of the driver; without a driver an empty one will do, as nothing is executed.
DRIVER = (
    *("cuGetErrorString", "cuModuleGetFunction", "cuModuleLoadData", "cuModuleUnload"),
    *("cuTensorMapEncodeIm2col", "cuTensorMapEncodeTiled"),
)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    try:
        library.check_library()
    except RuntimeError as error:
        pytest.skip(str(error))
    if shutil.which("gcc") is None:
        pytest.skip("gcc is needed to stand in for the driver")
    folder = tmp_path_factory.mktemp("driver")
    source = folder / "driver.c"
    source.write_text("".join(f"int {name}(void) {{ return 100; }}\n" for name in DRIVER))
    command = ["gcc", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", str(folder / "libcuda.so.1"), str(source)]
    subprocess.run(command, check=True)
    environment = os.environ | {"LD_LIBRARY_PATH": str(folder), "PYTHONPATH": str(HERE.parents[1])}
    command = [sys.executable, str(HERE / "plan_described.py"), str(HERE / "described_h200.json"), "90"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_every_convolution_has_a_deterministic_plan_in_full_precision(planned: dict[str, Any]) -> None:
    assert len(planned["plans"]) == 7 * 4 * 3
    assert [entry["case"] for entry in planned["plans"] if not entry["plans"]] == []


def test_barring_the_note_is_what_keeps_tf32_out(planned: dict[str, Any]) -> None:
    """If every plan, or none, carried the note, then float32 would have no plan, or TF32 would slip in."""
    with_note = [name for name, notes in planned["notes"].items() if "TENSOR_CORE" in notes]
    assert 0 < len(with_note) < len(planned["notes"])
    strict = next(e["plans"] for e in planned["plans"] if e["dtype"] == "float32" and "fprop" in e["case"])
    assert not set(with_note) & set(strict)


def test_pooled_sizes_are_cudnns(planned: dict[str, Any]) -> None:
    for theirs, ours in planned["pooled"]:
        assert theirs == ours
