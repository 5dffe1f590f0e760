"""The options of `pytest suites/properties`, and the workers in which the backend runs.

One test is one property of one block in one dtype. The backend runs in worker processes, never in pytest's own, so that
a crash or a hang is a failed test and the rest goes on; `--workers 0` runs it in pytest's process, for debuggers.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from mcnbench import backend
from mcnbench.errors import BadInput
from mcnbench.verdict import Verdict
from suites.properties import engine
from suites.properties.pool import Pool, Request, selected, start

POOL = pytest.StashKey[Pool]()
"""Workers that `mcnbench check` started already."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mcnbench")
    group.addoption("--backend", default="numpy", help="a known backend, a module or a file (default: numpy)")
    group.addoption("--block", action="append", metavar="NAME", help="only this block; repeatable")
    group.addoption("--property", action="append", metavar="NAME", help="only this property; repeatable")
    group.addoption("--dtype", action="append", metavar="NAME", help="repeatable (default: float32 and float64)")
    group.addoption("--examples", type=int, default=engine.EXAMPLES, help="cases per test (default: %(default)s)")
    group.addoption("--seed", type=int, default=0, help="the same seed tries the same cases (default: 0)")
    group.addoption("--workers", type=int, default=2, help="worker processes (default: %(default)s; 0: none)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "request_" in metafunc.fixturenames:
        try:
            option = metafunc.config.option
            dtypes = option.dtype or ("float32", "float64")
            requests = selected(option.block or (), option.property or (), dtypes, option.examples, option.seed)
        except BadInput as error:
            raise pytest.UsageError(str(error)) from error
        metafunc.parametrize("request_", requests, ids=[f"{r.block}-{r.property}-{r.dtype}" for r in requests])


class Verdicts:
    """The verdicts of the selected tests, from workers that run ahead of the tests."""

    def __init__(self, config: pytest.Config, requests: list[Request]) -> None:
        self._option = config.option
        self._pool: Pool | None = None
        self._futures: dict[Request, Future[Verdict]] = {}
        if config.option.workers:
            given = config.stash.get(POOL, None)
            # pytest-xdist's processes share the tests out among themselves: none may run ahead.
            self._ahead = not hasattr(config, "workerinput")
            self._pool = given or start(config.option.backend, config.option.workers if self._ahead else 1)
            self._futures = self._pool.submit(requests) if self._ahead else {}

    def __getitem__(self, request: Request) -> Verdict:
        if self._pool is None:
            r = request
            return engine.run(backend(self._option.backend), r.block, r.property, r.dtype, r.examples, r.seed)
        if request not in self._futures:
            self._futures |= self._pool.submit([request])
        return self._futures[request].result()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()


@pytest.fixture(scope="session")
def verdicts(request: pytest.FixtureRequest) -> Iterator[Verdicts]:
    items: list[Any] = request.session.items
    asked = [item.callspec.params["request_"] for item in items if "verdicts" in getattr(item, "fixturenames", ())]
    try:
        found = Verdicts(request.config, asked)
    except BadInput as error:
        pytest.exit(f"mcnbench: {error}", returncode=2)
    yield found
    found.close()
