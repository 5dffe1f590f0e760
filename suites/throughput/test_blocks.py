"""Times one block in one direction, and holds its results to the block's bounds before and after, on fresh data."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from mcnbench import blocks
from mcnbench.backends import Backend
from mcnbench.case import parse
from mcnbench.measure import block_timing
from suites.properties import engine

PROPERTY = {"forward": "bounded", "backward": "gradient-bounded"}


@pytest.mark.parametrize("direction", block_timing.DIRECTIONS)
def test_block(benchmark: BenchmarkFixture, backend: Backend, line: str, places: list[str], direction: str) -> None:
    case = parse(line)
    if backend.block(case.block) is None:
        pytest.skip(f"{backend.name} has no {case.block}")
    _hold(backend, line, direction, seed=1)
    timed = block_timing.prepare(backend, case)
    call = timed.forward if direction == "forward" else timed.backward
    if call is None:
        pytest.skip(f"{backend.name} has no pullback of {case.block}")
    work = blocks.block(case.block).work(case.shapes, case.options)
    benchmark.extra_info.update(
        case=line,
        layers=places,
        backend=backend.name,
        receipt=backend.version(),
        direction=direction,
        layout=timed.layout,
        images=case.shapes[0][0] if case.shapes[0] else 0,
        flops=work.forward_flops if direction == "forward" else work.backward_flops,
        bytes=work.forward_bytes if direction == "forward" else work.backward_bytes,
    )
    benchmark.group = f"{places[0]} {direction}"
    benchmark(call)
    _hold(backend, line, direction, seed=2)


def _hold(backend: Backend, line: str, direction: str, seed: int) -> None:
    """Fails, so that no time is reported, unless the block is right at these sizes on fresh data."""
    verdict = engine.replay(backend, replace(parse(line), seed=seed), PROPERTY[direction])
    if verdict.verdict == "UNSUPPORTED":
        pytest.skip(verdict.message)
    if verdict.verdict != "HOLDS":
        pytest.fail(f"{verdict.verdict}: {verdict.message}", pytrace=False)
