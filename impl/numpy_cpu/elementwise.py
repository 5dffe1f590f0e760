"""Element-wise work on the worker threads, in cache-sized tiles."""

from collections.abc import Callable

from impl.numpy_cpu import threads
from impl.numpy_cpu.arrays import Array, empty, nhwc
from impl.numpy_cpu.tiles import tiles

TILE = 1 << 16  # elements


def apply(function: Callable[..., None], *arrays: Array) -> Array:
    """Fresh y, written by ``function(*parts of arrays, part of y)`` tile by tile; all share one shape and dtype.

    The parts are seen as (n, h, w, C): the function may also work along the last axis, the channels.
    """
    y = empty(arrays[0].shape, arrays[0].dtype)
    n, c, h, w = y.shape
    pieces = tiles(n, h, w * c, TILE)
    seen = [nhwc(a) for a in (*arrays, y)]
    threads.run(lambda i: function(*(a[pieces[i].place] for a in seen)), len(pieces))
    return y
