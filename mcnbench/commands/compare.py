"""`mcnbench compare`: two run files, or two revisions measured interleaved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mcnbench.compare.result import Comparison


class Percentage(click.ParamType[float]):
    """A positive fraction, given as 3% or 0.03."""

    name = "percentage"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        percent = value.endswith("%")
        try:
            number = float(value.removesuffix("%")) / (100 if percent else 1)
        except ValueError:
            number = -1.0
        if not 0 < number < (10 if percent else 1):
            self.fail(
                f"'{value}' is no positive percentage, such as 3%, nor a fraction below 1, such as 0.03", param, ctx
            )
        return number


@click.command("compare")
@click.argument("what", nargs=-1, metavar="BASE.jsonl HEAD.jsonl | [EXPERIMENT]")
@click.option("--against", metavar="REV", help="Measure the working tree against this git revision, interleaved.")
@click.option(
    "--max-slowdown",
    type=Percentage(),
    default=0.05,
    show_default="5%",
    help="So much is REGRESSED, of less what is surely above half.",
)
@click.option("--max-error-growth", type=Percentage(), default=0.5, show_default="50%", help="Likewise for the error.")
@click.option(
    "--max-memory-growth", type=Percentage(), default=0.1, show_default="10%", help="Likewise for peak memory."
)
@click.option("--allow", is_flag=True, help="Compare in spite of different threads, precision, batch, BLAS or device.")
@click.option("--strict", is_flag=True, help="Exit with 4 if a verdict is AMBIGUOUS.")
@click.option("-b", "--backend", help="With --against: the backend, such as my_blocks.py.")
@click.option("--budget", metavar="TIME", help="With --against: for all cases together.  [default: 3m]")
@click.option("--seed", type=click.IntRange(0), help="With --against: of the order of rounds and of all data.")
@click.option("--markdown", type=click.Path(), help="Also write the table as Markdown, for a job summary.")
@click.option("--junit", type=click.Path(), help="Also write JUnit XML.")
@click.option("--json", "as_json", type=click.Path(), help="Also write JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    what: tuple[str, ...],
    against: str | None,
    max_slowdown: float,
    max_error_growth: float,
    max_memory_growth: float,
    allow: bool,
    strict: bool,
    backend: str | None,
    budget: str | None,
    seed: int | None,
    markdown: str | None,
    junit: str | None,
    as_json: str | None,
) -> None:
    """Is HEAD slower, less accurate or larger than BASE? A verdict per case, with effect, interval and reason.

    Two run files are compared by the ratio to the peer measured in the same run; with --against REV the working tree
    and that revision are measured interleaved in the same minutes, which sees far smaller changes.
    """
    from mcnbench import output_file
    from mcnbench.compare import output
    from mcnbench.compare.files import Limits
    from mcnbench.compare.result import exit_code
    from mcnbench.errors import BadInput, NothingDone

    for option, path in (("--markdown", markdown), ("--junit", junit), ("--json", as_json)):
        output_file.refuse_unwritable(Path(path) if path else None, option)
    if against is None:
        given = {"--backend": backend, "--budget": budget, "--seed": seed}
        if alone := [option for option, value in given.items() if value is not None]:
            raise BadInput(f"wanted --against REV with {' and '.join(alone)}: two run files are not measured again")
        if len(what) != 2:
            raise BadInput(f"wanted two run files, BASE.jsonl HEAD.jsonl, or --against REV; got {len(what)} arguments")
        found = _files(what[0], what[1], Limits(max_slowdown, max_error_growth, max_memory_growth), allow)
    else:
        if len(what) > 1:
            raise BadInput(f"with --against wanted at most one experiment, got {', '.join(what)}")
        found = _against(against, what[0] if what else "gate", backend, max_slowdown, budget or "3m", seed or 0)
    if not found:
        raise NothingDone("nothing was compared: the two have no case in common")
    click.echo(output.as_text(found))
    written: list[tuple[str, str | None, Callable[[Sequence[Comparison]], str]]] = [
        ("--markdown", markdown, output.as_markdown),
        ("--junit", junit, output.as_junit),
        ("--json", as_json, output.as_json),
    ]
    for option, path, form in written:
        if path:
            output_file.write(Path(path), form(found), option)
    ctx.exit(exit_code(found, strict))


def _files(base: str, head: str, limits: object, allow: bool) -> list[Comparison]:
    from mcnbench import runfile
    from mcnbench.compare import files
    from mcnbench.errors import NothingDone

    assert isinstance(limits, files.Limits)
    old, new = runfile.read(base), runfile.read(head)
    for path, run in ((base, old), (head, new)):
        if not run.measurements and not run.verdicts:
            raise NothingDone(f"run file '{path}' holds no measurement and no verdict: nothing to compare")
        for note in run.notes:
            click.echo(f"{path}: {note}", err=True)
    found = files.compare(old, new, limits, allow)
    if found and all(comparison.verdict == "MISSING" and "head does not" in comparison.reason for comparison in found):
        raise NothingDone(f"'{base}' and '{head}' have no case in common")
    for case, name in files.added(old, new):
        click.echo(f"only in {head}, so not compared: {case} on {name}", err=True)
    return found


def _against(
    revision: str, experiment: str, backend: str | None, max_slowdown: float, budget: str, seed: int
) -> list[Comparison]:
    from mcnbench import duration
    from mcnbench.compare import against, gate_experiment
    from mcnbench.compare.revisions import base_and_head
    from mcnbench.errors import BadInput

    seconds = duration.seconds(budget)
    workloads, unmeasured = gate_experiment.workloads(experiment, backend)
    for name in unmeasured:
        click.echo(f"not measured, for want of a block: {name}", err=True)
    if seconds < against.least_seconds(len(workloads)):
        raise BadInput(
            f"a budget of {budget} is too small for {len(workloads)} cases: give at least "
            f"{duration.written(against.least_seconds(len(workloads)))}"
        )
    click.echo(f"building {revision} and the working tree", err=True)
    with base_and_head(revision) as (base, head):
        return against.compare(
            workloads, base, head, max_slowdown, seconds, seed, say=lambda line: click.echo(line, err=True)
        )
