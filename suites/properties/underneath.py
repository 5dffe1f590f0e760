"""Whether a backend that is not PyTorch calls PyTorch: the oracle is made of torch, and cannot judge itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

from mcnbench.backends import Backend

PLAIN = {"clone", "copy_", "empty", "empty_like", "empty_strided", "full", "lift_fresh", "ones", "scalar_tensor"}
PLAIN |= {"ones_like", "zeros", "zeros_like", "_to_copy", "detach", "fill_", "zero_", "new_zeros"}
"""What only makes and copies tensors, beside views."""


def says_torch(backend: Backend) -> bool:
    """Whether the backend is PyTorch by its own account: it takes tensors, or its receipt names torch."""
    import numpy as np
    import torch

    try:
        return "torch" in backend.version().lower() or isinstance(backend.from_numpy(np.zeros(1)), torch.Tensor)
    except Exception:  # a receipt or an array that cannot be had is found elsewhere
        return False


def watched(call: Callable[..., Any], into: list[str] | None) -> Callable[..., Any]:
    """The call, with the names of the torch operators that compute something added to `into` as they are called."""
    if into is None:
        return call

    def watching(*args: Any, **keywords: Any) -> Any:
        with _watch(into):
            return call(*args, **keywords)

    return watching


def _watch(into: list[str]) -> AbstractContextManager[Any]:
    if into:
        return nullcontext()  # one is enough
    made: AbstractContextManager[Any] = _watching()(into)
    return made


@cache
def _watching() -> Callable[[list[str]], Any]:
    """The class of what watches; PyTorch is imported only now."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own class is not typed throughout
        def __init__(self, into: list[str]) -> None:
            super().__init__()  # type: ignore[no-untyped-call]  # as above
            self.into = into

        def __torch_dispatch__(self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None) -> Any:
            namespace, _, name = func._schema.name.rpartition("::")
            if name not in PLAIN and not func.is_view:
                self.into.append(f"{namespace}::{name}")
            return func(*args, **(kwargs or {}))

    return Watch
