"""What can go wrong on a rank while others wait for it."""

from __future__ import annotations

LOST = "lost contact with another rank"
"""How the error of a rank begins that is not to blame."""


class Diverged(Exception):
    """This rank's loss, gradient or parameters cannot be used."""


class Lost(Exception):
    """torch.distributed gave up: another rank ended, or was silent for too long."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"{LOST}: {' '.join(str(error).split())[:200]}")


def from_engine(error: RuntimeError) -> bool:
    """Whether torch.distributed raised it; its Gloo and NCCL name themselves."""
    import torch.distributed as dist

    return isinstance(error, dist.DistError) or any(word in str(error).lower() for word in ("gloo", "nccl", "tcpstore"))
