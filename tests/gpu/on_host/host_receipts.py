"""Why a backend cannot run here, in one sentence each."""

from __future__ import annotations

from typing import Any

import cudnn
import cupy
import pytest

from impl.cudnn import library
from impl.cupy_cuda import device


def fails(error: Exception) -> Any:
    def function(*_: Any) -> Any:
        raise error

    return function


@pytest.mark.parametrize(
    ("where", "name", "value", "said"),
    [
        (device, "cupy", None, "CuPy cannot be imported"),
        (cupy.cuda.runtime, "getDeviceCount", fails(cupy.cuda.runtime.CUDARuntimeError("driver")), "no NVIDIA driver"),
        (cupy.cuda.runtime, "getDeviceCount", lambda: 0, "finds a driver, but no GPU"),
        (cupy.cuda.device, "get_cublas_handle", fails(ImportError("libcublas.so.13")), "lacks CUDA's libraries"),
        (cupy.cuda.nvrtc, "getVersion", fails(RuntimeError("libnvrtc")), "lacks CUDA's libraries"),
        (library, "frontend", None, "the cuDNN frontend cannot be imported"),
        (cudnn, "backend_version", fails(RuntimeError("Unable to find symbol")), "libcudnn is not found"),
        (cudnn, "backend_version", lambda: 90701, "cuDNN 9.8 or later is needed, found version number 90701"),
    ],
)
def test_what_is_missing_is_said(where: Any, name: str, value: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(where, name, value)
    with pytest.raises(RuntimeError, match=said) as refused:
        library.version()
    assert "\n" not in str(refused.value)


def test_the_receipt_names_the_arithmetic() -> None:
    assert "TF32 off" in library.version()
    assert "cuDNN 9.27.0" in library.version()
