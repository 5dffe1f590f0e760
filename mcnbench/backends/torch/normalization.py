"""Normalisation on torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from mcnbench.backends.torch.pooling import window_sum
from mcnbench.backends.torch.vjp import Result, Tensor, block, vjp
from mcnbench.blocks.spatial_norm import spatial_windows


def local_response_norm(
    x: Tensor, *, window: int = 5, kappa: float = 2.0, alpha: float = 1e-4, beta: float = 0.75
) -> Result:
    def function(x: Tensor) -> Tensor:
        if window % 2:  # torch divides alpha by the window
            return F.local_response_norm(x, window, alpha * window, beta, kappa)
        # An even window leans to the higher channel, torch's to the lower.
        before, after = (window - 1) // 2, window // 2
        squares = F.pad((x * x).unsqueeze(1), (0, 0, 0, 0, before, after))
        energy = F.avg_pool3d(squares, (window, 1, 1), stride=1, divisor_override=1).squeeze(1)
        return x * (kappa + alpha * energy) ** -beta

    return block("local_response_norm", function, x, window=window, kappa=kappa, alpha=alpha, beta=beta)


def batch_norm(
    x: Tensor, gain: Tensor, bias: Tensor, *, epsilon: float = 1e-4, moments: tuple[Tensor, Tensor] | None = None
) -> Result:
    training = moments is None
    mean, variance = moments or (None, None)

    def function(x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
        # Not F.batch_norm, which refuses to train on a single pixel.
        return torch.batch_norm(x, gain, bias, mean, variance, training, 0.0, epsilon, False)

    return block("batch_norm", function, x, gain, bias, epsilon=epsilon, moments=moments)


def spatial_norm(x: Tensor, *, window: int | tuple[int, int], alpha: float, beta: float) -> Result:
    at = spatial_windows(tuple(x.shape), window, alpha)
    pixels = torch.from_numpy(at.divisors(count_include_pad=False)).to(x)
    return vjp(lambda x: x * (1 + alpha * (window_sum(x * x, at) / pixels)) ** -beta, x)
