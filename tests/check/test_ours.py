"""The suite on our own backends and on torch, with a few examples for each block and property."""

from __future__ import annotations

import pytest

import mcnbench
from suites.properties import engine, strategies


@pytest.mark.parametrize("block", strategies.names())
@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_every_property_holds(name: str, block: str) -> None:
    backend = mcnbench.backend(name)
    for property in engine.properties(block):
        for dtype in ("float32", "float64"):
            verdict = engine.run(backend, block, property, dtype, examples=8, seed=2)
            assert verdict.verdict == "HOLDS", verdict
