"""What cuDNN does not notice: it sees pointers, so a wrong dtype, size or memory order gives wrong numbers."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from impl.cupy_cuda.arrays import Array, described
from impl.cupy_cuda.device import cupy
from impl.numpy_cpu.windows import Axis

ALIGNMENT = 16  # bytes; what plans assume of every pointer
Direction = Literal["fprop", "dgrad", "wgrad"]
Shape = tuple[int, ...]
OPERANDS: dict[Direction, tuple[str, str]] = {"fprop": ("x", "w"), "dgrad": ("y", "w"), "wgrad": ("x", "y")}
RESULT: dict[Direction, str] = {"fprop": "y", "dgrad": "x", "wgrad": "w"}


@dataclass(frozen=True)
class Convolution:
    """A convolution as cuDNN is asked for it, all that its plan depends on but the device: x (N, C, H, W), filters w
    (K, C/groups, R, S), y (N, K, P, Q), contiguous. fprop makes y, dgrad x, wgrad w of the other two.

    Raises ValueError for sizes that do not belong together. (cuDNN infers the groups from the channels: it would take
    a w with the wrong number of channels for a grouped convolution.)
    """

    direction: Direction
    dtype: str
    x: Shape
    w: Shape
    y: Shape
    before: tuple[int, int]
    after: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    def __post_init__(self) -> None:
        if min(*self.x, *self.w, *self.y) < 1:
            raise ValueError(f"cuDNN takes no empty arrays, got x {self.x}, w {self.w}, y {self.y}")
        if self.x[1] != self.w[1] * self.groups or self.w[0] % self.groups:
            raise ValueError(f"w {self.w} with groups={self.groups} does not fit the {self.x[1]} channels of x")
        if self.y[:2] != (self.x[0], self.w[0]):
            raise ValueError(f"y {self.y} must have {self.x[0]} images and {self.w[0]} channels")
        for i in range(2):
            room = self.x[2 + i] + self.before[i] + self.after[i] - self.dilation[i] * (self.w[2 + i] - 1) - 1
            if room < 0 or min(self.before[i], self.after[i]) < 0 or room // self.stride[i] + 1 != self.y[2 + i]:
                raise ValueError(
                    f"y {self.y} is not the output of x {self.x} and w {self.w} with padding {self.before} before and "
                    f"{self.after} after, stride {self.stride}, dilation {self.dilation}"
                )

    @property
    def operands(self) -> tuple[str, str]:
        """The arrays that it reads."""
        return OPERANDS[self.direction]

    @property
    def result(self) -> str:
        """The array that it makes."""
        return RESULT[self.direction]

    @property
    def operations(self) -> int:
        """Its arithmetic; a multiply-add counts 2."""
        return 2 * prod(self.y) * prod(self.w[1:])

    def shape(self, name: str) -> Shape:
        return {"x": self.x, "w": self.w, "y": self.y}[name]


def convolution(
    direction: Direction, dtype: Any, x: Shape, w: Shape, y: Shape, axes: tuple[Axis, Axis], groups: int
) -> Convolution:
    """The convolution of these shapes along these axes; the padding after is what the sizes need, or 0."""
    after = tuple(max(0, (a.out - 1) * a.stride + (a.taps - 1) * a.dilation + 1 - a.size - a.before) for a in axes)
    return Convolution(
        *(direction, str(dtype), tuple(x), tuple(w), tuple(y), (axes[0].before, axes[1].before), (after[0], after[1])),
        *((axes[0].stride, axes[1].stride), (axes[0].dilation, axes[1].dilation), groups),
    )


def check_buffer(a: Array, shape: Shape, dtype: str, name: str) -> None:
    """Raises ValueError unless a is a contiguous CuPy array of that shape and dtype, on the current device, aligned."""
    if not isinstance(a, cupy.ndarray) or tuple(a.shape) != tuple(shape) or a.dtype.name != dtype:
        raise ValueError(f"{name} must be a CuPy array of shape {tuple(shape)} and dtype {dtype}, got {described(a)}")
    if not a.flags.c_contiguous:
        raise ValueError(f"{name} must be contiguous, got strides {a.strides} for shape {tuple(a.shape)}")
    if a.device.id != cupy.cuda.Device().id:
        raise ValueError(f"{name} lies on device {a.device.id}, but device {cupy.cuda.Device().id} is current")
    if a.data.ptr % ALIGNMENT:
        raise ValueError(f"{name} must begin at a multiple of {ALIGNMENT} bytes, got address {a.data.ptr:#x}")


def aligned(a: Array) -> Array:
    """The array as cuDNN wants it: contiguous and aligned, itself or a copy."""
    a = cupy.ascontiguousarray(a)
    return a if a.data.ptr % ALIGNMENT == 0 else a.copy()
