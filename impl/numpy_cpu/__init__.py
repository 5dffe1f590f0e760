"""The blocks in NumPy, on the CPU, in float32 and float64: one file each, forward and backward side by side.

Every output element is the sum of its products in some order, so componentwise bounds hold.
"""

import numpy as np

from impl.numpy_cpu import compiled
from impl.numpy_cpu.add import add
from impl.numpy_cpu.avg_pool2d import avg_pool2d
from impl.numpy_cpu.batch_norm import batch_norm
from impl.numpy_cpu.concat import concat
from impl.numpy_cpu.conv2d import conv2d, conv2d_relu
from impl.numpy_cpu.conv_transpose2d import conv_transpose2d
from impl.numpy_cpu.dropout import dropout
from impl.numpy_cpu.local_response_norm import local_response_norm
from impl.numpy_cpu.log_loss import log_loss
from impl.numpy_cpu.max_pool2d import max_pool2d
from impl.numpy_cpu.p_distance import p_distance
from impl.numpy_cpu.relu import relu
from impl.numpy_cpu.sgd import prepare, sgd
from impl.numpy_cpu.sigmoid import sigmoid
from impl.numpy_cpu.softmax import softmax
from impl.numpy_cpu.softmax_log_loss import softmax_log_loss
from impl.numpy_cpu.spatial_norm import spatial_norm
from impl.numpy_cpu.tanh import tanh
from impl.numpy_cpu.threads import set_threads

__all__ = [
    "accuracy",
    "add",
    "avg_pool2d",
    "batch_norm",
    "concat",
    "conv2d",
    "conv_transpose2d",
    "dropout",
    "fused",
    "local_response_norm",
    "log_loss",
    "max_pool2d",
    "p_distance",
    "precision",
    "prepare",
    "relu",
    "set_threads",
    "sgd",
    "sigmoid",
    "softmax",
    "softmax_log_loss",
    "spatial_norm",
    "tanh",
    "version",
]

precision = {"float32": "float32", "float64": "float64"}
accuracy = "componentwise"
fused = {("conv2d", "relu"): conv2d_relu}


def version() -> str:
    """NumPy's version, its BLAS, and Numba's version where it is used."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"NumPy {np.__version__}, {blas['name']} {blas['version']}{compiled.version()}"
