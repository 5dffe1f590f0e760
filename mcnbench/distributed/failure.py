"""What can go wrong on a rank while others wait for it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mcnbench.arrays import Array

LOST = "lost contact with another rank"
"""How the error of a rank begins that is not to blame."""


class Diverged(Exception):
    """This rank's loss, gradient or parameters cannot be used."""


class Lost(Exception):
    """Another rank ended, was silent for too long, or cannot go on: as torch.distributed or neighbours.py found."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"{LOST}: {' '.join(str(error).split())[:200]}")


def from_engine(error: RuntimeError) -> bool:
    """Whether torch.distributed raised it; its Gloo and NCCL name themselves."""
    import torch.distributed as dist

    return isinstance(error, dist.DistError) or any(word in str(error).lower() for word in ("gloo", "nccl", "tcpstore"))


def refuse_not_finite(names: Sequence[str], finite: bool) -> None:
    """Raises Diverged for the gradient of these parameters."""
    if not finite:
        raise Diverged(f"its gradient of {' or '.join(names)} is not finite")


def finite(flat: Array) -> bool:
    """Whether all elements are. A dot product reads them fastest; it overflows, too, where one is huge."""
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(flat.dot(flat)) or bool(np.isfinite(flat).all())
