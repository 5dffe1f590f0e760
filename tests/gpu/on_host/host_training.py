"""Training steps on the CuPy and cuDNN backends: each layer within its bounds, the step's gradients as float64's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cupy
import numpy as np
import pytest

from impl import by_array
from impl import cudnn as cudnn_backend
from impl import cupy_cuda as cupy_backend
from mcnbench import blocks, network, verification
from mcnbench.backends import Backend
from mcnbench.training import Trainer


@pytest.mark.parametrize("implementation", [cupy_backend, cudnn_backend])
@pytest.mark.parametrize("name", ["chain", "graph"])
def test_a_training_step_is_right(name: str, implementation: Any, tmp_path: Path) -> None:
    net = network.load(f"tests/data/{name}.toml")
    backend = Backend(implementation.__name__, implementation)
    trainer = Trainer(net, backend, 2)
    trainer.step()
    assert any(len(run) == 2 for run in trainer.runs), "no convolution runs as one with its ReLU"
    verification.record(trainer, tmp_path, seed=1)
    found = verification.judge(net, tmp_path)
    assert found.verdict == "HOLDS", found.message


@pytest.mark.parametrize("implementation", [cupy_backend, cudnn_backend])
def test_the_device_times_a_step(implementation: Any) -> None:
    done = []
    assert implementation.elapsed_ns(lambda: done.append(1)) > 0
    assert done == [1]


def test_the_same_code_runs_where_its_arrays_are() -> None:
    def layer(x: Any, w: Any) -> tuple[Any, Any]:
        z, back = by_array.conv2d(x, w, stride=2, padding=1, dilation=1, groups=1)
        y, back_relu = by_array.relu(z)
        assert back is not None
        assert back_relu is not None
        return y, back(back_relu(y)[0])[0]

    rng = np.random.default_rng(0)
    x, w = rng.integers(-5, 6, (2, 3, 7, 6)).astype(np.float32), rng.integers(-5, 6, (4, 3, 3, 3)).astype(np.float32)
    on_host, on_device = layer(x, w), layer(cupy.asarray(x), cupy.asarray(w))
    for a, b in zip(on_host, on_device, strict=True):
        assert isinstance(b, cupy.ndarray)
        assert np.array_equal(a, cupy.asnumpy(b))


def test_every_block_can_be_found_by_its_arrays() -> None:
    assert {name for name in blocks.names() if not hasattr(by_array, name)} == set()
