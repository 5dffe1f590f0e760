"""`mcnbench agree BACKEND BACKEND ...`: where, and by how much, do they differ?"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import click

from mcnbench import output_file
from mcnbench.options import refuse_beside


@click.command("agree")
@click.argument("backends", nargs=-1, required=True, metavar="BACKEND BACKEND ...")
@click.option("--block", "blocks", multiple=True, metavar="NAME", help="Only this block; repeatable.")
@click.option("--dtype", "dtypes", multiple=True, metavar="NAME", help="Repeatable.  [default: float32]")
@click.option(
    "-n", "--network", "networks", multiple=True, metavar="NAME", help="One step of this network instead; repeatable."
)
@click.option("--train", type=click.IntRange(0), default=0, metavar="STEPS", help="Train it on digits, too (lenet-5).")
@click.option("--semantics", is_flag=True, help="Only what the frameworks' own operations mean, not their errors.")
@click.option("--probe", "probes", multiple=True, metavar="KEY", help="Only this question of --semantics; repeatable.")
@click.option("--against", type=click.Path(path_type=Path), metavar="RUN", help="Show what meanings changed since RUN.")
@click.option("--examples", type=click.IntRange(1), default=20, show_default=True, help="Cases per block.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="The same seed draws the same cases."
)
@click.option("--case", metavar="LINE", help="Compare on this one case, as a table prints it.")
@click.option("--out", type=click.Path(path_type=Path), help="The run file.  [default: runs/agree-<UTC time>.jsonl]")
@click.option("--json", type=click.Path(path_type=Path), metavar="FILE", help="Write the result as one JSON object.")
def command(
    backends: tuple[str, ...],
    blocks: tuple[str, ...],
    dtypes: tuple[str, ...],
    networks: tuple[str, ...],
    train: int,
    semantics: bool,
    probes: tuple[str, ...],
    against: Path | None,
    examples: int,
    seed: int,
    case: str | None,
    out: Path | None,
    json: Path | None,
) -> None:
    """Where, and by how much, do backends differ on the same cases? Each pair, each block, forward and backward.

    Differences are in units of the bound that holds for any right implementation, and in bits; float64 takes part.
    Then what each framework's own operations mean, where meanings differ; dialects that mean the same are named.

    \b
    Exit codes: 0 all agree within their bounds; 1 some differ by more, fail, or changed their meaning since RUN;
    2 the call is wrong or a backend cannot run here; 3 nothing was compared.
    """
    if case is not None:
        refuse_beside("case", ("backends", "out", "json"))
    if semantics:
        refuse_beside("semantics", ("backends", "probes", "against", "out", "json"))
    output_file.refuse_unwritable(json, "--json")
    # The suites import mcnbench, so they are found by name, when they run.
    suite = import_module("suites.agreement.run")
    only: tuple[str, ...] = ("blocks", "semantics")
    if semantics or probes or networks:
        only = ("semantics",) if semantics or probes else ()
    elif blocks and not against:
        only = ("blocks",)
    settings = suite.Settings(
        backends, blocks, dtypes or ("float32",), examples, seed, out, json, only, probes, networks, train, against
    )
    sys.exit(suite.agree(settings) if case is None else suite.replay(settings, case))
