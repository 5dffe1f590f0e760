"""The blocks are tested twice: with their loops compiled by Numba, and in NumPy alone."""

from collections.abc import Iterator

import pytest

from impl.numpy_cpu import compiled


@pytest.fixture(scope="module", params=["numba", "numpy alone"], autouse=True)
def loops(request: pytest.FixtureRequest) -> Iterator[None]:
    installed = compiled.available
    if request.param == "numba" and not installed:
        pytest.skip("Numba is not installed: pip install 'mcnbench[numba]'")
    compiled.available = request.param == "numba"
    yield
    compiled.available = installed
