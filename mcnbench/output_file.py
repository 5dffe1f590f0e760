"""The files that options such as --json ask for; run files are written by `mcnbench.runfile`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mcnbench.errors import BadInput


def write(path: Path, content: str | bytes, option: str) -> None:
    """Writes the whole file, text as UTF-8; raises BadInput, naming the option that gave the path, if it cannot."""
    try:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise BadInput(f"cannot write '{path}': {error.strerror}; give another path with {option}") from error


def write_json(path: Path, content: dict[str, Any]) -> None:
    """The same for the content that --json asked for."""
    write(path, json.dumps(content, indent=1) + "\n", "--json")
