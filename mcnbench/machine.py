"""The machine as a run file records it, and what is odd about it: what a reader of a number must know to believe it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from mcnbench import ROOT, __version__

PACKAGES = ("numpy", "numba", "torch", "scipy", "threadpoolctl")
GIB = 2**30


def describe() -> dict[str, Any]:
    """What the machine is and what state it is in; memory in bytes, None where something cannot be read."""
    memory = psutil.virtual_memory()
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "cpu": cpu_model(),
        "cores_allowed": cores_allowed(),
        "cores_logical": psutil.cpu_count(),
        "cores_physical": psutil.cpu_count(logical=False),
        "cpu_quota": cpu_quota(),
        "memory": memory.total,
        "memory_available": memory_available(),
        "load": round(os.getloadavg()[0], 2),
        "governor": _first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "steal": round(psutil.cpu_times().steal / max(1.0, sum(psutil.cpu_times())), 4),
        "huge_pages": _chosen(_first_line("/sys/kernel/mm/transparent_hugepage/enabled")),
        "libc": " ".join(platform.libc_ver()),
    }


def versions() -> dict[str, str]:
    """Python, mcnbench and the packages that numbers depend on."""
    found = {"python": platform.python_version(), "mcnbench": __version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def git() -> dict[str, Any]:
    """The commit of the checkout and whether files differ from it; empty when mcnbench does not run from a checkout."""
    if not (ROOT / ".git").exists():
        return {}
    try:
        commit = _git("rev-parse", "HEAD")
        changed = bool(_git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"commit": commit, "changed": changed}


def blas() -> list[dict[str, Any]]:
    """The BLAS and OpenMP libraries loaded in this process, with the kernels and threads that they chose."""
    from threadpoolctl import threadpool_info

    keys = ("user_api", "internal_api", "version", "architecture", "num_threads")
    return [{key: info[key] for key in keys if key in info} for info in threadpool_info()]


def cores_allowed() -> int:
    """The logical cores that this process may use."""
    return len(os.sched_getaffinity(0))


def cpu_model() -> str:
    """The name of the processor."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def cpu_quota() -> float | None:
    """The cores' worth of time that a container may use (cgroup v2); None if it is not limited."""
    quota, _, period = (_first_line("/sys/fs/cgroup/cpu.max") or "max 1").partition(" ")
    return None if quota == "max" else int(quota) / int(period)


def memory_available() -> int:
    """The bytes that a new process could use: what the system has, within a container's limit (cgroup v2)."""
    available = psutil.virtual_memory().available
    limit, used = (_first_line(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    if limit and used and limit != "max":
        available = min(available, int(limit) - int(used))
    return int(available)


def oddities(machine: dict[str, Any]) -> list[str]:
    """What about the machine, as described, makes numbers doubtful; each a sentence that says what to do."""
    found = []
    cores = machine["cores_allowed"]
    if machine["load"] > 0.25 * cores:
        found.append(
            f"the load is {machine['load']} on {cores} cores: something else is running, so times will scatter"
        )
    if machine["cpu_quota"] is not None and machine["cpu_quota"] < cores:
        found.append(
            f"the container may use {machine['cpu_quota']:g} cores' worth of time, but sees {cores}: give --threads"
        )
    if machine["governor"] not in (None, "performance"):
        found.append(f"the frequency governor is '{machine['governor']}', not 'performance': the clock will vary")
    if machine["steal"] > 0.01:
        found.append(f"other virtual machines took {machine['steal']:.1%} of the processor since it was started")
    if machine["huge_pages"] == "never":
        found.append("transparent huge pages are off: large arrays cost many page faults")
    if machine["memory_available"] < 4 * GIB:
        found.append(f"only {machine['memory_available'] / GIB:.1f} GiB of memory are available")
    return found


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def _first_line(path: str) -> str | None:
    try:
        return Path(path).read_text().partition("\n")[0].strip()
    except OSError:
        return None


def _chosen(line: str | None) -> str | None:
    """The bracketed choice of a line such as "always [madvise] never"."""
    found = re.search(r"\[(\w+)\]", line or "")
    return found[1] if found else None
