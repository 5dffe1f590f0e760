"""The blocks in NumPy, on the CPU, in float32 and float64: one file each, forward and backward side by side.

Every output element is the sum of its products in some order, so componentwise bounds hold.
"""

import numpy as np

from impl.numpy_cpu.conv2d import conv2d
from impl.numpy_cpu.dropout import dropout
from impl.numpy_cpu.local_response_norm import local_response_norm
from impl.numpy_cpu.max_pool2d import max_pool2d
from impl.numpy_cpu.relu import relu
from impl.numpy_cpu.softmax_log_loss import softmax_log_loss
from impl.numpy_cpu.threads import set_threads

__all__ = [
    "accuracy",
    "conv2d",
    "dropout",
    "local_response_norm",
    "max_pool2d",
    "precision",
    "relu",
    "set_threads",
    "softmax_log_loss",
    "version",
]

precision = {"float32": "float32", "float64": "float64"}
accuracy = "componentwise"


def version() -> str:
    """NumPy's version and its BLAS."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"NumPy {np.__version__}, {blas['name']} {blas['version']}"
