"""`mcnbench check [BACKEND]`: is it right?"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import click

from mcnbench import output_file
from mcnbench.options import refuse_beside


@click.command("check")
@click.argument("backend", default="numpy")
@click.option(
    "--dialect", metavar="NAME", help="What BACKEND means by its blocks: caffe, pytorch, ..., or a TOML file."
)
@click.option("--block", "blocks", multiple=True, metavar="NAME", help="Only this block; repeatable.")
@click.option("--property", "properties", multiple=True, metavar="NAME", help="Only this property; repeatable.")
@click.option("--dtype", "dtypes", multiple=True, metavar="NAME", help="Repeatable.  [default: float32, float64]")
@click.option(
    "--examples", type=click.IntRange(1), default=100, show_default=True, help="Cases per block and property."
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="The same seed tries the same cases."
)
@click.option("--onnx-node-tests", is_flag=True, help="The onnx package's own tests of our blocks, instead.")
@click.option("--case", metavar="LINE", help="Try this one case, as a violation prints it.")
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Processes for the backend.")
@click.option(
    "--timeout", type=click.IntRange(1), default=20, show_default=True, help="Seconds on one case that count as a hang."
)
@click.option("--out", type=click.Path(path_type=Path), help="The run file.  [default: runs/check-<UTC time>.jsonl]")
@click.option("--json", type=click.Path(path_type=Path), metavar="FILE", help="Write the verdicts as one JSON object.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write JUnit XML.")
def command(
    backend: str,
    dialect: str | None,
    blocks: tuple[str, ...],
    properties: tuple[str, ...],
    dtypes: tuple[str, ...],
    examples: int,
    seed: int,
    onnx_node_tests: bool,
    case: str | None,
    workers: int,
    timeout: int,
    out: Path | None,
    json: Path | None,
    junit: Path | None,
) -> None:
    """Is a backend right? Tries every property of every block that BACKEND has, on cases that Hypothesis draws.

    BACKEND is a known backend (numpy, torch), a module, or a file such as my_blocks.py.

    \b
    Exit codes: 0 everything holds; 1 something is VIOLATED, MISTRUSTED or an ERROR;
    2 the call is wrong or the backend does not import; 3 nothing was checked.
    """
    if dialect:
        from mcnbench import dialects

        dialects.load(dialect)  # a mistake is told before the workers start
    if onnx_node_tests:
        refuse_beside("onnx_node_tests", ("backend", "dialect", "out"))
        conformance = import_module("suites.conformance.onnx_node_tests")
        sys.exit(conformance.run(f"{backend}@{dialect}" if dialect else backend, out))
    if case is not None:
        refuse_beside("case", ("backend", "dialect", "properties", "timeout", "out", "json"))
    for option, path in (("--json", json), ("--junit", junit)):
        output_file.refuse_unwritable(path, option)
    # The suites import mcnbench, so they are found by name, when they run.
    suite = import_module("suites.properties.check")
    settings = suite.Settings(
        f"{backend}@{dialect}" if dialect else backend,
        blocks,
        properties,
        dtypes or ("float32", "float64"),
        examples,
        seed,
        workers,
        timeout,
        out,
        json,
        junit,
    )
    sys.exit(suite.check(settings) if case is None else suite.replay(settings, case))
