"""Batches cut into pieces that fit a cache, the units of work of the threads."""

from typing import NamedTuple

from impl.numpy_cpu import threads


class Tile(NamedTuple):
    """Some images and some rows of each: either whole images, or rows of one image."""

    images: slice
    rows: slice

    @property
    def place(self) -> tuple[slice, slice]:
        """To index an (N, H, W, C) array with."""
        return self.images, self.rows


def tiles(images: int, rows: int, row_size: int, target: int) -> list[Tile]:
    """Cuts ``images`` of ``rows`` rows, each row counting ``row_size``, into tiles that count about ``target``.

    Small batches make smaller tiles, so that every thread has work.
    """
    image_size = rows * row_size
    if images < 1 or image_size < 1:
        return []
    target = max(1, min(target, -(-images * image_size // threads.threads())))
    if image_size <= target:
        parts = -(-images * image_size // target)
        return [Tile(slice(a, b), slice(0, rows)) for a, b in _edges(images, min(parts, images))]
    cuts = _edges(rows, min(rows, -(-image_size // target)))
    return [Tile(slice(n, n + 1), slice(a, b)) for n in range(images) for a, b in cuts]


def _edges(count: int, parts: int) -> list[tuple[int, int]]:
    return [(count * i // parts, count * (i + 1) // parts) for i in range(parts)]
