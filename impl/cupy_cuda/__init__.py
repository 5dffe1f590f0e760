"""The blocks in CuPy and CUDA, on NVIDIA GPUs: matrix products by cuBLAS, everything else by our kernels.

The same functions as impl.numpy_cpu on CuPy arrays. Deterministic: no atomics, gradients gather. Arrays are float32 or
float64; conv2d, pooling and relu also take float16 and bfloat16, with sums in float32. Importing needs no CuPy;
`version()` says what is missing.
"""

from impl.cupy_cuda.add import add
from impl.cupy_cuda.avg_pool2d import avg_pool2d
from impl.cupy_cuda.batch_norm import batch_norm
from impl.cupy_cuda.concat import concat
from impl.cupy_cuda.conv2d import conv2d, conv2d_relu
from impl.cupy_cuda.conv_transpose2d import conv_transpose2d
from impl.cupy_cuda.device import (
    elapsed_ns,
    from_numpy,
    peak_bytes,
    precision,
    reset_peak_bytes,
    synchronize,
    to_numpy,
    version,
)
from impl.cupy_cuda.dropout import dropout
from impl.cupy_cuda.local_response_norm import local_response_norm
from impl.cupy_cuda.log_loss import log_loss
from impl.cupy_cuda.max_pool2d import max_pool2d
from impl.cupy_cuda.p_distance import p_distance
from impl.cupy_cuda.relu import relu
from impl.cupy_cuda.sgd import sgd
from impl.cupy_cuda.sigmoid import sigmoid
from impl.cupy_cuda.softmax import softmax
from impl.cupy_cuda.softmax_log_loss import softmax_log_loss
from impl.cupy_cuda.spatial_norm import spatial_norm
from impl.cupy_cuda.tanh import tanh

__all__ = [
    "accuracy",
    "add",
    "avg_pool2d",
    "batch_norm",
    "concat",
    "conv2d",
    "conv_transpose2d",
    "dropout",
    "elapsed_ns",
    "from_numpy",
    "fused",
    "local_response_norm",
    "log_loss",
    "max_pool2d",
    "p_distance",
    "peak_bytes",
    "precision",
    "relu",
    "reset_peak_bytes",
    "sgd",
    "sigmoid",
    "softmax",
    "softmax_log_loss",
    "spatial_norm",
    "synchronize",
    "tanh",
    "to_numpy",
    "version",
]

accuracy = "componentwise"
fused = {("conv2d", "relu"): conv2d_relu}
