"""Backends that do something wrong, as files: our NumPy blocks, whose ReLU goes wrong from a given call on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

FAULTY = '''
"""NumPy's blocks; from call number {start} on, the ReLU does something else."""

import os
import signal
import time

import numpy as np

from impl import numpy_cpu
from impl.numpy_cpu import accuracy, conv2d, max_pool2d, precision, set_threads, softmax_log_loss

calls = 0
kept = []


def version():
    return "faulty"


def relu(x, *, slope=0.0):
    global calls
    calls += 1
    y, pullback = numpy_cpu.relu(x, slope=slope)
    if calls > {start}:
        {fault}
    return y, pullback
'''

FAULTS = {
    "crash": "os.abort()",
    "hang": "time.sleep(1000)",
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "memory": "raise MemoryError",
    "exception": "raise RuntimeError('no more ReLU today')",
    "exit": "os._exit(7)",
    "printing": "print('about to abort', flush=True); os.abort()",
    "wrong": "y = y * np.float32(1.01)",
    "lazy": "kept.append(y); y = kept[0][: len(x)].copy()",
    "nothing": "pass",
}

TINY = """
title = "Tiny"
input = [3, 12, 12]
batch = 4
lr = 1e-4  # thousands of steps on the same images must not diverge
layers = [
  { name = "conv1", block = "conv2d", out_channels = 8, kernel_size = 3 },
  { name = "relu1", block = "relu" },
  { name = "pool1", block = "max_pool2d", window = 2, stride = 2 },
  { name = "fc2", block = "conv2d", out_channels = 10, kernel_size = 5 },
  { name = "loss", block = "softmax_log_loss" },
]
"""

Faulty = Callable[..., str]


@pytest.fixture
def faulty(tmp_path: Path) -> Faulty:
    """Writes a backend with that fault from the ReLU's call number `start` on; returns its path."""

    def write(fault: str, start: int = 0) -> str:
        path = tmp_path / f"{fault}_after_{start}.py"
        path.write_text(FAULTY.format(fault=FAULTS[fault], start=start))
        return str(path)

    return write


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """The path of a small network."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return str(path)
