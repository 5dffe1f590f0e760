"""The onnx package's node tests: which apply, that right blocks pass them and wrong ones do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from frameworks import needs

import mcnbench
from mcnbench import cli
from mcnbench.backends import Backend
from reports import runfile
from suites.conformance.onnx_node_tests import NodeTest, compute, judged, node_tests
from suites.conformance.translation import OPERATORS

pytestmark = needs("onnx")


@pytest.fixture(scope="module")
def tests() -> list[NodeTest]:
    return list(node_tests())


def words(tests: list[NodeTest], backend: Backend) -> dict[str, str]:
    """The verdict of each test that applies."""
    found = {}
    for test in tests:
        if test.call is not None:
            y = compute(backend, test.call.block, test.call.inputs, test.call.options)
            found[test.name] = "UNSUPPORTED" if isinstance(y, str) else judged(test, test.call.output(y))[0]
    return found


def test_every_operator_has_tests_and_every_test_applies_or_says_why_not(tests: list[NodeTest]) -> None:
    assert {test.operator for test in tests if test.call is not None} == set(OPERATORS)
    assert all(bool(test.reason) != (test.call is not None) for test in tests)
    reasons = {test.name: test.reason for test in tests}
    assert reasons["test_add_bcast"] == "broadcasting"
    assert reasons["test_maxpool_2d_dilations"] == "a pooling with dilations"
    assert reasons["test_sce_mean_weight"] == "a loss with weights or labels to be ignored"


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_right_blocks_pass(tests: list[NodeTest], name: str) -> None:
    found = words(tests, mcnbench.backend(name))
    assert set(found.values()) == {"HOLDS"}, [key for key, word in found.items() if word != "HOLDS"]
    assert len(found) > 75


def test_wrong_blocks_fail(tmp_path: Path) -> None:
    """Alpha of a mean, averages over padding, and a relu that is missing: an exit code, a line for each."""
    path, out = tmp_path / "wrong.py", tmp_path / "run.jsonl"
    path.write_text(
        """
from impl import numpy_cpu as own

def local_response_norm(x, *, window, kappa, alpha, beta):
    return own.local_response_norm(x, window=window, kappa=kappa, alpha=alpha / window, beta=beta)

def avg_pool2d(x, **options):
    return own.avg_pool2d(x, **(options | {"count_include_pad": True}))

def tanh(x):
    return own.tanh(x)
"""
    )
    ran = CliRunner().invoke(cli.mcnbench, ["check", str(path), "--onnx-node-tests", "--out", str(out)])
    assert ran.exit_code == 1, ran.output
    found = {line.property: line.verdict for line in runfile.read(out).verdicts}
    assert found["test_averagepool_2d_pads"] == "VIOLATED"
    assert found["test_averagepool_2d_pads_count_include_pad"] == "HOLDS"
    assert found["test_tanh"] == "HOLDS"
    assert found["test_relu"] == "UNSUPPORTED"
    assert "not ours    MaxPool, 1 test: a pooling with dilations" in ran.output
