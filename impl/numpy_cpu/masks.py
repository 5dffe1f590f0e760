"""Keeping the values where a mask holds, +0 elsewhere: by their bits, which is many times faster than ``np.where``.

Unlike a product with the mask this also drops infinities and NaN.
"""

import numpy as np

from impl.numpy_cpu import threads
from impl.numpy_cpu.arrays import Array

_BITS = {4: np.int32, 8: np.int64}


def positive(a: Array) -> Array:
    """Whether a > 0, in the calling thread's scratch memory."""
    mask = threads.scratch("positive", a.shape, np.bool_)
    np.greater(a, a.dtype.type(0), out=mask)
    return mask


def keep(values: Array, mask: Array, out: Array) -> None:
    """Writes the values where the mask holds, and +0 elsewhere, to out. The mask is contiguous and used up."""
    bits = _BITS[values.dtype.itemsize]
    wide = threads.scratch("wide mask", mask.shape, bits)
    signed = mask.view(np.int8)
    np.negative(signed, out=signed)
    np.copyto(wide, signed)  # 0 or -1: no bits or all of them
    np.bitwise_and(values.view(bits), wide, out=out.view(bits))
