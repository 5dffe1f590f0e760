"""What the harness itself costs: the step that it reports against a bare loop of the same step in the same worker.

    python -m mcnbench.measure.overhead -n alexnet --batch 32

Blocks of steps are timed in turn as a run times them (a request, an answer, a line in a run file for each step; with
`--peer`, a step of another backend before each) and in a bare loop, in random order. Printed are both medians and the
ratio of the blocks' medians, paired, with its 95% interval.
"""

from __future__ import annotations

import os
import random
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click
import numpy as np

from mcnbench import machine, network, runfile
from mcnbench.errors import BadInput
from mcnbench.measure import environment
from mcnbench.measure.process import Worker, WorkerFailed
from reports import schema
from reports.statistics import estimate

LIMIT = 300.0
STEPS = 4
"""In a block."""


@click.command()
@click.option("-n", "--network", "name", default="alexnet", show_default=True)
@click.option("-b", "--backend", default="numpy", show_default=True)
@click.option("--batch", default=32, show_default=True)
@click.option("--blocks", default=20, show_default=True, help="Of each kind.")
@click.option("--peer", help="A backend that takes a step before each reported one, as in a run.")
def command(name: str, backend: str, batch: int, blocks: int, peer: str | None) -> None:
    """The reported step against a bare loop."""
    title = network.load(name).title
    try:
        times = _times(name, backend, batch, blocks, peer)
    except WorkerFailed as error:
        raise BadInput(str(error)) from error
    bare, reported = (np.array(times[kind]) for kind in ("bare", "reported"))
    ratio = estimate(reported / bare)
    beside = f" beside {peer}" if peer else ""
    click.echo(f"{title}, batch {batch}, {backend}{beside}: {blocks} blocks of {STEPS} steps of each kind")
    click.echo(f"bare loop {np.median(bare) / 1e6:.3f} ms, reported {np.median(reported) / 1e6:.3f} ms")
    click.echo(f"reported / bare: {ratio.median:.4f} [{ratio.low:.4f}, {ratio.high:.4f}]")


def _times(name: str, backend: str, batch: int, blocks: int, peer: str | None) -> dict[str, list[float]]:
    """The median of each block in ns, of both kinds."""
    threads = machine.cores_allowed()
    variables = environment.clean(os.environ, threads).variables
    order = random.Random(0)
    times: dict[str, list[float]] = {"reported": [], "bare": []}
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(variables)) for _ in range(1 + (peer is not None))]
        for worker, called in zip(workers, [backend, peer], strict=False):
            worker.ask("hello", LIMIT, backend=called, threads=threads)
            fields = {"batch": batch, "dtype": "float32", "seed": 0, "images": None, "variant": None}
            worker.ask("build", LIMIT, network_name=name, **fields)
            worker.ask("warm_up", LIMIT)
        writer = stack.enter_context(_scratch_file(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        for number in range(blocks):
            kinds = list(times)
            order.shuffle(kinds)
            for kind in kinds:
                if kind == "bare":
                    ns = workers[0].ask("bare_loop", LIMIT, count=STEPS)["ns"]
                else:
                    ns = [_reported(workers, writer, backend, number) for _ in range(STEPS)]
                times[kind].append(float(np.median(ns)))
    return times


def _scratch_file(folder: Path) -> runfile.Writer:
    run = schema.Run(experiment="overhead", command="", started=runfile.now(), machine={}, versions={}, git={})
    return runfile.Writer.create(folder / "overhead.jsonl", run)


def _reported(workers: list[Worker], writer: runfile.Writer, backend: str, number: int) -> int:
    for other in workers[1:]:
        other.ask("steps", LIMIT, count=1)
    (ns,) = workers[0].ask("steps", LIMIT, count=1)["ns"]
    writer.write(schema.Sample(case="overhead", backend=backend, launch=0, round=number, ns=ns))
    return int(ns)


if __name__ == "__main__":
    from mcnbench.cli import main

    main(command)
