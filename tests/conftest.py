"""For all tests."""

import os

# Tests start pytest in processes of their own; there pytest-benchmark measures nothing under pytest-xdist's variables.
for name in [name for name in os.environ if name.startswith("PYTEST_XDIST")]:
    del os.environ[name]
