"""Several small images side by side in one larger, so that tiles of m x m outputs fit better.

A map of 13 x 13 outputs needs 4 x 4 tiles of 4 x 4, which cover 16 x 16; four such maps in a mosaic of 27 x 27 need
7 x 7, a quarter less work. Neighbours share their padding; the outputs in the gaps between them mean nothing and are
left out.
"""

import dataclasses
import itertools

import numpy as np

from impl.numpy_cpu import threads
from impl.numpy_cpu.arrays import Array
from impl.numpy_cpu.correlation import Axes
from impl.numpy_cpu.masks import keep, positive
from impl.numpy_cpu.windows import Axis

SIDE = 4  # images along a side of a mosaic, at most


@dataclasses.dataclass(frozen=True)
class Mosaic:
    """``down`` x ``across`` images each, of ``images`` in all, at a distance of ``pitch`` pixels."""

    images: int
    down: int
    across: int
    pitch: tuple[int, int]
    axes: Axes
    """Of the convolution of a mosaic."""

    @property
    def count(self) -> int:
        """The number of mosaics."""
        return -(-self.images // (self.down * self.across))

    def arrange(self, x: Array, sizes: tuple[int, int], where: Array | None = None) -> Array:
        """The mosaics (count, *sizes, C) of images x (N, H, W, C), 0 between and where ``where`` is not positive."""
        out = np.empty((self.count, *sizes, x.shape[3]), x.dtype)

        def task(i: int) -> None:
            out[i] = 0
            for n, rows, columns in self._places(i, (x.shape[1], x.shape[2])):
                if where is None:
                    out[i, rows, columns] = x[n]
                else:
                    keep(x[n], positive(where[n]), out[i, rows, columns])

        threads.run(task, self.count)
        return out

    def collect(self, mosaics: Array, out: Array) -> None:
        """Writes the images of the mosaics to out (N, P, Q, K)."""

        def task(i: int) -> None:
            for n, rows, columns in self._places(i, (out.shape[1], out.shape[2])):
                out[n] = mosaics[i, rows, columns]

        threads.run(task, self.count)

    def _places(self, i: int, size: tuple[int, int]) -> list[tuple[int, slice, slice]]:
        """The images of mosaic i, with their rows and columns in it."""
        first = i * self.down * self.across
        corners = itertools.product(range(self.down), range(self.across))
        return [
            (
                n,
                slice(r * self.pitch[0], r * self.pitch[0] + size[0]),
                slice(c * self.pitch[1], c * self.pitch[1] + size[1]),
            )
            for n, (r, c) in zip(range(first, self.images), corners, strict=False)
        ]


def mosaic(axes: Axes, images: int, outputs: int) -> Mosaic | None:
    """The mosaic that needs the fewest tiles of outputs x outputs; None where single images need hardly more."""
    if images < 2 or min(axis.before for axis in axes) < 0:
        return None
    sides = range(1, SIDE + 1)
    best = min(
        (_mosaic(axes, images, *sizes) for sizes in itertools.product(sides, sides)), key=lambda m: _tiles(m, outputs)
    )
    alone = _mosaic(axes, images, 1, 1)
    return best if _tiles(best, outputs) < 0.93 * _tiles(alone, outputs) else None


def _mosaic(axes: Axes, images: int, down: int, across: int) -> Mosaic:
    pitches, joined = [], []
    for axis, count in zip(axes, (down, across), strict=True):
        after = axis.out + axis.taps - 1 - axis.before - axis.size
        gap = max(axis.before, after, axis.out - axis.size, 0)
        pitch = axis.size + gap
        pitches.append(pitch)
        joined.append(Axis(count * pitch - gap, axis.taps, 1, 1, axis.before, (count - 1) * pitch + axis.out))
    return Mosaic(images, down, across, (pitches[0], pitches[1]), (joined[0], joined[1]))


def _tiles(m: Mosaic, outputs: int) -> int:
    return m.count * -(-m.axes[0].out // outputs) * -(-m.axes[1].out // outputs)
