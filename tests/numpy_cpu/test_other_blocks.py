"""relu, dropout, local_response_norm and softmax_log_loss against PyTorch in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impl import numpy_cpu
from tests.numpy_cpu import oracle
from tests.numpy_cpu.oracle import Array


@pytest.mark.parametrize("slope", [0.0, 0.25, 2.0, -1.0])
def test_relu(slope: float) -> None:
    x = np.array([-np.inf, -2.0, -0.0, 0.0, 3.0, np.inf], np.float32).reshape(1, 6, 1, 1)
    y, pullback = numpy_cpu.relu(x, slope=slope)
    negative = np.array([-np.inf, -2.0], np.float32) * slope if slope else np.zeros(2)
    np.testing.assert_array_equal(y.ravel(), [*negative, 0, 0, 3, np.inf])
    np.testing.assert_array_equal(pullback(np.full_like(x, 4))[0].ravel(), [4 * slope] * 4 + [4, 4])
    assert np.isnan(numpy_cpu.relu(np.full_like(x, np.nan), slope=slope)[0]).all()


def test_dropout() -> None:
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 2, 3, 5, 7))
    mask = 2.0 * rng.integers(0, 2, x.shape)
    y, pullback = numpy_cpu.dropout(x, mask)
    np.testing.assert_array_equal(y, x * mask)
    dx, no_gradient = pullback(dy)
    np.testing.assert_array_equal(dx, dy * mask)
    assert no_gradient is None


def lrn_in_torch(x: torch.Tensor, window: int, kappa: float, alpha: float, beta: float) -> torch.Tensor:
    low, high = (window - 1) // 2, window // 2
    squares = torch.nn.functional.pad(x * x, (0, 0, 0, 0, low, high))
    sums = torch.stack([squares[:, k : k + x.shape[1]] for k in range(window)]).sum(0)
    return x * (kappa + alpha * sums) ** -beta


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 8), st.sampled_from([0.5, 0.75, 1.0]), st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_local_response_norm(dtype: type, channels: int, window: int, beta: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, dy = (rng.standard_normal((2, 2, channels, 3, 4)) * 10.0 ** rng.integers(-2, 3)).astype(dtype)
    options = {"window": window, "kappa": 2.0, "alpha": 0.3, "beta": beta}
    y, pullback = numpy_cpu.local_response_norm(x, **options)
    wanted, (dx,) = oracle.run(lambda t: lrn_in_torch(t, **options), dy, x)
    u = oracle.unit(dtype)
    oracle.within(y, wanted, 64 * u * np.abs(wanted))
    # the two terms of dx may cancel: bound each by its own size
    scale = np.abs(dy) + 2 * 0.3 * beta * np.abs(x) * np.abs(dy * x).sum(1, keepdims=True)
    oracle.within(pullback(dy)[0], dx, 64 * u * scale)


def test_local_response_norm_keeps_small_channels_beside_large_ones() -> None:
    x = np.array([1e4, 1e-3, 1e-3, 1e-3, 1e-3, 1e-3], np.float32).reshape(1, 6, 1, 1)
    y, _ = numpy_cpu.local_response_norm(x, window=3, kappa=0.0, alpha=1.0, beta=0.5)
    np.testing.assert_allclose(y[0, 3:5, 0, 0], 1 / np.sqrt(3), rtol=1e-6)


def softmax_loss_in_torch(x: torch.Tensor, labels: Array) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(x, torch.tensor(labels), reduction="sum")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 1e4, -1e4])
def test_softmax_log_loss(dtype: type, offset: float) -> None:
    rng = np.random.default_rng(0)
    x = (4 * rng.standard_normal((3, 10, 2, 5)) + offset).astype(dtype)
    labels = rng.integers(0, 10, (3, 2, 5))
    y, pullback = numpy_cpu.softmax_log_loss(x, labels)
    dy = np.asarray(-3.0, dtype)
    wanted, (dx,) = oracle.run(lambda t: softmax_loss_in_torch(t, labels), dy, x)
    assert y.shape == ()
    assert y.dtype == dtype
    u = oracle.unit(dtype)
    oracle.within(y, wanted, 64 * u * np.abs(wanted))
    oracle.within(pullback(dy)[0], dx, 256 * u)


def test_softmax_log_loss_refuses_labels_that_do_not_fit() -> None:
    x = np.zeros((2, 3, 1, 1), np.float32)
    for labels, message in [
        (np.full((2, 1, 1), 3), r"0 \.\. 2, got 3"),
        (np.zeros((2, 1)), "integers"),
        (np.full((2, 1, 1), -1), "got -1"),
    ]:
        with pytest.raises(ValueError, match=message):
            numpy_cpu.softmax_log_loss(x, labels)
