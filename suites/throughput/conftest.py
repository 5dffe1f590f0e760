"""The options of the throughput suite, and its cases.

pytest suites/throughput --backend numpy --benchmark-only
pytest suites/throughput --backend my_blocks.py --network vgg-vd-16 --block conv2d --images 8 --benchmark-only
"""

from __future__ import annotations

import os

import pytest

import mcnbench
from mcnbench import blocks, network
from mcnbench.backends import Backend
from mcnbench.errors import BadInput, unknown
from mcnbench.measure import layers

SIX = ("alexnet", "vgg-f", "vgg-m", "vgg-s", "vgg-vd-16", "vgg-vd-19")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mcnbench throughput")
    group.addoption("--backend", default="numpy", help="a name, a module or a file")
    group.addoption("--network", action="append", help=f"repeatable; default: {', '.join(SIX)}")
    group.addoption("--block", action="append", help="repeatable; default: all that the networks have")
    group.addoption("--images", type=int, default=2, help="images per call")
    group.addoption("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of the backend")


@pytest.fixture(scope="session")
def backend(pytestconfig: pytest.Config) -> Backend:
    """The backend under test, with its threads set."""
    try:
        found = mcnbench.backend(pytestconfig.getoption("--backend"))
    except BadInput as error:
        raise pytest.UsageError(str(error)) from error
    set_threads = getattr(found.implementation, "set_threads", None)
    if set_threads is not None:
        set_threads(pytestconfig.getoption("--threads"))
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each distinct case; the layers that have it are told in its extra_info."""
    config = metafunc.config
    wanted = config.getoption("--block") or blocks.names()
    found: dict[str, list[str]] = {}
    try:
        for name in wanted:
            if name not in blocks.names():
                raise unknown("block", name, blocks.names())
        for name in config.getoption("--network") or SIX:
            net = network.load(name)
            for layer, drawn in layers.cases(net, config.getoption("--images"), "float32", seed=0).items():
                if drawn.block in wanted:
                    found.setdefault(str(drawn), []).append(f"{net.name}/{layer}")
    except BadInput as error:
        raise pytest.UsageError(str(error)) from error
    metafunc.parametrize(("line", "places"), list(found.items()), ids=[places[0] for places in found.values()])
