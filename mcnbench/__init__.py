"""mcnbench says whether an implementation of convolutional-network blocks is right, and how fast it is."""

from __future__ import annotations

from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcnbench.backends import Backend

ROOT = Path(__file__).resolve().parents[1]
"""The folder that holds mcnbench, impl, suites, reports and configs, in a checkout and in site-packages alike."""

try:
    __version__ = version("mcnbench")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "unknown"


def _refuse_foreign_packages() -> None:
    """impl, suites and reports are general names: another project's would be measured or run unnoticed."""
    for name in ("impl", "suites", "reports"):
        spec = PathFinder.find_spec(name)
        found = [] if spec is None else [Path(p).resolve() for p in spec.submodule_search_locations or ()]
        if ROOT / name not in found:
            where = ", ".join(map(str, found)) or (spec.origin if spec and spec.origin else "nowhere")
            raise ImportError(
                f"mcnbench needs its own package '{name}' at {ROOT / name}, but Python finds '{name}' at {where}: "
                "install mcnbench in an environment of its own, and start it from a folder that has no such package"
            )


_refuse_foreign_packages()


def backend(name: str) -> Backend:
    """The backend of that name: a known one ("numpy"), a module ("my_pkg.blocks") or a file ("path/to/my_blocks.py").

    Raises `mcnbench.errors.BadInput` when there is none, or when it does not import.
    """
    from mcnbench.backends import load

    return load(name)
