"""`mcnbench faults [BACKEND]`: what can the suites detect?"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import click

from mcnbench import output_file


@click.command("faults")
@click.argument("backend", default="numpy")
@click.option("--block", "blocks", multiple=True, metavar="NAME", help="Only faults of this block; repeatable.")
@click.option("--fault", "faults", multiple=True, metavar="NAME", help="Only this fault; repeatable.")
@click.option(
    "--examples", type=click.IntRange(1), default=100, show_default=True, help="Cases per property, as in check."
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="The same seed tries the same cases."
)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Processes that try faults.")
@click.option("--json", type=click.Path(path_type=Path), metavar="FILE", help="Write what was found as JSON.")
def command(
    backend: str,
    blocks: tuple[str, ...],
    faults: tuple[str, ...],
    examples: int,
    seed: int,
    workers: int,
    json: Path | None,
) -> None:
    """What can the suites detect? Plants faults into BACKEND, one at a time, and checks it until one property objects.

    BACKEND is a known backend (numpy, torch), a module, or a file such as my_blocks.py. Each fault is a few lines
    around one of its blocks (see suites/faults). A fault that survives shows what the suites do not see.

    \b
    Exit codes: 0 all faults are killed; 1 one survived; 2 the call is wrong or the backend does not import;
    3 no fault could be planted.
    """
    output_file.refuse_unwritable(json, "--json")
    # The suites import mcnbench, so they are found by name, when they run.
    suite = import_module("suites.faults.run")
    sys.exit(suite.run(suite.Settings(backend, blocks, faults, examples, seed, workers, json)))
