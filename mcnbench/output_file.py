"""The files that options such as --json ask for; run files are written by `mcnbench.runfile`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mcnbench.errors import BadInput


def refuse_unwritable(path: Path | None, option: str) -> None:
    """Raises BadInput, before any work is done for it, if a file at that path could not be written."""
    if path is None:
        return
    wrong = None
    if not path.parent.is_dir():
        wrong = f"there is no folder '{path.parent}'"
    elif path.is_dir():
        wrong = "Is a directory"
    elif not os.access(path if path.exists() else path.parent, os.W_OK):
        wrong = "Permission denied"
    if wrong:
        raise BadInput(f"cannot write '{path}': {wrong}; give another path with {option}")


def write(path: Path, content: str | bytes, option: str) -> None:
    """Writes the whole file, text as UTF-8; raises BadInput, naming the option that gave the path, if it cannot."""
    try:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise BadInput(f"cannot write '{path}': {error.strerror}; give another path with {option}") from error


def write_json(path: Path, content: dict[str, Any]) -> None:
    """The same for the content that --json asked for."""
    write(path, json.dumps(content, indent=1) + "\n", "--json")
