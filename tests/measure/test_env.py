"""`mcnbench env` and what a run records of the machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from mcnbench import machine
from mcnbench.commands.env import command

CALM = {
    "cores_allowed": 2,
    "load": 0.1,
    "cpu_quota": None,
    "governor": "performance",
    "steal": 0.0,
    "huge_pages": "madvise",
    "memory_available": 16 * machine.GIB,
}


def test_a_calm_machine_has_nothing_odd() -> None:
    assert machine.oddities(CALM) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"load": 3.0}, "the load is 3.0 on 2 cores"),
        ({"cpu_quota": 1.5}, "may use 1.5 cores' worth of time, but sees 2"),
        ({"governor": "powersave"}, "governor is 'powersave'"),
        ({"steal": 0.05}, "took 5.0% of the processor"),
        ({"huge_pages": "never"}, "huge pages are off"),
        ({"memory_available": machine.GIB}, "only 1.0 GiB of memory"),
    ],
)
def test_each_oddity_is_said(change: dict[str, object], says: str) -> None:
    (sentence,) = machine.oddities(CALM | change)
    assert says in sentence


def test_what_is_recorded_is_what_the_system_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT"):
        monkeypatch.delenv(variable, raising=False)  # nproc obeys them
    found = machine.describe()
    assert found["cores_allowed"] == int(subprocess.run(["nproc"], capture_output=True, text=True, check=True).stdout)
    total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    assert found["memory"] == int(total.split()[1]) * 1024
    assert 0 < found["memory_available"] <= found["memory"]


def test_env_says_what_works_what_is_recorded_and_what_is_odd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    done = CliRunner().invoke(command, catch_exceptions=False)
    assert done.exit_code == 0
    assert "numpy: NumPy " in done.output
    assert "torch: PyTorch " in done.output
    assert "kernels for" in done.output
    assert "MALLOC_TRIM_THRESHOLD_=2000000000" in done.output
    assert "OPENBLAS_CORETYPE=Haswell is exported" in done.output
