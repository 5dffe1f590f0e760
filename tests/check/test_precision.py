"""Backends that say what they really compute with: TF32, and a normwise algorithm."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mcnbench.arrays import pair, sides
from mcnbench.backends import Backend
from suites.properties import engine
from tests.check import wrong


def fft_conv2d(x: Any, w: Any, b: Any = None, *, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    """By the convolution theorem, in the dtype of x: errors spread over the map, beyond componentwise bounds."""
    if max(*pair(stride), *pair(dilation)) > 1:
        raise NotImplementedError("only dense convolutions")
    top, bottom, left, right = sides(padding)
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    size = (x.shape[2] + w.shape[2] - 1, x.shape[3] + w.shape[3] - 1)
    fx, fw = np.fft.rfft2(x, size), np.fft.rfft2(w[:, :, ::-1, ::-1], size)
    assert fx.dtype == np.result_type(x.dtype, np.complex64)
    parts = zip(np.split(fx, groups, 1), np.split(fw, groups), strict=True)
    product = np.concatenate([np.einsum("nchw,kchw->nkhw", a, c) for a, c in parts], 1)
    y = np.fft.irfft2(product, size)[:, :, w.shape[2] - 1 : x.shape[2], w.shape[3] - 1 : x.shape[3]]
    y = y.astype(x.dtype)
    return (y if b is None else y + b[:, None, None]), None


def test_a_normwise_algorithm_is_held_to_the_norm_of_the_map() -> None:
    plain = Backend("fft", SimpleNamespace(conv2d=fft_conv2d))
    verdict = engine.run(plain, "conv2d", "bounded")
    assert verdict.verdict == "VIOLATED", "integers of one size would hide it, real numbers over many scales do not"
    declared = Backend("fft", SimpleNamespace(conv2d=fft_conv2d, accuracy="normwise", normwise_factor=8.0))
    for property in ("bounded", "exact", "metamorphic", "nan"):
        verdict = engine.run(declared, "conv2d", property)
        assert verdict.verdict == "HOLDS", verdict


def test_a_wrong_normwise_algorithm_is_still_found() -> None:
    def shifted(x: Any, *rest: Any, **options: Any) -> Any:
        y, pullback = fft_conv2d(x, *rest, **options)
        return np.roll(y, 1, -1), pullback

    declared = Backend("fft", SimpleNamespace(conv2d=shifted, accuracy="normwise", normwise_factor=8.0))
    for property in ("bounded", "exact"):
        assert engine.run(declared, "conv2d", property).verdict == "VIOLATED"


@pytest.mark.parametrize(("says", "expected"), [("float32", "VIOLATED"), ("tf32", "HOLDS")])
def test_tf32_is_right_only_where_it_is_said(says: str, expected: str) -> None:
    found = wrong.conv2d("TF32 products")
    backend = Backend("tensor cores", SimpleNamespace(conv2d=found, precision={"float32": says}))
    assert engine.run(backend, "conv2d", "bounded").verdict == expected
    assert engine.run(backend, "conv2d", "exact").verdict == "HOLDS"
