"""Which GPU a rank uses, and whether NCCL can join the ranks: not where two share a GPU. NOT MEASURED: no GPU so far.

Ranks of a machine take its GPUs in turn. A rank sees its own one only, so that CuPy, cuDNN and PyTorch mean the same.
"""

from __future__ import annotations

import os
from typing import Any

import torch


def take(local_rank: int) -> None:
    """Leaves this process the one GPU that is its own; to be called before anything uses CUDA."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    names = visible.split(",") if visible else [str(i) for i in range(count)]
    if names:
        os.environ["CUDA_VISIBLE_DEVICES"] = names[local_rank % len(names)]


def engine(device: str, store: Any, rank: int, ranks: int) -> str:
    """ "nccl" where every rank has a GPU of its own, else "gloo", which also sums what lies on GPUs, over the host."""
    if device == "cpu":
        return "gloo"
    mine = f"{os.uname().nodename}/{os.environ.get('CUDA_VISIBLE_DEVICES', rank)}"
    store.set(f"gpu/{rank}", mine)
    seen = {store.get(f"gpu/{other}") for other in range(ranks)}
    return "nccl" if len(seen) == ranks else "gloo"
