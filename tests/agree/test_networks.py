"""Whole networks on several backends: one step from the same parameters, training beside each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from frameworks import needs

from mcnbench import cli, network
from mcnbench.errors import BadInput
from reports import figures, runfile
from reports.parts import trajectories
from suites.agreement import steps

CHAIN = Path(__file__).parents[1] / "data" / "chain.toml"
pytestmark = needs("safetensors", "sklearn")
WRONG = """
from impl.numpy_cpu import *
from impl import numpy_cpu as own

fused = {}

def conv2d(x, w, b=None, **options):
    y, pull = own.conv2d(x, w, b, **options)
    def pullback(dy):
        dx, dw, db = pull(dy)
        return dx, dw * dw.dtype.type(1.05), db
    return y, pullback

def relu(x, *, slope=0.0):
    y, pull = own.relu(x, slope=slope)
    return y, pull
"""


def test_parameters_are_the_same_and_scaled_ones_carry_the_signal(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    net = network.load("lenet-5")
    for name in ("one", "two"):
        steps.save_parameters(net, tmp_path / name, 3, scaled=True)
    one, two = (load_file(tmp_path / name) for name in ("one", "two"))
    assert one.keys() == set(net.parameters)
    assert all(np.array_equal(one[name], two[name]) for name in one)
    c5 = one["c5.w"]
    assert np.isclose(c5.std() * np.sqrt(c5[0].size), 1, rtol=0.02)


def test_a_step_agrees_and_a_wrong_gradient_does_not(tmp_path: Path) -> None:
    wrong, out = tmp_path / "wrong.py", tmp_path / "run.jsonl"
    wrong.write_text(WRONG)
    only_tanh = tmp_path / "tanh.py"
    only_tanh.write_text("from impl.numpy_cpu import tanh\n")
    command = ["agree", "numpy", str(wrong), str(only_tanh), "--network", str(CHAIN), "--out", str(out)]
    ran = CliRunner().invoke(cli.mcnbench, command)
    assert ran.exit_code == 1, ran.output
    found = {(line.backend, line.other): line for line in runfile.read(out).steps}
    assert len(found) == 3 + 3
    fine = found["numpy", "float64"]
    assert fine.verdict == "AGREE"
    assert fine.gradient is not None
    assert 0 < fine.gradient < 1e-4
    bad = found[str(wrong), "float64"]
    assert bad.verdict == "DIFFER"
    assert bad.gradient == pytest.approx(0.05, rel=1e-3)
    assert str(bad.parameter).endswith(".w")
    assert bad.loss is not None
    assert bad.loss < 1e-5, "forward is right"
    missing = found["numpy", str(only_tanh)]
    assert missing.verdict == "UNSUPPORTED"
    assert "has no block conv2d" in str(missing.message)


def test_training_side_by_side(tmp_path: Path) -> None:
    out = tmp_path / "run.jsonl"
    command = ["agree", "numpy", "torch", "--network", "lenet-5", "--train", "2", "--out", str(out)]
    ran = CliRunner().invoke(cli.mcnbench, command)
    assert ran.exit_code == 0, ran.output
    file = runfile.read(out)
    found = {(way.backend, way.other): way for way in file.trajectories}
    assert set(found) == {("numpy", "float64"), ("torch", "float64"), ("numpy", "torch")}
    for way in found.values():
        assert len(way.distance) == 2
        assert 0 < way.distance[0] < way.distance[-1] < 1e-5, "float32 drifts from the same start"
        assert 0 < way.accuracy < 1
    part = trajectories.part([file])
    assert part is not None
    svg = figures.save(part.drawings[0].draw(), "svg").decode()
    assert ">numpy to float64<" in svg
    assert set(part.drawings[0].data["step"]) == {1, 2}


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--train", "2"], "give it with --network"), (["--network", "alexnet", "--train", "1"], "wants lenet-5")],
)
def test_what_cannot_be_trained(options: list[str], said: str, tmp_path: Path) -> None:
    ran = CliRunner().invoke(cli.mcnbench, ["agree", "numpy", "torch", *options, "--out", str(tmp_path / "run.jsonl")])
    assert isinstance(ran.exception, BadInput)
    assert said in str(ran.exception)
