"""What every block promises about memory: any strides are read, nothing given changes, what is returned stays."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from impl import numpy_cpu
from tests.numpy_cpu.oracle import Array

CONV = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1}
Block = Callable[[Array], tuple[Array, Callable[..., tuple[Array | None, ...]]]]
BLOCKS: dict[str, Block] = {
    "conv2d": lambda x: numpy_cpu.conv2d(x, np.ones((5, x.shape[1], 3, 3), x.dtype), np.ones(5, x.dtype), **CONV),
    "fully connected": lambda x: numpy_cpu.conv2d(
        x, np.ones((5, *x.shape[1:]), x.dtype), np.ones(5, x.dtype), **CONV | {"padding": 0}
    ),
    "max_pool2d": lambda x: numpy_cpu.max_pool2d(x, window=3, stride=2, padding=1),
    "relu": lambda x: numpy_cpu.relu(x),
    "leaky relu": lambda x: numpy_cpu.relu(x, slope=0.5),
    "local_response_norm": lambda x: numpy_cpu.local_response_norm(x, window=3, kappa=1.0, alpha=0.5, beta=0.75),
    "dropout": lambda x: numpy_cpu.dropout(x, np.full(x.shape, 2, x.dtype)),
    "softmax_log_loss": lambda x: numpy_cpu.softmax_log_loss(x, np.zeros((len(x), *x.shape[2:]), np.int64)),
}
LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "channels last": lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "Fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(np.repeat(x, 2, 1), 3, 3)[:, ::2, :, ::3],
    "reversed": lambda x: np.ascontiguousarray(x[:, :, ::-1, ::-1])[:, :, ::-1, ::-1],
    "half the channels": lambda x: np.concatenate([x, x], 1)[:, : x.shape[1]],
}


def ready(shape: tuple[int, ...] = (3, 4, 7, 6), dtype: Any = np.float32) -> Array:
    x = np.random.default_rng(7).integers(-4, 5, shape).astype(dtype)
    x.flags.writeable = False
    return x


def results(block: Block, x: Array) -> list[Array]:
    y, pullback = block(x)
    dy = np.asarray(np.arange(y.size).reshape(y.shape) % 5 - 2, x.dtype)
    dy.flags.writeable = False
    return [y, *(g for g in pullback(dy) if g is not None)]


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS.keys())
def test_any_memory_order_gives_the_same(block: Block, layout: Callable[[Array], Array]) -> None:
    for got, wanted in zip(results(block, layout(ready())), results(block, ready()), strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS.keys())
def test_broadcast_input(block: Block) -> None:
    x = np.broadcast_to(ready((1, 4, 1, 6)), (3, 4, 7, 6))
    for got, wanted in zip(results(block, x), results(block, x.copy()), strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS.keys())
def test_results_are_fresh_and_repeatable(block: Block, dtype: Any) -> None:
    """A second call on other data, or a second pullback, leaves the first results as they were."""
    y, pullback = block(ready(dtype=dtype))
    assert y.dtype == dtype
    dy = np.asarray(np.arange(y.size).reshape(y.shape) % 5 - 2, dtype)
    first = [y, *(g for g in pullback(dy) if g is not None)]
    kept = [a.copy() for a in first]
    results(block, ready((5, 4, 7, 6), dtype) * 3)
    pullback(dy * 7)
    for a, b, c in zip(first, kept, [y, *(g for g in pullback(dy) if g is not None)], strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(c, b)


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS.keys())
def test_empty_batch(block: Block) -> None:
    y, *gradients = results(block, ready((0, 4, 7, 6)))
    assert len(y) == 0 if y.ndim else y == 0
    assert gradients[0].shape == (0, 4, 7, 6)
    assert all((g == 0).all() for g in gradients[1:])


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS.keys())
def test_any_number_of_threads_gives_the_same(block: Block, threads: int) -> None:
    wanted = results(block, ready())
    before = numpy_cpu.threads.threads()
    numpy_cpu.set_threads(threads)
    try:
        for got, want in zip(results(block, ready()), wanted, strict=True):
            np.testing.assert_array_equal(got, want)
    finally:
        numpy_cpu.set_threads(before)


def test_an_error_in_a_worker_reaches_the_caller() -> None:
    def task(i: int) -> None:
        if i == 7:
            raise ArithmeticError("seven")

    with pytest.raises(ArithmeticError, match="seven"):
        numpy_cpu.threads.run(task, 20)
    with pytest.raises(ValueError, match="at least 1 thread, got 0"):
        numpy_cpu.set_threads(0)
