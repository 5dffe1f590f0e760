"""Normalisation on torch."""

from __future__ import annotations

import torch.nn.functional as F

from mcnbench.backends.torch.vjp import Result, Tensor, block


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
