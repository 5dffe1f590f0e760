"""The bound of convolutions in TF32 holds for what tensor cores do, from one term on, and would see 8-bit factors."""

from __future__ import annotations

import numpy as np
import pytest

from mcnbench.blocks import conv2d
from mcnbench.bounds import PRECISIONS


def truncated(a: np.ndarray, bits: int) -> np.ndarray:
    """Rounded toward zero to so many bits of the significand."""
    fraction, exponent = np.frexp(a.astype(np.float64))
    return np.ldexp(np.trunc(fraction * 2**bits) / 2**bits, exponent)


def worst(channels: int, bits: int) -> float:
    """The worst error over its bound of a 1x1 convolution over so many channels whose factors keep so many bits."""
    rng = np.random.default_rng(channels)
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((2, channels, 7, 7), (9, channels, 1, 1)))
    exact, _ = conv2d.oracle((x, w), conv2d.Options())
    found, _ = conv2d.oracle((truncated(x, bits), truncated(w, bits)), conv2d.Options())
    bound = conv2d.bound((x, w), conv2d.Options(), np.zeros_like(exact), PRECISIONS["tf32"])["y"]
    return float(np.max(np.abs(found.astype(np.float32) - exact) / bound))


@pytest.mark.parametrize("channels", [1, 2, 3, 64, 2000])
def test_truncated_factors_are_within_the_bound(channels: int) -> None:
    assert 0 < worst(channels, bits=11) <= 1


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_fewer_bits_are_not(channels: int) -> None:
    assert worst(channels, bits=8) > 1
