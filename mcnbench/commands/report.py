"""`mcnbench report RUN...`: tables and figures into a folder."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new folder for the report.")
def command(runs: tuple[Path, ...], out: Path) -> None:
    """Tables and figures of run files: Markdown, CSV, LaTeX, PNG, SVG, PDF and one HTML page, in a new folder."""
    from mcnbench.errors import BadInput
    from reports import folder, frames, page, parts

    try:
        folder.check(out)
        files = frames.read(runs)
        chapters = parts.parts(files)
        written = folder.write(chapters, page.render(chapters, files), out)
    except ValueError as error:
        raise BadInput(str(error)) from error
    for path in written:
        click.echo(path)
