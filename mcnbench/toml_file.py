"""Networks, dialects and experiments are TOML files: those of mcnbench, by name, and the user's, by path."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from mcnbench.errors import BadInput, unknown


def names(folder: Path) -> tuple[str, ...]:
    """Those in the folder, sorted."""
    return tuple(sorted(path.stem for path in folder.glob("*.toml")))


def load(kind: str, name: str, folder: Path) -> tuple[Path, dict[str, Any]]:
    """The path and the content of the file of that name in the folder, or of that path if it ends in .toml.

    Raises BadInput, which calls it a "network" or whatever `kind` is, where there is none or it cannot be read.
    """
    if is_path(name):
        path = Path(name)
    elif name in names(folder):
        path = folder / f"{name}.toml"
    else:
        if Path(name).is_file():
            raise BadInput(f"{kind} file '{name}' must have a name that ends in .toml")
        raise unknown(kind, name, names(folder))
    try:
        return path, tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadInput(f"{kind} file '{path}' cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{kind} file '{path}' is not TOML: {error}") from error


def is_path(name: str) -> bool:
    """Whether that is the path of a file, not the name of one that comes with mcnbench."""
    return name.endswith(".toml")
