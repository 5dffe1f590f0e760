"""What the training step uses beside the blocks: fused blocks equal the blocks in sequence, sgd equals torch's."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impl import numpy_cpu
from tests.numpy_cpu import oracle
from tests.numpy_cpu.test_conv2d import Case, cases, integers


@settings(max_examples=100, deadline=None)
@given(cases(), st.sampled_from([0.0, 0.5]), st.integers(0, 2**32 - 1))
def test_conv2d_relu_is_conv2d_then_relu(case: Case, slope: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, w, b = integers(rng, *case.x), integers(rng, *case.w), integers(rng, case.w[0])
    y, convolved = numpy_cpu.conv2d(x, w, b, **case.options)
    z, rectified = numpy_cpu.relu(y, slope=slope)
    fused, pullback = numpy_cpu.fused["conv2d", "relu"](x, w, b, **case.options, slope=slope)
    np.testing.assert_array_equal(fused, z)
    dz = integers(rng, *z.shape)
    for got, wanted in zip(pullback(dz), convolved(*rectified(dz)), strict=True):
        np.testing.assert_array_equal(got, wanted)
    dx, dw, db = pullback(dz, needs=(False, True, True))
    assert dx is None
    assert dw.shape == w.shape
    assert db.shape == b.shape


def test_where_relu_is_off_even_infinite_errors_are_dropped() -> None:
    """As torch does: a product with the mask would make NaN of them."""
    x = -np.ones((1, 2, 4, 4), np.float32)
    options = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1}
    for size in (3, 4):
        w = np.ones((2, 2, size, size), np.float32)
        y, pullback = numpy_cpu.fused["conv2d", "relu"](x, w, None, **options | {"padding": 1 if size == 3 else 0})
        dx, dw, _ = pullback(np.full_like(y, np.inf))
        assert not dx.any()
        assert not dw.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(70, 30, 5, 5), (96,)])
def test_sgd_is_that_of_torch(shape: tuple[int, ...], dtype: type) -> None:
    rng = np.random.default_rng(0)
    w = numpy_cpu.prepare(rng.standard_normal(shape).astype(dtype))
    v = np.zeros_like(w)
    peer = torch.nn.Parameter(torch.tensor(w))
    optimizer = torch.optim.SGD([peer], lr=0.1, momentum=0.9, weight_decay=0.01)
    for _ in range(3):
        dw = rng.standard_normal(shape).astype(dtype)
        numpy_cpu.sgd(w, v, dw, lr=0.1, momentum=0.9, weight_decay=0.01)
        peer.grad = torch.tensor(dw)
        optimizer.step()
    oracle.within(w, peer.detach().numpy(), 32 * oracle.unit(dtype) * (1 + np.abs(w)))
    oracle.within(v, optimizer.state[peer]["momentum_buffer"].numpy(), 64 * oracle.unit(dtype) * (1 + np.abs(v)))


def test_prepare_keeps_the_values_and_orders_filters_krsc() -> None:
    w = np.arange(120.0).reshape(2, 3, 4, 5)
    prepared = numpy_cpu.prepare(w)
    np.testing.assert_array_equal(prepared, w)
    assert prepared.transpose(0, 2, 3, 1).flags.c_contiguous
    prepared[...] = 0
    assert w.any()


@pytest.mark.parametrize("shape", [(3, 4, 1, 1), (5,)])
def test_prepare_copies_what_is_in_order_already(shape: tuple[int, ...]) -> None:
    w = np.ones(shape)
    assert not np.shares_memory(numpy_cpu.prepare(w), w)
