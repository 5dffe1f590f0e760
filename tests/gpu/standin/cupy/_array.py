"""The array of the stand-in: NumPy's values between two guards, hidden from NumPy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

GUARD = 256  # bytes before and after
GUARDED, POISON = 0xA5, 0xFF  # all bits set: NaN in every format, -1 as an integer


class ndarray:
    def __init__(self, values: Any, memory: Any) -> None:
        self.values, self.memory = values, memory

    @classmethod
    def fresh(cls, shape: Any, dtype: Any) -> ndarray:
        dtype = np.dtype(dtype)
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        memory = np.full(size + 2 * GUARD, GUARDED, np.uint8)
        memory[GUARD : GUARD + size] = POISON
        return cls(memory[GUARD : GUARD + size].view(dtype).reshape(shape), memory)

    @classmethod
    def holding(cls, values: Any) -> ndarray:
        a = cls.fresh(values.shape, values.dtype)
        a.values[...] = values
        return a

    def intact(self) -> bool:
        return bool((self.memory[:GUARD] == GUARDED).all() and (self.memory[-GUARD:] == GUARDED).all())

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed; use `.get()` or asnumpy")

    shape = property(lambda self: self.values.shape)
    dtype = property(lambda self: self.values.dtype)
    ndim = property(lambda self: self.values.ndim)
    size = property(lambda self: self.values.size)
    itemsize = property(lambda self: self.values.itemsize)
    nbytes = property(lambda self: self.values.nbytes)
    strides = property(lambda self: self.values.strides)
    flags = property(lambda self: self.values.flags)
    T = property(lambda self: self._view(self.values.T))

    data = property(lambda self: SimpleNamespace(ptr=self.values.ctypes.data))
    device = property(lambda self: SimpleNamespace(id=0))

    def _view(self, values: Any) -> ndarray:
        return ndarray(values, self.memory) if np.shares_memory(values, self.memory) else ndarray.holding(values)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, key: Any) -> ndarray:
        return self._view(np.asarray(self.values[key]))

    def __setitem__(self, key: Any, value: ndarray) -> None:
        self.values[key] = value.values

    def reshape(self, *shape: Any) -> ndarray:
        return self._view(self.values.reshape(*shape))

    def transpose(self, *axes: Any) -> ndarray:
        return self._view(self.values.transpose(*axes))

    def astype(self, dtype: Any, copy: bool = True) -> ndarray:
        return self if not copy and self.dtype == dtype else ndarray.holding(self.values.astype(dtype))

    def copy(self) -> ndarray:
        return ndarray.holding(self.values)

    def __add__(self, other: ndarray) -> ndarray:
        return ndarray.holding(self.values + other.values)

    def fill(self, value: Any) -> None:
        self.values.fill(value)

    def min(self) -> ndarray:
        return ndarray.holding(np.asarray(self.values.min()))

    def max(self) -> ndarray:
        return ndarray.holding(np.asarray(self.values.max()))

    def __int__(self) -> int:
        return int(self.values)

    def __float__(self) -> float:
        return float(self.values)
