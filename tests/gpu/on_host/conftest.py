"""These tests need the stand-ins for CuPy and cuDNN, so they run in a process of their own: test_on_host.py."""

from tests.gpu import cudnn_on_host  # noqa: F401  (puts the stand-ins there)
