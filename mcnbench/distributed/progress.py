"""How far a rank has come, as a number that others can read while it hangs: eight bytes of a file, mapped into memory.

It counts sub-batches, buckets and steps, which are the same on every rank that does as much: of ranks that wait for
each other the one with the smallest number is the one they wait for.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path


class Progress:
    """The rank's side: `advance` counts, in a file that it makes at the path."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(8))
        self._memory = _mapped(path)
        self._count = 0

    def advance(self) -> None:
        self._count += 1
        struct.pack_into("<q", self._memory, 0, self._count)


class Watched:
    """The other side; the file may be deleted as soon as both are there."""

    def __init__(self, path: Path) -> None:
        self._memory = _mapped(path)

    def count(self) -> int:
        """How far the rank has come."""
        (count,) = struct.unpack_from("<q", self._memory)
        return int(count)


def _mapped(path: Path) -> mmap.mmap:
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), 8)
