"""The throughput suite and layer-speed, run for real on a tiny network; a wrong block gets no time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from mcnbench import ROOT, case, network, runfile
from mcnbench.measure import layers

SMALL = "tests/data/chain.toml"
WRONG = """
from impl.numpy_cpu import *
from impl.numpy_cpu import relu as right, set_threads, from_numpy as _

def relu(x, *, slope=0.0):
    y, pullback = right(x, slope=slope)
    return y, lambda dy: (pullback(dy)[0] * 1.001,)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def suite(folder: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], list[dict[str, object]]]:
    out = folder / "benchmark.json"
    done = run(
        *("pytest", "suites/throughput", "-q", "-p", "no:cacheprovider", "--benchmark-only", "--network", SMALL),
        *("--benchmark-max-time=0.01", "--benchmark-min-rounds=1", f"--benchmark-json={out}", *options),
    )
    return done, json.loads(out.read_text())["benchmarks"] if out.exists() and out.stat().st_size else []


@pytest.fixture
def wrong(tmp_path: Path) -> str:
    path = tmp_path / "wrong_blocks.py"
    path.write_text(WRONG.replace(", from_numpy as _", ""))
    return str(path)


def test_sizes_are_read_from_the_network() -> None:
    net = network.load("alexnet")
    found = layers.cases(net, 2, "float32", seed=0)
    assert list(found) == [layer.name for layer in net.layers]
    # networks.md: AlexNet, conv 5x5,256 p2 g2, on a map of 27x27x96
    assert str(found["conv2"]).startswith("conv2d x=2x96x27x27 w=256x48x5x5 b=256 ")
    assert found["conv2"].options == next(layer.options for layer in net.layers if layer.name == "conv2")
    assert found["loss"].output_shape == ()


def test_every_block_in_both_directions_with_what_it_does(tmp_path: Path) -> None:
    done, benchmarks = suite(tmp_path, "--backend", "numpy", "--images", "3")
    assert done.returncode == 0, done.stdout
    info = [benchmark["extra_info"] for benchmark in benchmarks]
    assert all(isinstance(each, dict) for each in info)
    directions = {(each["layers"][0], each["direction"]) for each in info}  # type: ignore[index]
    placed = {place for each in info for place in each["layers"]}  # type: ignore[index]
    net = network.load(SMALL)
    assert placed == {f"{net.name}/{layer.name}" for layer in net.layers}
    assert {direction for _, direction in directions} == {"forward", "backward"}
    for each in info:
        assert each["images"] == 3  # type: ignore[index]
        assert case.parse(each["case"])  # type: ignore[index]
        assert each["bytes"] > 0  # type: ignore[index]
    convolution = next(each for each in info if each["case"].startswith("conv2d") and each["direction"] == "forward")  # type: ignore[index]
    drawn = case.parse(convolution["case"])  # type: ignore[index]
    n, k, p, q = drawn.output_shape
    c, r, s = drawn.shapes[1][1:]  # type: ignore[index]
    assert convolution["flops"] == 2 * n * k * p * q * c * r * s  # type: ignore[index]


def test_a_wrong_block_fails_its_benchmark(tmp_path: Path, wrong: str) -> None:
    done, benchmarks = suite(tmp_path, "--backend", wrong, "--block", "relu")
    assert done.returncode == 1, done.stdout
    assert "VIOLATED: dx is not what the oracle says" in done.stdout
    assert {benchmark["extra_info"]["direction"] for benchmark in benchmarks} == {"forward"}  # type: ignore[index]


def test_layer_speed_times_what_is_right_and_only_that(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "layers.jsonl"
    done = run(
        *("mcnbench", "run", "layer-speed", "-n", SMALL, "-b", "numpy", "-b", wrong, "-b", "torch", "--batch", "2"),
        *("--budget", "5s", "--out", str(path)),
    )
    assert done.returncode == 1, done.stderr  # one backend is wrong
    found = runfile.read(path)
    net = network.load(SMALL)
    assert {m.case.split("/", 2)[2] for m in found.measurements} == {
        f"{layer.name}/{direction}" for layer in net.layers for direction in ("forward", "backward")
    }
    relu = next(layer.name for layer in net.layers if layer.block == "relu")
    by = {(m.case.split("/", 2)[2], m.backend): m for m in found.measurements}
    assert by[f"{relu}/backward", "numpy"].verified.holds
    assert len(by[f"{relu}/backward", "numpy"].samples_ns) >= 2
    assert by[f"{relu}/backward", wrong].verified.before == "VIOLATED"
    assert by[f"{relu}/backward", wrong].samples_ns == []
    assert "dx: error / bound" in (by[f"{relu}/backward", wrong].verified.message or "")
    assert "WRONG" in done.stdout
    report = run("mcnbench", "report", str(path), "--out", str(tmp_path / "report"))
    assert report.returncode == 0, report.stderr
    assert (tmp_path / "report" / "layer-speed-layers.svg").exists()
    roofline = pd.read_csv(tmp_path / "report" / "layer-speed-roofline.csv")
    assert set(roofline["direction"]) == {"forward", "backward"}
    assert (roofline[["intensity", "rate", "attainable"]] > 0).all(axis=None)
