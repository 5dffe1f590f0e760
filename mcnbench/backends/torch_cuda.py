"""PyTorch on CUDA, the peer on a GPU: eager, in either memory format, TF32 off or on; cuDNN's benchmark mode on.

Each of the four is a backend of its own, so that each has its own row. The blocks are those of the torch backend, which
work wherever their tensors are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from mcnbench.arrays import Array
from mcnbench.backends import torch as on_cpu

if TYPE_CHECKING:
    from mcnbench.network import Network
    from mcnbench.training import Steps


cuda: Any = torch.cuda  # of which PyTorch's types do not know all that is used here
backends: Any = torch.backends


@dataclass(frozen=True)
class TorchCuda:
    """PyTorch on the current GPU, in one memory format and one float32 arithmetic."""

    memory_format: str
    tf32: bool

    @property
    def precision(self) -> dict[str, str]:
        return {"float32": "tf32" if self.tf32 else "float32", "float64": "float64"}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("set_threads", "variants"):
            raise AttributeError(name)
        return getattr(on_cpu, name)

    def version(self) -> str:
        """Raises RuntimeError with the reason when PyTorch has no GPU to run on."""
        if not backends.cuda.is_built():
            raise RuntimeError(f"PyTorch {torch.__version__} was built without CUDA: install one of its CUDA builds")
        if not cuda.is_available():
            raise RuntimeError(f"PyTorch {torch.__version__} finds no NVIDIA driver and GPU it can use")
        self._set_up()
        return (
            f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, cuDNN {backends.cudnn.version()}, "
            f"{cuda.get_device_name()}, {self.memory_format}, TF32 {'on' if self.tf32 else 'off'}, "
            "cuDNN benchmark on"
        )

    def from_numpy(self, a: Array) -> torch.Tensor:
        self._set_up()
        return torch.from_numpy(a.copy()).cuda()

    def to_numpy(self, a: torch.Tensor) -> Array:
        return a.detach().cpu().numpy()

    def synchronize(self) -> None:
        cuda.synchronize()

    def training_step(
        self, network: Network, parameters: dict[str, Array], inputs: dict[str, Array], variant: str | None
    ) -> Steps:
        """PyTorch's own way of training (see mcnbench/training.py)."""
        from mcnbench.backends.torch.training import TorchSteps  # which needs the blocks above

        self._set_up()
        return TorchSteps(network, parameters, inputs, self.memory_format, device="cuda")

    def elapsed_ns(self, work: Callable[[], object]) -> int:
        """Does the work and returns the device's time for it, from an event before it to one after it."""
        start, end = (cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        end.synchronize()
        return round(1e6 * float(start.elapsed_time(end)))

    def reset_peak_bytes(self) -> None:
        """From here on `peak_bytes` counts."""
        cuda.synchronize()
        cuda.empty_cache()
        cuda.reset_peak_memory_stats()

    def peak_bytes(self) -> int:
        """The most memory of the device that PyTorch's pool held at a time."""
        return int(cuda.max_memory_reserved())

    def _set_up(self) -> None:
        """The arithmetic is a setting of the whole process; a worker runs one backend."""
        arithmetic = "tf32" if self.tf32 else "ieee"
        backends.cuda.matmul.fp32_precision = arithmetic
        backends.cudnn.conv.fp32_precision = arithmetic
        backends.cudnn.benchmark = True


contiguous = TorchCuda("contiguous", tf32=False)
channels_last = TorchCuda("channels_last", tf32=False)
contiguous_tf32 = TorchCuda("contiguous", tf32=True)
channels_last_tf32 = TorchCuda("channels_last", tf32=True)
