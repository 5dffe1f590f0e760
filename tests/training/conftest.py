"""Small networks, and backends that differ from the NumPy one in a single function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import impl.numpy_cpu
from mcnbench import network
from mcnbench.backends import Backend
from mcnbench.network import Network

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="session")
def chain() -> Network:
    return network.load(str(DATA / "chain.toml"))


@pytest.fixture(scope="session")
def graph() -> Network:
    return network.load(str(DATA / "graph.toml"))


@pytest.fixture
def altered() -> Callable[..., Backend]:
    """The NumPy backend with some of its functions replaced."""

    def alter(**functions: Any) -> Backend:
        own = {name: getattr(impl.numpy_cpu, name) for name in dir(impl.numpy_cpu) if not name.startswith("__")}
        return Backend("altered", SimpleNamespace(**(own | functions)))

    return alter
