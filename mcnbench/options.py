"""What several verbs of the command line ask of their options."""

from __future__ import annotations

import click
from click.core import ParameterSource

from mcnbench.errors import BadInput


def refuse_beside(option: str, allowed: tuple[str, ...]) -> None:
    """Raises BadInput for what was given beside that option of the command that runs and would have no effect; names
    are those of the command's parameters."""
    ctx = click.get_current_context()
    names = {parameter.name: parameter.opts[0] for parameter in ctx.command.params if parameter.name}
    given = [
        written
        for name, written in names.items()
        if name not in (option, *allowed) and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise BadInput(f"{', '.join(given)} would have no effect beside {names[option]}: leave out one or the other")
