"""`mcnbench history RUN...`: since when is a backend faster, slower, more or less accurate?"""

from __future__ import annotations

from pathlib import Path

import click


@click.command("history")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--out", type=click.Path(path_type=Path), help="A figure of all series, .png, .svg or .pdf by its name.")
def command(runs: tuple[Path, ...], out: Path | None) -> None:
    """Change points over many run files, of speed (as a ratio to torch in the same run) and of error."""
    from mcnbench import output_file
    from mcnbench.errors import BadInput, NothingDone
    from reports import change_points, figures, frames

    formats = {f".{name}": name for name in figures.FORMATS}
    if out is not None and out.suffix not in formats:
        raise BadInput(f"--out wants a name that ends in {', '.join(formats)}, got '{out}'")
    try:
        points = change_points.values(frames.samples(frames.read(runs)))
    except ValueError as error:
        raise BadInput(str(error)) from error
    if points.empty:
        raise NothingDone("no run holds a verified measurement beside torch: there is no history to look at")
    found = change_points.changes(points)
    series = points.groupby([*change_points.SERIES, "quantity"]).size()
    short = int((series < change_points.FEWEST).sum())
    if found.empty:
        click.echo(f"no change in {len(series)} series of up to {series.max()} runs")
    for _, change in found.iterrows():
        click.echo(
            f"{change['case']} {change['backend']} {change['quantity']}: {change['change']:+.1%} since {change['run']} "
            f"({change['started']}), from {change['before']:.4g} to {change['after']:.4g} times torch's"
        )
    if short:
        click.echo(f"{short} series have fewer than {change_points.FEWEST} runs, too few to look for changes", err=True)
    if out is not None:
        output_file.write(out, figures.save(change_points.figure(points, found), formats[out.suffix]), "--out")
        click.echo(out)
