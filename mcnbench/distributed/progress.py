"""How far a rank has come, as a number that others can read while it hangs: eight bytes of a file, mapped into memory.

It counts sub-batches, buckets and steps, which are the same on every rank that does as much: of ranks that wait for
each other the one with the smallest number is the one they wait for.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path


class Progress:
    """The rank's side: `advance` counts."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(8))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 8)
        self._count = 0

    def advance(self) -> None:
        self._count += 1
        struct.pack_into("<q", self._memory, 0, self._count)


def read(path: Path) -> int:
    """How far the rank has come; -1 before it began."""
    try:
        (count,) = struct.unpack("<q", path.read_bytes())
    except (OSError, struct.error):
        return -1
    return int(count)
