"""`mcnbench show NETWORK`: a network layer by layer; with `--figure`, as a drawing."""

from __future__ import annotations

import re
from pathlib import Path

import click


@click.command("show")
@click.argument("network")
@click.option("--image-size", metavar="N or HxW", help="Images of this size in place of the network's own.")
@click.option("--batch", type=click.IntRange(min=1), help="For this many images (memory).  [default: the network's]")
@click.option(
    "--format",
    "style",
    type=click.Choice(["md", "csv", "json"]),
    default="md",
    show_default=True,
    help="Markdown that reads as text, CSV with a column for every number, or JSON.",
)
@click.option("--figure", type=click.Path(path_type=Path), metavar="FILE", help="Draw it: out.svg, out.png or out.pdf.")
@click.option(
    "--at",
    metavar="LAYER[:ROW,COLUMN]",
    help="With --figure: the output, counted from 0, whose receptive field is shown.  [default: amid the last map]",
)
def command(
    network: str, image_size: str | None, batch: int | None, style: str, figure: Path | None, at: str | None
) -> None:
    """NETWORK layer by layer: sizes, receptive fields, parameters, memory, arithmetic.

    NETWORK is the name of one that comes with mcnbench, or the path of a TOML file.
    """
    from mcnbench import network_table
    from mcnbench.network import load

    shown = load(network, None if image_size is None else _size(image_size))
    if at is not None and figure is None:
        raise click.UsageError("--at says what --figure shows; give a file with --figure")
    if figure is not None:
        from mcnbench import network_figure

        network_figure.save(shown, figure, at)
        click.echo(f"Wrote {figure}.", err=True)
        return
    write = {"md": network_table.markdown, "csv": network_table.comma_separated, "json": network_table.as_json}[style]
    click.echo(write(shown, batch or shown.batch))


def _size(text: str) -> tuple[int, int]:
    from mcnbench.errors import BadInput

    match = re.fullmatch(r"([1-9][0-9]*)(?:x([1-9][0-9]*))?", text)
    if match is None:
        raise BadInput(f"--image-size is '{text}'; wanted a number of pixels such as 224, or height x width: 224x320")
    return int(match[1]), int(match[2] or match[1])
