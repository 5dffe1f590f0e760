"""Sixteen ways in which blocks are often wrong, each caught at the default settings; without the fault all holds."""

from __future__ import annotations

import pytest

from suites.properties import engine
from tests.check import wrong

CAUGHT = [
    ("padding top and bottom exchanged", "conv2d", "exact"),
    ("last column unwritten", "conv2d", "exact"),
    ("stride of rows used for columns", "conv2d", "shape"),
    ("dilation ignored in dw", "conv2d", "gradient-exact"),
    ("groups shifted by one", "conv2d", "exact"),
    ("dx overwritten where windows overlap", "conv2d", "gradient-exact"),
    ("average divided by the full window at the border", "avg_pool2d", "bounded"),
    ("LRN window leaning the wrong way when even", "local_response_norm", "bounded"),
    ("alpha divided by the window", "local_response_norm", "bounded"),
    ("batch_norm's variance unbiased", "batch_norm", "bounded"),
    ("softmax without the maximum taken out", "softmax", "bounded"),
    ("float16 accumulation", "conv2d", "bounded"),
    ("TF32 products", "conv2d", "bounded"),
    ("an input changed in place", "relu", "leaves-inputs"),
    ("the previous call's result returned", "relu", "deterministic"),
    ("uninitialised output", "conv2d", "writes-all"),
]


@pytest.mark.parametrize(("fault", "block", "property"), CAUGHT, ids=[fault for fault, _, _ in CAUGHT])
def test_caught_at_the_default_settings(fault: str, block: str, property: str) -> None:
    verdict = engine.run(wrong.backend(block, fault), block, property)
    assert verdict.verdict == "VIOLATED", verdict


@pytest.mark.parametrize("block", wrong.BLOCKS)
def test_without_the_fault_everything_holds(block: str) -> None:
    right = wrong.backend(block)
    for property in engine.properties(block):
        if property != "rejects-invalid" or block == "conv2d":
            verdict = engine.run(right, block, property, examples=10)
            assert verdict.verdict == "HOLDS", verdict
