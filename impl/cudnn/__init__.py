"""The blocks on cuDNN where it has them: convolutions by its graphs, pooling, LRN, batch norm and softmax by libcudnn.

The same functions as impl.cupy_cuda, on CuPy arrays. relu, sigmoid, tanh, the losses, p_distance, spatial_norm,
dropout, concat and add are those of impl.cupy_cuda. Plans are chosen by measured time among the deterministic ones;
TF32 is off unless asked for.
"""

from impl.cudnn.choice import recorded
from impl.cudnn.convolution import conv2d, conv2d_relu, conv_transpose2d
from impl.cudnn.library import version
from impl.cudnn.normalization import batch_norm, local_response_norm
from impl.cudnn.pooling import avg_pool2d, max_pool2d
from impl.cudnn.softmax import softmax
from impl.cupy_cuda import (
    add,
    concat,
    dropout,
    elapsed_ns,
    from_numpy,
    log_loss,
    p_distance,
    peak_bytes,
    precision,
    relu,
    reset_peak_bytes,
    sgd,
    sigmoid,
    softmax_log_loss,
    spatial_norm,
    synchronize,
    tanh,
    to_numpy,
)

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
    "recorded",
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
