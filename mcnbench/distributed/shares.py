"""Who has which images: a batch divided among ranks, and a rank's images divided into sub-batches."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from mcnbench.arrays import Array
from mcnbench.errors import BadInput


def shares(batch: int, ranks: int) -> list[slice]:
    """The images of each rank, in order; the first ones have one more where the batch does not divide.

    Raises BadInput where a rank would have none.
    """
    if batch < ranks:
        raise BadInput(
            f"a batch of {batch} cannot be shared by {ranks} workers; give a larger --batch or fewer --workers"
        )
    return _divided(slice(0, batch), ranks)


def sub_batches(part: slice, largest: int) -> list[slice]:
    """The images of a rank in as few parts as hold at most `largest` images each, of nearly equal length."""
    return _divided(part, -(-(part.stop - part.start) // largest))


def cut(inputs: Mapping[str, Array], part: slice) -> dict[str, Array]:
    """These images, their labels and masks, as arrays of their own, so that the rest of the batch need not be kept."""
    return {name: array[part].copy() for name, array in inputs.items()}


def _divided(part: slice, pieces: int) -> list[slice]:
    each, more = divmod(part.stop - part.start, pieces)
    edges = [part.start + i * each + min(i, more) for i in range(pieces + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]
