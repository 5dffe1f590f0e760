"""Experiments as data: `configs/experiments/*.toml`, or a file of the user's, read and checked.

`kind` says which program runs the experiment; the keys that the kind knows are a pydantic model, and what the command
line gives replaces them. Raises BadInput with the file and the key for everything that does not fit.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from mcnbench import ROOT, toml_file
from mcnbench.errors import BadInput, unknown

FOLDER = ROOT / "configs" / "experiments"

Model = TypeVar("Model", bound=BaseModel)


def names() -> tuple[str, ...]:
    """The experiments that come with mcnbench."""
    return toml_file.names(FOLDER)


def load(name: str) -> tuple[str, dict[str, Any]]:
    """The name of an experiment and the content of its file, given its name or the path of a TOML file."""
    path, content = toml_file.load("experiment", name, FOLDER)
    if not isinstance(content.get("kind"), str):
        raise BadInput(f"experiment '{path}' has no 'kind'; wanted a line such as kind = \"training-speed\"")
    return path.stem, content


def check(model: type[Model], content: dict[str, Any], where: str) -> Model:
    """The content as the kind's model; raises BadInput naming the key, with the nearest known one if it is unknown."""
    for key in content:
        if key not in model.model_fields:
            raise unknown("key", key, model.model_fields, where)
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise BadInput(f"{where}, key '{key}': {first['msg'].removeprefix('Value error, ')}") from error
