"""What a test's ranks do: data-parallel steps of small networks, in processes forked from one that has torch."""

from __future__ import annotations

import multiprocessing
import os
import socket
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist

import mcnbench
from impl import numpy_cpu
from mcnbench import executor, network, training
from mcnbench.arrays import Array
from mcnbench.distributed.block_steps import ParallelBlockSteps
from mcnbench.distributed.shares import cut, shares, sub_batches
from mcnbench.distributed.torch_steps import ParallelTorchSteps

torch.optim.SGD([torch.zeros(1)], lr=0.0)  # which imports, for seconds, what every rank needs
FROM_A_FORK = multiprocessing.get_context("forkserver")
FROM_A_FORK.set_forkserver_preload(["tests.distributed.ranks", "impl.numpy_winograd"])


class Job(NamedTuple):
    """Three steps of a network; `integers` are for networks that end in a map."""

    network: str
    backend: str
    batch: int
    sub_batch: int
    dtype: str = "float32"
    integers: bool = False


class Outcome(NamedTuple):
    """What a rank has after the first gradients and after three steps."""

    gradients: dict[str, Array]
    parameters: dict[str, Array]


def whole_batch(job: Job) -> tuple[dict[str, Array], dict[str, Array]]:
    """Initial parameters and inputs."""
    net = network.load(job.network)
    if not job.integers:
        parameters = {name: 20 * w for name, w in training.initial_parameters(net, 3, job.dtype).items()}
        inputs = training.draw_inputs(net, job.batch, 3, job.dtype)
        inputs["images"] /= 64
        return parameters, inputs
    rng = np.random.default_rng(5)
    end = net.layers[-1].name
    parameters = {name: rng.integers(-1, 2, shape).astype(job.dtype) for name, shape in net.parameters.items()}
    shape = net.shapes(job.batch)
    return parameters, {
        "images": rng.integers(-2, 3, shape["images"]).astype(job.dtype),
        f"{end}/d": (rng.integers(-1, 2, shape[end]) * (rng.random(shape[end]) < 0.05)).astype(job.dtype),
    }


def train(job: Job, rank: int = 0, ranks: int = 1) -> Outcome:
    """This rank's three steps; with one rank those of a process alone."""
    parameters, inputs = whole_batch(job)
    made, pieces = _steps(job, parameters, inputs, rank, ranks)
    gradients = made.gradients(pieces, job.batch)
    for _ in range(3):
        made.step()
    return Outcome(gradients, {name: w.copy() for name, w in made.parameters().items()})


def train_all(jobs: list[Job], rank: int, ranks: int) -> list[Outcome]:
    """One after the other, in the same processes."""
    return [train(job, rank, ranks) for job in jobs]


def train_and_observe(job: Job, rank: int = 0, ranks: int = 1) -> dict[str, Array]:
    """The parameters after three steps together and one that every rank takes for itself."""
    parameters, inputs = whole_batch(job)
    made, _ = _steps(job, parameters, inputs, rank, ranks)
    for _ in range(3):
        made.step()
    made.observed(inputs, executor.nothing)
    return {name: w.copy() for name, w in made.parameters().items()}


def _steps(job: Job, parameters: Any, inputs: Any, rank: int, ranks: int) -> tuple[Any, list[dict[str, Array]]]:
    net = network.load(job.network)
    pieces = [cut(inputs, part) for part in sub_batches(shares(job.batch, ranks)[rank], job.sub_batch)]
    if job.backend == "torch":
        return ParallelTorchSteps(net, parameters, pieces, job.batch, alone=ranks == 1), pieces
    backend = mcnbench.backend(job.backend)
    few = 2000  # bytes, so that there are several buckets, and gradients that are summed where they lie
    return ParallelBlockSteps(net, backend, parameters, pieces, job.batch, alone=ranks == 1, bucket_bytes=few), pieces


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def together(work: Callable[..., Any], ranks: int, *arguments: Any) -> list[Any]:
    """`work(*arguments, rank, ranks)` of so many processes that torch.distributed joins; their results, by rank."""
    port = free_port()
    pipes, processes = [], []
    for rank in range(ranks):
        mine, theirs = FROM_A_FORK.Pipe()
        process = FROM_A_FORK.Process(target=_rank, args=(theirs, port, rank, ranks, work, arguments), daemon=True)
        process.start()
        theirs.close()
        pipes.append(mine)
        processes.append(process)
    results: list[Any] = []
    for mine in pipes:
        assert mine.poll(60), "a rank gave no result within 60 s"
        results.append(mine.recv())
    for process in processes:
        process.join(10)
    wrong = [result for result in results if isinstance(result, str)]
    assert not wrong, wrong[0]
    return results


def _rank(pipe: Any, port: int, rank: int, ranks: int, work: Callable[..., Any], arguments: Any) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank), "WORLD_SIZE": str(ranks)}
    torch.set_num_threads(1)
    numpy_cpu.set_threads(1)
    try:
        dist.init_process_group("gloo", timeout=timedelta(seconds=30))
        pipe.send(work(*arguments, rank, ranks))
        with suppress(RuntimeError):
            dist.barrier()
        dist.destroy_process_group()
    except BaseException:  # whatever it is, the test shows it
        pipe.send(traceback.format_exc())


class Summands(NamedTuple):
    """The sum over all ranks' sub-batches, and what this rank gave to it, one sub-batch each."""

    sum: dict[str, Array]
    own: list[dict[str, Array]]


def add_up(job: Job, rank: int, ranks: int) -> Summands:
    """The first gradients, summed and one by one."""
    parameters, inputs = whole_batch(job)
    made, pieces = _steps(job, parameters, inputs, rank, ranks)
    own = [made.gradients([piece], job.batch, alone=True) for piece in pieces]
    return Summands(made.gradients(pieces, job.batch), own)
