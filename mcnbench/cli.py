"""The command `mcnbench`: one verb, one file in `mcnbench/commands`.

Exit codes: 0 all good; 1 something is wrong (a violation, a regression, a missing case); 2 the call or a file is
wrong; 3 nothing was measured or checked; 4 ambiguous and `--strict`. Standard output carries the result, standard
error the progress.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pkgutil import iter_modules

import click

from mcnbench import __version__, commands
from mcnbench.errors import BadInput, NothingDone


class Verbs(click.Group):
    """Finds the verbs among the files of `mcnbench/commands`, whose heavy imports wait until the verb is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(module.name for module in iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = import_module(f"mcnbench.commands.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="mcnbench")
def mcnbench() -> None:
    """Is an implementation of convolutional-network blocks right, and how fast is it?"""


def main(command: click.Command = mcnbench) -> None:
    """Runs the command line and turns a user's mistake into one sentence and an exit code."""
    try:
        sys.exit(command.main(standalone_mode=False))
    except click.exceptions.Abort:
        click.echo("mcnbench: interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BadInput as error:
        click.echo(f"mcnbench: {error}", err=True)
        sys.exit(2)
    except NothingDone as error:
        click.echo(f"mcnbench: {error}", err=True)
        sys.exit(3)
