"""`mcnbench env`: which backends work here, why others do not, what would be recorded."""

from __future__ import annotations

import click


@click.command("env")
def command() -> None:
    """Which backends work here, and why others do not."""
    from mcnbench.backends import KNOWN, load
    from mcnbench.errors import BadInput

    for name in KNOWN:
        try:
            click.echo(f"{name}: {load(name).version()}")
        except (BadInput, RuntimeError) as error:
            click.echo(f"{name}: not usable: {error}")
