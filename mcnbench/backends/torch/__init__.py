"""PyTorch as a backend: the blocks through torch.nn.functional, the pullbacks through autograd.

One module per family of blocks; where torch's own operation means something else than the block (asymmetric padding,
windows of even size, alpha, ties at the border), the block is composed of torch operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mcnbench.arrays import Array
from mcnbench.backends.torch.activation import add, concat, dropout, relu, sigmoid, tanh
from mcnbench.backends.torch.convolution import conv2d, conv_transpose2d
from mcnbench.backends.torch.loss import log_loss, p_distance, softmax, softmax_log_loss
from mcnbench.backends.torch.normalization import batch_norm, local_response_norm, spatial_norm
from mcnbench.backends.torch.pooling import avg_pool2d, max_pool2d

if TYPE_CHECKING:
    from mcnbench.network import Network
    from mcnbench.training import Steps

__all__ = [
    "add",
    "avg_pool2d",
    "batch_norm",
    "concat",
    "conv2d",
    "conv_transpose2d",
    "dropout",
    "from_numpy",
    "local_response_norm",
    "log_loss",
    "max_pool2d",
    "p_distance",
    "preload",
    "relu",
    "set_threads",
    "sigmoid",
    "softmax",
    "softmax_log_loss",
    "spatial_norm",
    "tanh",
    "to_numpy",
    "training_step",
    "variants",
    "version",
]

variants = ("contiguous", "channels_last")


def version() -> str:
    threads = torch.get_num_threads()
    return f"PyTorch {torch.__version__}, {threads} thread{'s' * (threads != 1)}"


def set_threads(threads: int) -> None:
    torch.set_num_threads(threads)


def from_numpy(a: Array) -> torch.Tensor:
    return torch.from_numpy(a.copy())


def to_numpy(a: torch.Tensor) -> Array:
    return a.detach().numpy()


def preload() -> None:
    """Imports what PyTorch would import on the first training step, which takes seconds."""
    from mcnbench.backends.torch import training  # noqa: F401  # which needs the blocks above

    torch.optim.SGD([torch.zeros(1)], lr=0.0)


def training_step(
    network: Network, parameters: dict[str, Array], inputs: dict[str, Array], variant: str | None
) -> Steps:
    """PyTorch's own way of training (see mcnbench/training.py), in one of the memory formats `variants`."""
    from mcnbench.backends.torch.training import TorchSteps  # which needs the blocks above

    return TorchSteps(network, parameters, inputs, variant)
