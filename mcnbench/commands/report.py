"""`mcnbench report RUN...`: tables and figures into a folder, tables into a document, a page that follows a run."""

from __future__ import annotations

from pathlib import Path

import click

PATH = click.Path(path_type=Path)


@click.command("report")
@click.argument("runs", nargs=-1, required=True, type=PATH, metavar="RUN...")
@click.option("--out", type=PATH, help="A new folder for the report.")
@click.option(
    "--splice", type=PATH, help="A Markdown file with lines '<!-- table: training-speed -->', '<!-- end -->'."
)
@click.option("--follow", is_flag=True, help="Refresh the page in --out while the last RUN is being written.")
def command(runs: tuple[Path, ...], out: Path | None, splice: Path | None, follow: bool) -> None:
    """Tables and figures of run files: Markdown, CSV, LaTeX, PNG, SVG, PDF and one HTML page, in a new folder.

    Results of pytest-benchmark, asv, `compare --json` and `faults --json` (.json) may stand among the runs.
    """
    from mcnbench.errors import BadInput
    from reports.errors import ReportError
    from reports.runfile import RunFileError

    if out is None and (splice is None or follow):
        raise BadInput(
            "wanted --out DIR, a new folder for the report, or --splice FILE, a document to write tables into"
        )
    try:
        if out is not None and follow:
            _follow(runs, out)
        elif out is not None:
            _write(runs, out)
        if splice is not None:
            _splice(runs, splice)
    except (ReportError, RunFileError) as error:
        raise BadInput(str(error)) from error


def _write(runs: tuple[Path, ...], out: Path) -> None:
    from reports import folder

    folder.check(out)
    for path in folder.write(folder.contents(runs), out):
        click.echo(path)


def _follow(runs: tuple[Path, ...], out: Path) -> None:
    from reports import folder, follow, frames

    folder.check(out)
    frames.read(runs)
    folder.make(out)
    click.echo(out / "index.html")
    try:
        for measured in follow.follow(runs, out / "index.html"):
            click.echo(f"{measured} measurements", err=True)
    except KeyboardInterrupt:
        click.echo("no longer followed; the report is of what there is", err=True)
    for name, content in folder.contents(runs).items():
        follow.replace(out / name, content)


def _splice(runs: tuple[Path, ...], document: Path) -> None:
    from reports import frames, splice
    from reports.errors import ReportError
    from reports.parts import parts

    try:
        old = document.read_text("utf-8")
        new = splice.splice(old, parts(frames.read(runs)))
        if new != old:
            document.write_text(new, "utf-8")
    except OSError as error:
        raise ReportError(f"cannot splice tables into '{document}': {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ReportError(f"cannot splice tables into '{document}': it is not UTF-8") from error
    except ReportError as error:
        raise ReportError(f"'{document}': {error}") from error
