"""Which of the frameworks are installed: the others' tests are skipped."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

EXTRA = ("jax", "onnxruntime", "openvino", "tensorflow")
INSTALLED = tuple(name for name in EXTRA if find_spec(name))


def needs(*names: str) -> pytest.MarkDecorator:
    """Skips where one of the packages is not installed."""
    missing = [name for name in names if not find_spec(name)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")
