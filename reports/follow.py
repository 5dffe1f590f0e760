"""Keeps the page of a report fresh while its last run is being written."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from reports import frames, page
from reports.parts import parts

SECONDS = 5
"""The page loads itself again, and the run is looked at, so often."""


def follow(runs: Sequence[Path], target: Path, wait: Callable[[float], None] = time.sleep) -> Iterator[int]:
    """Writes the page to `target` whenever the last of the runs has grown, until that run has ended; yields the number
    of measurements after each time."""
    size = -1
    while True:
        now = runs[-1].stat().st_size
        if now != size:
            size, ended = now, has_ended(runs[-1])
            files = frames.read(runs[:-1]) + frames.read(runs[-1:])
            html = page.render(parts(files, running=not ended), files, None if ended else SECONDS)
            replace(target, html.encode())
            yield sum(len(file.measurements) for file in files)
            if ended:
                return
        wait(SECONDS)


def has_ended(run: Path) -> bool:
    """Whether the run's last line is its end."""
    with run.open("rb") as file:
        file.seek(max(0, run.stat().st_size - 4096))
        lines = file.read().splitlines()
    return bool(lines) and lines[-1].startswith(b'{"kind":"end"') and lines[-1].endswith(b"}")


def replace(path: Path, content: bytes) -> None:
    """Writes a file so that a reader finds either the old content or the new, never half of it."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    os.replace(new, path)
