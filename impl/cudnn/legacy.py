"""The functions of libcudnn that its graphs have no node for, through ctypes: descriptors, scaling factors, calls.

Some are marked deprecated since cuDNN 9.0 and still there in 9.27. Descriptors are made once for each shape and kept.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

from impl.cudnn.checks import check_buffer
from impl.cudnn.library import call, raw_handle
from impl.cupy_cuda.arrays import Array

DATA_TYPES = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 9}
PROPAGATE_NAN = 1


def start(function: str, *arguments: Any) -> None:
    """Calls a function that computes: the handle comes first; arrays and descriptors are passed as pointers."""
    call(function, raw_handle(), *(_passed(a) for a in arguments))


def scaling(dtype: Any) -> tuple[Any, Any]:
    """alpha = 1 and beta = 0 on the host: result = alpha * computed + beta * what was there (beta 0: not read)."""
    number = ctypes.c_double if dtype.name == "float64" else ctypes.c_float
    return ctypes.byref(number(1)), ctypes.byref(number(0))


def described(a: Array) -> ctypes.c_void_p:
    """The descriptor of a contiguous array (N, C, H, W)."""
    check_buffer(a, a.shape, a.dtype.name, "an array for cuDNN")
    return tensor(a.dtype.name, tuple(a.shape))


@cache
def tensor(dtype: str, shape: tuple[int, ...]) -> ctypes.c_void_p:
    """The descriptor of contiguous memory of that shape (N, C, H, W)."""
    n, c, h, w = shape
    descriptor = _make("cudnnCreateTensorDescriptor")
    call(
        *("cudnnSetTensor4dDescriptorEx", descriptor, DATA_TYPES[dtype]),
        *(n, c, h, w, c * h * w, h * w, w, 1),
    )
    return descriptor


@cache
def pooling(mode: int, window: tuple[int, int], padding: tuple[int, int], stride: tuple[int, int]) -> ctypes.c_void_p:
    """The descriptor of a pooling."""
    descriptor = _make("cudnnCreatePoolingDescriptor")
    call("cudnnSetPooling2dDescriptor", descriptor, mode, PROPAGATE_NAN, *window, *padding, *stride)
    return descriptor


@cache
def response_norm(window: int, alpha: float, beta: float, kappa: float) -> ctypes.c_void_p:
    """The descriptor of a local response normalisation; cuDNN divides alpha by the window."""
    descriptor = _make("cudnnCreateLRNDescriptor")
    numbers = (ctypes.c_double(value) for value in (alpha, beta, kappa))
    call("cudnnSetLRNDescriptor", descriptor, ctypes.c_uint(window), *numbers)
    return descriptor


def _make(function: str) -> ctypes.c_void_p:
    descriptor = ctypes.c_void_p()
    call(function, ctypes.byref(descriptor))
    return descriptor


def _passed(a: Any) -> Any:
    return ctypes.c_void_p(int(a.data.ptr)) if hasattr(a, "strides") else a
