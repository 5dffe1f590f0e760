"""The CuPy and cuDNN backends on stand-ins, in processes of their own: CuPy and cuDNN must not be there already."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from impl.cupy_cuda import launch
from mcnbench import blocks

ROOT = Path(__file__).parents[2]


EXAMPLES = "5"  # per block and property; with fewer, some cases could hardly have failed and are mistrusted


def check(backend: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`mcnbench check` of that backend file."""
    command = [sys.executable, "-m", "mcnbench", "check", backend, "--examples", EXAMPLES, *options]
    files = ["--out", str(folder / "check.jsonl"), "--json", str(folder / "check.json")]
    return subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("backend", ["cupy_on_host", "cudnn_on_host"])
def test_all_blocks_hold_under_the_property_suites(backend: str, tmp_path: Path) -> None:
    done = check(f"tests/gpu/{backend}.py", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = json.loads((tmp_path / "check.json").read_text())["verdicts"]
    assert {verdict["block"] for verdict in verdicts} == set(blocks.names())


# Each is a slip of one place or one term, in a file of its own.
PLANTED = {
    "conv2d": ("im2row.cu", "w >= 0 && w < width) *at", "w >= 0 && w <= width) *at"),
    "max_pool2d": ("max_pool2d.cu", "value > most ||", "value >= most ||"),
    "avg_pool2d": ("avg_pool2d.cu", "at_most(start + taps, high)", "at_most(start + taps - 1, high)"),
    "local_response_norm": (
        "local_response_norm.cu",
        "at_most(c + above + 1, channels)",
        "at_most(c + above, channels)",
    ),
    "batch_norm": (
        "channel_sums.cu",
        "for (int half = THREADS / 2; half > 0;",
        "for (int half = THREADS / 2; half > 1;",
    ),
    "softmax": ("over_channels.cuh", "(threadIdx.y + half) * blockDim.x", "(threadIdx.y + half - 1) * blockDim.x"),
}


def test_an_off_by_one_in_a_kernel_is_found(tmp_path: Path) -> None:
    kernels = tmp_path / "kernels"
    shutil.copytree(launch.KERNELS, kernels)
    for file, right, wrong in PLANTED.values():
        text = (kernels / file).read_text()
        assert right in text
        (kernels / file).write_text(text.replace(right, wrong))
    planted = tmp_path / "planted.py"
    planted.write_text(
        "from pathlib import Path\n"
        "from tests.gpu.cupy_on_host import *\n"
        "from impl.cupy_cuda import launch\n"
        f"launch.KERNELS = Path({str(kernels)!r})\n"
    )
    properties = [word for name in ("bounded", "gradient-bounded", "ties") for word in ("--property", name)]
    chosen = [word for block in PLANTED for word in ("--block", block)]
    done = check(str(planted), tmp_path, *properties, *chosen, "--dtype", "float32")
    assert done.returncode == 1, done.stdout + done.stderr
    verdicts = json.loads((tmp_path / "check.json").read_text())["verdicts"]
    assert {v["block"] for v in verdicts if v["verdict"] == "VIOLATED"} == set(PLANTED)


def test_on_the_stand_ins() -> None:
    # The plug-in puts the stand-ins in place before the tests import anything.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.gpu.cudnn_on_host", "-o", "python_files=host_*.py"]
    done = subprocess.run([*command, "tests/gpu/on_host"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
