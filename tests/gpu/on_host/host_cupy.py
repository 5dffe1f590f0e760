"""What random cases seldom meet in the CuPy backend."""

from __future__ import annotations

import cupy
import numpy as np
import pytest

from impl import cupy_cuda
from impl.cupy_cuda import im2row


def test_a_dilated_filter_as_wide_as_the_map_is_not_fully_connected() -> None:
    """Its second tap lies in the padding."""
    x, w = cupy.asarray(np.array([[[[1.0, 2.0]]]])), cupy.asarray(np.array([[[[3.0, 5.0]]]]))
    y, _ = cupy_cuda.conv2d(x, w, stride=1, padding=(0, 0, 0, 1), dilation=(1, 2), groups=1)
    assert cupy.asnumpy(y).tolist() == [[[[3.0]]]]


@pytest.mark.parametrize("images", [1, 2, 3])
def test_sub_batches_make_no_difference(images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workspace of so many images; 5 do not divide by 2 or 3."""
    rng = np.random.default_rng(0)
    x, w, b = (cupy.asarray(rng.integers(-9, 9, s).astype(float)) for s in ((5, 4, 6, 7), (6, 2, 3, 3), (6,)))
    dy = cupy.asarray(rng.integers(-9, 9, (5, 6, 6, 7)).astype(float))

    def run() -> list[np.ndarray]:
        y, pullback = cupy_cuda.conv2d(x, w, b, stride=1, padding=1, dilation=1, groups=2)
        return [cupy.asnumpy(a) for a in (y, *pullback(dy))]

    whole = run()
    monkeypatch.setattr(im2row, "WORKSPACE", images * 4 * 9 * 42 * 8)
    for a, b_ in zip(whole, run(), strict=True):
        assert np.array_equal(a, b_)


def test_sixteen_bit_numbers_are_summed_in_float32() -> None:
    """4096 ones added one by one in float16 stay at 2048."""
    x, w = cupy.asarray(np.ones((1, 4096, 1, 2), np.float16)), cupy.asarray(np.ones((1, 4096, 1, 1), np.float16))
    y, pullback = cupy_cuda.conv2d(x, w, stride=1, padding=0, dilation=1, groups=1)
    assert cupy.asnumpy(y).tolist() == [[[[4096.0, 4096.0]]]]
    dx, dw, _ = pullback(cupy.asarray(np.ones((1, 1, 1, 2), np.float16)))
    assert (dx.dtype, dw.dtype) == (np.float16, np.float16)
    assert set(cupy.asnumpy(dw).ravel()) == {2.0}
    pooled, _ = cupy_cuda.avg_pool2d(cupy.asarray(np.ones((1, 1, 64, 64), np.float16)), window=64, stride=1, padding=0)
    assert cupy.asnumpy(pooled).item() == 1.0


def test_sub_batches_of_sixteen_bit_numbers_are_added_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twos added one by one in float16 stay at 4096."""
    monkeypatch.setattr(im2row, "WORKSPACE", 1)  # one image at a time
    x, w = cupy.asarray(np.ones((2500, 1, 1, 2), np.float16)), cupy.asarray(np.ones((1, 1, 1, 1), np.float16))
    _, pullback = cupy_cuda.conv2d(x, w, stride=1, padding=0, dilation=1, groups=1)
    dw = pullback(x)[1]
    assert cupy.asnumpy(dw).item() == 5000


def test_other_blocks_refuse_sixteen_bit_numbers() -> None:
    with pytest.raises(ValueError, match="must be a CuPy array of float32, float64"):
        cupy_cuda.sigmoid(cupy.asarray(np.ones(3, np.float16)))
