"""The workers' environment: what changes kernels unseen is out, what must be equal is in, all else is as it was."""

from __future__ import annotations

import pytest

from mcnbench.measure import environment

HOME = {"PATH": "/bin", "HOME": "/root", "CUDA_VISIBLE_DEVICES": "0"}


@pytest.mark.parametrize(
    "name",
    [
        "OPENBLAS_CORETYPE",
        "OPENBLAS_L2_SIZE",
        "MKL_CBWR",
        "OMP_PROC_BIND",
        "KMP_AFFINITY",
        "GOMP_SPINCOUNT",
        "MALLOC_ARENA_MAX",
        "GLIBC_TUNABLES",
        "THP_MEM_ALLOC_ENABLE",
        "ONEDNN_MAX_CPU_ISA",
        "NPY_DISABLE_CPU_FEATURES",
        "NUMBA_DISABLE_JIT",
    ],
)
def test_a_variable_that_changes_kernels_is_removed_and_recorded(name: str) -> None:
    found = environment.clean({**HOME, name: "odd"}, threads=3)
    assert found.removed == {name: "odd"}
    assert found.variables.get(name) != "odd"
    assert found.record()["removed"] == {name: "odd"}


def test_threads_and_allocator_are_set_for_all_and_recorded() -> None:
    found = environment.clean(HOME, threads=3)
    assert found.variables["OMP_NUM_THREADS"] == found.variables["OPENBLAS_NUM_THREADS"] == "3"
    assert found.variables["MALLOC_TRIM_THRESHOLD_"] == "2000000000"
    assert dict(found.variables) == HOME | dict(found.added)


def test_inheriting_changes_nothing() -> None:
    given = {**HOME, "OPENBLAS_CORETYPE": "Haswell"}
    found = environment.clean(given, threads=3, inherit=True)
    assert (dict(found.variables), found.removed, found.added) == (given, {}, {})


def test_a_preloaded_library_is_removed_only_if_it_is_an_allocator() -> None:
    assert environment.suspicious({"LD_PRELOAD": "/usr/lib/libjemalloc.so.2"})
    assert not environment.suspicious({"LD_PRELOAD": "/usr/lib/libfaketime.so"})
