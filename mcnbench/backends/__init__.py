"""Backends: implementations of some or all blocks, found by name, as a module, or as a file.

A backend is any module or object with functions named after the blocks; each returns (y, pullback). Optional
attributes: `version()` (the receipt; raises with the reason if it cannot run here), `from_numpy(a)`, `to_numpy(a)`,
`synchronize()`, `precision` ({"float32": "tf32"} where it is), `accuracy` ("componentwise" or "normwise"),
`set_threads(n)`, `preload()` (imports what would else be imported on first use); of a backend on a device
`elapsed_ns(work)`, `reset_peak_bytes()`, `peak_bytes()`; and for training steps `prepare(w)`, `fused`, `sgd`,
`training_step` (see mcnbench/training.py).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module, util
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from mcnbench import blocks
from mcnbench.arrays import Array
from mcnbench.errors import BadInput, unknown

KNOWN = {
    "numpy": "impl.numpy_cpu",
    "numpy-winograd": "impl.numpy_winograd",
    "cupy": "impl.cupy_cuda",
    "cudnn": "impl.cudnn",
    "torch": "mcnbench.backends.torch",
    "torch-compile": "mcnbench.backends.torch_compile",
    "jax": "mcnbench.backends.jax",
    "onnxruntime": "mcnbench.backends.onnxruntime",
    "openvino": "mcnbench.backends.openvino",
    "tensorflow": "mcnbench.backends.tensorflow",
    "torch-cuda": "mcnbench.backends.torch_cuda:contiguous",
    "torch-cuda-channels-last": "mcnbench.backends.torch_cuda:channels_last",
    "torch-cuda-tf32": "mcnbench.backends.torch_cuda:contiguous_tf32",
    "torch-cuda-tf32-channels-last": "mcnbench.backends.torch_cuda:channels_last_tf32",
}

EXTRAS = {"jax": "jax", "onnxruntime": "onnx", "openvino": "openvino", "tensorflow": "tensorflow"}
"""The extra that brings the package of a known backend."""


class Backend:
    """A backend under its name, with the defaults of what it may leave out."""

    def __init__(self, name: str, implementation: Any) -> None:
        self.name = name
        self.implementation = implementation

    def __repr__(self) -> str:
        return f"Backend({self.name!r})"

    def block(self, name: str) -> Callable[..., Any] | None:
        """The function of that block; None where the backend has none."""
        function = getattr(self.implementation, name, None)
        return function if callable(function) else None

    def blocks(self) -> tuple[str, ...]:
        """The names of the blocks that the backend has."""
        return tuple(name for name in blocks.names() if self.block(name))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.implementation, name)

    def version(self) -> str:
        """One line that says what would be measured; raises, with the reason, if it cannot run here."""
        return str(getattr(self.implementation, "version", lambda: "unversioned")())

    def from_numpy(self, a: Array) -> Any:
        """The array as the backend's blocks take it."""
        return getattr(self.implementation, "from_numpy", _as_is)(a)

    def to_numpy(self, a: Any) -> Array:
        """An array of the backend's as a NumPy array."""
        return np.asarray(getattr(self.implementation, "to_numpy", np.asarray)(a))

    def synchronize(self) -> None:
        """Returns when all work started so far is done."""
        getattr(self.implementation, "synchronize", _nothing)()

    @property
    def accuracy(self) -> str:
        """ "componentwise", or "normwise" for algorithms such as Winograd's and FFT."""
        return str(getattr(self.implementation, "accuracy", "componentwise"))

    @property
    def normwise_factor(self) -> float | None:
        """What the bounds of a normwise backend's convolutions are multiplied with, the growth of its algorithm's
        transforms; None for a componentwise one."""
        return float(getattr(self.implementation, "normwise_factor", 1.0)) if self.accuracy == "normwise" else None

    def precision(self, dtype: str) -> str:
        """The arithmetic really used for arrays of that dtype."""
        return str(getattr(self.implementation, "precision", {}).get(dtype, dtype))


def _as_is(a: Array) -> Array:
    return a


def _nothing() -> None:
    pass


def names() -> tuple[str, ...]:
    """The names of our backends and of those that installed packages register."""
    return (*KNOWN, *sorted(_installed().keys() - KNOWN.keys()))


def load(name: str) -> Backend:
    """The backend of that name, module or file; raises BadInput when there is none or it does not import.

    "my_blocks.py@caffe" is a backend that was written in a dialect (see mcnbench/dialects).
    """
    spoken, at, dialect = name.rpartition("@")
    if at and not Path(name).exists():
        from mcnbench import dialects  # these import this module
        from mcnbench.dialects.speaking import speak

        return speak(load(spoken), dialects.load(dialect), name)
    refuse_missing(name)
    installed = _installed()
    registered = installed | KNOWN
    if name in registered:
        module, _, attribute = registered[name].partition(":")
        found = _import(name, module)
        return Backend(name, getattr(found, attribute) if attribute else found)
    if name.endswith(".py"):
        return Backend(name, _import_file(name))
    if _can_be_found(name):
        return Backend(name, _import(name, name))
    raise unknown("backend", name, {*KNOWN, *installed})


def receipt(name: str) -> str:
    """What the backend of that name says of itself; raises BadInput also when it cannot run here."""
    backend = load(name)
    try:
        return backend.version()
    except Exception as error:  # whatever the backend raises is the reason
        raise BadInput(f"backend '{name}' cannot run here: {error}") from error


def refuse_missing(name: str) -> None:
    """Raises BadInput if that is a known backend whose package is not installed, and says which extra brings it."""
    extra = EXTRAS.get(name.partition("@")[0])
    if extra and util.find_spec(name.partition("@")[0]) is None:
        raise BadInput(f"backend '{name}' needs a package that is not installed: pip install 'mcnbench[{extra}]'")


def _installed() -> dict[str, str]:
    return {entry.name: entry.value for entry in entry_points(group="mcnbench.backends")}


def _can_be_found(name: str) -> bool:
    try:
        return util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _import(name: str, module: str) -> ModuleType:
    try:
        return import_module(module)
    except (Exception, SystemExit) as error:  # whatever the user's module raises on import is the user's to read
        raise BadInput(f"backend '{name}' does not import: {type(error).__name__}: {error}") from error


def _import_file(name: str) -> ModuleType:
    path = Path(name).resolve()
    if not path.is_file():
        raise BadInput(f"backend file '{name}' does not exist; give the path of a Python file or the name of a module")
    # The whole path is the module's name: a file called torch.py must not pass for PyTorch.
    spec = util.spec_from_file_location(str(path), path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    sys.path.append(str(path.parent))  # so that the file can import what lies beside it
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever the user's file raises on import is the user's to read
        del sys.modules[module.__name__]
        raise BadInput(f"backend file '{name}' does not import: {type(error).__name__}: {error}") from error
    return module
