"""The environment of the workers: what changes kernels or allocators unseen is taken out, what must be equal is set.

A variable that a login script or a container exports can halve the speed of one backend and not of the other
(OPENBLAS_CORETYPE=Haswell on an AVX-512 machine does), so the workers start without them, and the run file says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

CHANGES_KERNELS = (
    "OPENBLAS_*",
    "GOTO_*",
    "BLIS_*",
    "MKL_*",
    "OMP_*",
    "GOMP_*",
    "KMP_*",
    "LIBOMP_*",
    "DNNL_*",
    "ONEDNN_*",
    "ATEN_*",
    "NPY_*",
    "NUMBA_CPU_*",
    "NUMBA_DISABLE_*",
    "NUMBA_ENABLE_*",
    "NUMBA_LOOP_VECTORIZE",
    "NUMBA_OPT",
    "NUMBA_SLP_VECTORIZE",
    "NUMEXPR_*",
    "VECLIB_*",
)
"""Thread pools, instruction sets and code paths of the libraries below the backends."""

CHANGES_ALLOCATION = ("MALLOC_*", "GLIBC_TUNABLES", "PYTHONMALLOC", "THP_*", "NUMPY_MADVISE_HUGEPAGE", "LD_PRELOAD")
"""The allocator and huge pages. LD_PRELOAD counts only where it names an allocator."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

SPARE_PAGE_FAULTS = {
    "MALLOC_MMAP_THRESHOLD_": "2000000000",
    "MALLOC_TRIM_THRESHOLD_": "2000000000",
    "MALLOC_TOP_PAD_": "67108864",
    "THP_MEM_ALLOC_ENABLE": "1",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
"""glibc keeps large blocks instead of returning them to the system, which otherwise costs each step fresh page faults
and makes two processes of identical code differ by tens of per cent; PyTorch asks for huge pages, as NumPy does."""


@dataclass(frozen=True)
class Environment:
    """The variables of a worker, and how they differ from the caller's."""

    variables: Mapping[str, str]
    removed: Mapping[str, str]
    added: Mapping[str, str]

    def record(self) -> dict[str, dict[str, str]]:
        """As the run file holds it."""
        return {"removed": dict(self.removed), "set": dict(self.added)}


def suspicious(variables: Mapping[str, str]) -> dict[str, str]:
    """Those of the variables that change kernels, threads or allocation."""
    return {name: value for name, value in sorted(variables.items()) if _changes_something(name, value)}


def clean(variables: Mapping[str, str], threads: int, inherit: bool = False) -> Environment:
    """The environment of a worker with `threads` threads; with `inherit`, the caller's as it is."""
    if inherit:
        return Environment(dict(variables), {}, {})
    removed = suspicious(variables)
    added = SPARE_PAGE_FAULTS | dict.fromkeys(THREAD_VARIABLES, str(threads))
    kept = {name: value for name, value in variables.items() if name not in removed}
    return Environment(kept | added, removed, added)


def _changes_something(name: str, value: str) -> bool:
    if name == "LD_PRELOAD":
        return "malloc" in value
    return any(fnmatchcase(name, pattern) for pattern in CHANGES_KERNELS + CHANGES_ALLOCATION)
