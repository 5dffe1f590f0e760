"""Four machines joined by torchrun: network namespaces, each with an address of its own, or this machine's loopback."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from mcnbench import runfile
from tests.distributed.ranks import free_port

ROOT = Path(__file__).resolve().parents[2]
TINY = str(ROOT / "tests" / "data" / "tiny.toml")
BRIDGE = f"mcn{os.getpid()}"


class Machine(NamedTuple):
    """What comes before a command that runs there, its variables, and the address of the first machine."""

    before: list[str]
    variables: dict[str, str]
    first: str


def _ip(*arguments: str, check: bool = True) -> None:
    subprocess.run(["ip", *arguments], capture_output=True, check=check, timeout=20)


@pytest.fixture
def machines() -> Iterator[list[Machine]]:
    """Network namespaces where we may make them, as root; else four times this machine."""
    names = [f"{BRIDGE}-{i}" for i in range(4)]
    try:
        _connect(names)
        yield [Machine(["ip", "netns", "exec", name], {"GLOO_SOCKET_IFNAME": "net0"}, "10.213.0.1") for name in names]
    except (OSError, subprocess.CalledProcessError):
        yield [Machine([], {}, "127.0.0.1")] * 4
    finally:
        if shutil.which("ip"):
            for name in names:
                _ip("netns", "delete", name, check=False)
            _ip("link", "delete", BRIDGE, check=False)


def _connect(names: list[str]) -> None:
    """Makes network namespaces of these names, with addresses 10.213.0.1 and so on, joined by a bridge."""
    _ip("link", "add", BRIDGE, "type", "bridge")
    _ip("link", "set", BRIDGE, "up")
    for i, name in enumerate(names):
        _ip("netns", "add", name)
        _ip("link", "add", f"{BRIDGE}v{i}", "type", "veth", "peer", "name", "net0", "netns", name)
        _ip("link", "set", f"{BRIDGE}v{i}", "master", BRIDGE, "up")
        _ip("-n", name, "address", "add", f"10.213.0.{i + 1}/24", "dev", "net0")
        for device in ("net0", "lo"):
            _ip("-n", name, "link", "set", device, "up")


def _start(machine: Machine, number: int, port: int, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    torchrun = [
        sys.executable, "-m", "torch.distributed.run", "--nnodes", "4", "--node-rank", str(number),
        "--nproc-per-node", "1", "--master-addr", machine.first, "--master-port", str(port),
    ]  # fmt: skip
    return subprocess.Popen(
        [*machine.before, *torchrun, "-m", "mcnbench", "run", "multi-gpu", *arguments],
        cwd=folder,
        env={**os.environ, **machine.variables, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_four_machines_share_a_batch(machines: list[Machine], tmp_path: Path) -> None:
    """The first writes the run file, with the samples of all."""
    arguments = ["-n", TINY, "-b", "numpy", "--workers", "4", "--threads", "1", "--sub-batch", "1", "--budget", "8s"]
    port = free_port()
    processes = [
        _start(machine, i, port, tmp_path, *arguments, "--out", "a.jsonl") for i, machine in enumerate(machines)
    ]
    try:
        out, err = processes[0].communicate(timeout=240)
        assert processes[0].returncode == 0, err
        for process in processes[1:]:
            assert process.communicate(timeout=60)[0] == ""
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    read = runfile.read(tmp_path / "a.jsonl")
    assert read.status == "complete"
    four = read.measurements[0]
    assert four.workers == 4
    assert four.verified.holds
    assert [rank["sub_batches"] for rank in four.details["ranks"]] == [[1, 1]] * 4
    assert {rank["sums"] for rank in four.details["ranks"]} == {"the engine's all-reduce"}  # though it is one machine
    assert len({rank["pid"] for rank in four.details["ranks"]}) == 4
    assert all(len(rank["samples_ns"]) == len(four.samples_ns) for rank in four.details["ranks"])
    assert four.details["compared"][0]["difference"] < 1e-4
    assert out.count(" yes") == 1
