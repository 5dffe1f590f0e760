"""PyTorch's blocks, each compiled by torch.compile (TorchInductor, which needs a C++ compiler), forward and backward.

A call with other sizes is compiled anew, which takes seconds: for correctness, not for a table of speeds.
"""

from __future__ import annotations

import shutil
from functools import partial
from typing import Any

import torch
import torch._dynamo.config
import torch._functorch.config

from mcnbench import blocks
from mcnbench.backends import torch as eager
from mcnbench.backends.torch.vjp import Function, transform

config: Any = torch._dynamo.config
config.recompile_limit = config.accumulated_recompile_limit = 1 << 20  # beyond it PyTorch runs eagerly, in silence
torch._functorch.config.donated_buffer = False  # a pullback can be called again

OF_THE_BLOCKS = ("training_step", "variants", "preload")
"""What PyTorch offers beside its blocks would not be compiled."""


def version() -> str:
    """Raises RuntimeError where there is no compiler."""
    if not (shutil.which("g++") or shutil.which("clang++") or shutil.which("c++")):
        raise RuntimeError("torch.compile needs a C++ compiler, and finds no g++")
    return f"{eager.version()}, torch.compile"


def __getattr__(name: str) -> Any:
    """PyTorch's block of that name, compiled; else what PyTorch has."""
    if name.startswith("_") or name in OF_THE_BLOCKS:
        raise AttributeError(name)
    found = getattr(eager, name)
    return partial(_compiled, found) if name in blocks.names() else found


def _compiled(block: Any, *inputs: Any, **options: Any) -> Any:
    before = transform.set(_compile)
    try:
        return block(*inputs, **options)
    finally:
        transform.reset(before)


def _compile(function: Function) -> Function:
    made: Function = torch.compile(function, fullgraph=True, dynamic=False)
    return made
