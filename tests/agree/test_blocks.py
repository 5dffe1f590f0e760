"""`mcnbench agree`: what right backends, wrong ones and those that fail come to; every framework's blocks are right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from frameworks import EXTRA, needs

from mcnbench.backends import load
from mcnbench.case import parse
from mcnbench.cli import main, mcnbench
from reports import runfile, schema
from suites.agreement import blocks
from suites.agreement.cases import drawn
from suites.agreement.compute import compute
from suites.agreement.run import started
from suites.conformance.onnx_node_tests import compute as called

OFF = """
import numpy as np

def relu(x, *, slope=0.0):
    return np.where(x > 0, x, slope * x + 0).astype(x.dtype), lambda dy: (np.where(x > 0, dy, slope * dy),)

def tanh(x):
    y = np.tanh(x)
    return y * np.float32(1 + 1e-5), lambda dy: (dy * (1 - y * y),)

def sigmoid(x):
    import os
    os.kill(os.getpid(), 9)

def softmax(x, *, temperature=1.0):
    raise NotImplementedError("no softmax on Fridays")
"""


def run(folder: Path, *arguments: str) -> tuple[int, str, list[schema.Agreement]]:
    """The exit code, what was printed, and the lines of the run file."""
    out = folder / "run.jsonl"
    result = CliRunner().invoke(mcnbench, ["agree", *arguments, "--out", str(out)])
    lines = list(runfile.read(out).agreements) if out.exists() else []
    return result.exit_code, result.output, lines


def of(lines: list[schema.Agreement], block: str, direction: str, *pair: str) -> schema.Agreement:
    (found,) = [x for x in lines if (x.block, x.direction, x.backend, x.other) == (block, direction, *pair)]
    return found


@pytest.fixture
def off(tmp_path: Path) -> str:
    path = tmp_path / "off.py"
    path.write_text(OFF)
    return str(path)


def test_what_differs_crashes_or_is_missing_is_said(tmp_path: Path, off: str) -> None:
    blocks = [f"--block={name}" for name in ("relu", "tanh", "sigmoid", "softmax", "concat")]
    code, said, lines = run(tmp_path, "numpy", off, *blocks, "--examples=3", "--seed=1")
    assert code == 1
    assert len(lines) == 5 * 2 * 3, "each block, direction and pair, the oracle's among them"
    relu = of(lines, "relu", "forward", "numpy", off)
    assert (relu.verdict, relu.equal, relu.worst_ratio, relu.worst_bits) == ("AGREE", relu.examples, 0.0, 24.0)
    assert of(lines, "tanh", "forward", "numpy", "float64").verdict == "AGREE"
    tanh = of(lines, "tanh", "forward", off, "float64")
    assert tanh.verdict == "DIFFER"
    assert tanh.worst_ratio is not None
    assert tanh.worst_ratio > 1
    assert tanh.worst_bits is not None
    assert 16 < tanh.worst_bits < 18, "an error of 1e-5 leaves 16.6 bits"
    assert f"mcnbench check {off} --case '{tanh.reproduce}'" in said.replace("\n", "")
    assert of(lines, "tanh", "backward", "numpy", off).verdict == "AGREE"
    crash = of(lines, "sigmoid", "forward", "numpy", off)
    assert crash.verdict == "ERROR"
    assert "exit code -9" in str(crash.message)
    assert of(lines, "sigmoid", "forward", "numpy", "float64").examples > 1, "the others go on"
    missing = of(lines, "softmax", "forward", "numpy", off)
    assert missing.verdict == "UNSUPPORTED"
    assert "no softmax on Fridays" in str(missing.message)
    assert "has no concat" in str(of(lines, "concat", "forward", off, "float64").message)


def test_the_case_of_a_difference_is_replayed(tmp_path: Path, off: str) -> None:
    line = "tanh x=1x2x3x4 data=normal seed=7"
    code, said, lines = run(tmp_path, "numpy", off, "--case", line)
    assert code == 1
    assert {x.reproduce for x in lines if x.verdict == "DIFFER"} == {"tanh x=1x2x3x4 dtype=float32 data=normal seed=7"}
    assert "1 case in" in said


def test_a_normwise_backend_is_held_to_its_own_bound(tmp_path: Path) -> None:
    case = "conv2d x=2x16x16x16 w=16x16x3x3 padding=1 data=scales seed=1"
    code, _, lines = run(tmp_path, "numpy", "numpy-winograd", "--case", case)
    assert code == 0
    assert all(line.verdict == "AGREE" for line in lines)
    pair = of(lines, "conv2d", "forward", "numpy", "numpy-winograd")
    assert pair.equal == 0
    assert pair.worst_bits is not None
    assert 10 < pair.worst_bits < 24


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["numpy"], 2, "wanted at least two backends"),
        (["numpy", "numpy"], 2, "backend 'numpy' is named twice"),
        (["numpy", "torch", "--block", "conv"], 2, "unknown block 'conv'"),
        (["numpy", "nothere.py"], 2, "does not exist"),
        (["numpy", "torch", "--case", "conv2d x=1x1x1x1"], 2, "says nothing of w"),
    ],
)  # fmt: skip
def test_bad_calls(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr("sys.argv", ["mcnbench", "agree", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
    assert said in capsys.readouterr().err


def test_a_framework_that_is_not_installed_names_its_extra(
    monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mcnbench.backends.EXTRAS", {"jax": "jax"})
    monkeypatch.setattr("mcnbench.backends.util.find_spec", lambda name: None)
    monkeypatch.setattr("sys.argv", ["mcnbench", "agree", "numpy", "jax"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "pip install 'mcnbench[jax]'" in capsys.readouterr().err


def test_the_same_seed_draws_the_same_cases() -> None:
    assert drawn("conv2d", "float32", 5, 3) == drawn("conv2d", "float32", 5, 3) != drawn("conv2d", "float32", 5, 4)


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    result = CliRunner().invoke(
        mcnbench, ["agree", "numpy", "torch", "--case", "relu x=1x2x3x3 seed=1", "--json", str(path)]
    )
    assert result.exit_code == 0
    content = json.loads(path.read_text())
    assert content["backends"]["torch"].startswith("PyTorch")
    assert {(x["backend"], x["other"]) for x in content["agreements"]} == {
        ("numpy", "float64"), ("torch", "float64"), ("numpy", "torch"),
    }  # fmt: skip


LINES = """
add xs=2x3x4x5,2x3x4x5 seed=1
avg_pool2d x=2x3x7x6 window=3,2 stride=2,3 padding=1,2,0,1 ceil_mode=True count_include_pad=True seed=1
batch_norm x=2x3x4x5 gain=3 bias=3 data=channel-scales seed=1
concat xs=2x3x4x5,2x1x4x5 seed=1
conv2d x=2x4x6x5 w=6x2x3x2 b=6 stride=2,1 padding=1,0,2,1 dilation=1,2 groups=2 data=scales seed=1
conv_transpose2d x=2x4x3x5 w=4x3x3x2 b=6 stride=2,3 padding=1,0,0,1 groups=2 seed=1
dropout x=2x3x4x5 mask=2x3x4x5 seed=1
local_response_norm x=2x8x2x3 window=4 kappa=1.0 alpha=0.5 seed=1
log_loss x=2x5x2x3 labels=2x2x3 data=probabilities seed=1
max_pool2d x=2x3x7x6 window=3,2 stride=2,3 padding=1,2,0,1 ceil_mode=True data=permutation seed=1
p_distance x=2x5x2x3 target=2x5x2x3 p=1.5 seed=1
relu x=2x3x4x5 slope=0.1 seed=1
sigmoid x=2x3x4x5 seed=1
softmax x=2x5x2x3 temperature=2.0 seed=1
softmax_log_loss x=2x5x2x3 labels=2x2x3 seed=1
spatial_norm x=2x3x6x5 window=4,3 alpha=0.5 beta=0.75 seed=1
tanh x=2x3x4x5 seed=1
"""


def test_torch_compile_compiles_every_block_whole_and_torch_none(monkeypatch: Any) -> None:
    """Compiling takes seconds a block, so here it is only seen to be asked for, with nothing left to run eagerly."""
    asked: list[dict[str, Any]] = []

    def compile(function: Any, **how: Any) -> Any:
        asked.append(how)
        return function

    monkeypatch.setattr("torch.compile", compile)
    for line in LINES.split("\n")[1:-1]:
        torch = compute(load("torch"), line)
        assert asked == []
        compiled = compute(load("torch-compile"), line)
        assert asked == [{"fullgraph": True, "dynamic": False}]
        assert compiled.values.keys() == torch.values.keys()
        asked.clear()
    assert getattr(load("torch-compile").implementation, "training_step", None) is None, "that would not be compiled"


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(name)) for name in EXTRA])
def test_every_block_of_a_framework_is_within_its_bound(name: str) -> None:
    """One case of each block with all its options, such as no framework's own operation has throughout."""
    found = []
    with started((name,)) as processes:
        for case in map(parse, LINES.split("\n")[1:-1]):
            found += list(blocks.run(processes, case.block, "float32", [case], lambda: None).lines((name,)))
        ones = np.ones((1, 1, 2, 2), np.float32)
        assert processes[0].ask(called, "conv2d", [ones, ones], {}).item() == 4, "b may be left out"
    assert [x for x in found if x.direction == "forward" and x.verdict != "AGREE"] == []
    backward = "AGREE" if name in ("jax", "tensorflow") else "UNSUPPORTED"
    assert [x for x in found if x.direction == "backward" and x.verdict != backward] == []
    assert len(found) == 2 * 17
