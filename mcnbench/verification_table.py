"""`python -m mcnbench.verification NETWORK` takes a step and prints what verification found, layer by layer."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from math import floor
from pathlib import Path

import click

from mcnbench.network import Network
from mcnbench.verification import Verification


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("networks", metavar="NETWORK...", nargs=-1, required=True)
@click.option("-b", "--backend", default="numpy", show_default=True, help="A known one, a module or a file.")
@click.option("--batch", default=2, show_default=True, type=click.IntRange(min=1), help="Images of the step.")
@click.option("--dtype", default="float32", show_default=True, type=click.Choice(["float32", "float64"]))
@click.option("--seed", default=0, show_default=True, help="Of parameters, images, labels and dropout masks.")
@click.option("--images", metavar="DIR", help="A folder of images to crop.  [default: a photograph of matplotlib's]")
@click.option("--threads", type=click.IntRange(min=1), help="Of the backend.  [default: all cores it may use]")
def command(
    networks: tuple[str, ...], backend: str, batch: int, dtype: str, seed: int, images: str | None, threads: int | None
) -> None:
    """Is a training step of NETWORK right? Prints the worst error / bound of every layer's output and gradients.

    NETWORK is the name of one that comes with mcnbench, or the path of a TOML file. Exit code 1 if it is not right.
    """
    from mcnbench import network
    from mcnbench.backends import load
    from mcnbench.training import Trainer
    from mcnbench.verification import judge, record

    used, chosen = load(backend), [network.load(name) for name in networks]
    if set_threads := getattr(used, "set_threads", None):
        set_threads(threads or len(os.sched_getaffinity(0)))
    good = True
    for net in chosen:
        start = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="mcnbench-") as folder:
            trainer = Trainer(net, used, batch, dtype=dtype, seed=seed, images=images)
            record(trainer, Path(folder), seed=seed + 1, batch=batch)
            way = f"{used.name}, {trainer.variant}" if trainer.variant else used.name
            del trainer
            found = judge(net, Path(folder))
        click.echo(f"# {net.title} on {way}, batch {batch}, {dtype}\n")
        click.echo(table(net, found))
        click.echo(f"{time.perf_counter() - start:.1f} s", err=True)
        good = good and found.verdict == "HOLDS"
    sys.exit(0 if good else 1)


def table(network: Network, found: Verification) -> str:
    """Worst error / bound of each layer in each direction, then the gradients of the whole step, then the verdict."""
    blocks = {layer.name: layer.block for layer in network.layers}
    outputs = [*dict.fromkeys(("y", "dx", "dw", "db", *(c.output for c in found.checks)))]
    rows = [["layers", "blocks", *outputs]]
    for layers in dict.fromkeys(c.layers for c in found.checks):
        ratios = {c.output: c.ratio for c in found.checks if c.layers == layers}
        names = "+".join(blocks.get(name, "") for name in layers.split("+"))
        rows.append([layers, names, *(_ratio(ratios[o]) if o in ratios else "" for o in outputs)])
    gradients = [["gradient of the whole step", "relative L2 error", "PyTorch's"]]
    gradients += [[g.parameter, f"{g.ours:.2e}", "" if g.torch is None else f"{g.torch:.2e}"] for g in found.gradients]
    multiple = found.error_multiple
    verdict = f"{found.verdict}: worst error / bound {_ratio(found.error_ratio)}" + (
        f", error multiple against PyTorch float32 {multiple:.2f}" if multiple is not None else ""
    )
    return "\n".join(
        [_columns(rows), "", _columns(gradients), "", verdict, *([found.message] if found.message else []), ""]
    )


def _ratio(error_over_bound: float) -> str:
    """Three digits; cut off rather than rounded, so that what is below 1 also reads so."""
    return f"{floor(error_over_bound * 1000) / 1000:.3f}" if error_over_bound <= 1 else f"{error_over_bound:.3g}"


def _columns(rows: list[list[str]]) -> str:
    """Text columns under a head, the first two to the left; empty columns' cells stay empty."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = 2 if len(widths) > 3 else 1
    lines = [
        "  ".join(
            cell.ljust(w) if i < left else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(line.rstrip() for line in lines)
