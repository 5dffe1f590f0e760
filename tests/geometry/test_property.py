"""The property `geometry` of `mcnbench check` holds for right blocks, and finds windows in the wrong place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mcnbench import backend, blocks
from mcnbench.arrays import Array
from mcnbench.backends import Backend
from suites.properties import engine, table

RIGHT = backend("numpy")


@pytest.mark.parametrize("block", [name for name in blocks.names() if not name.endswith("log_loss")])
def test_right_blocks_hold(block: str) -> None:
    verdict = engine.run(RIGHT, block, "geometry", examples=30)
    assert verdict.verdict == "HOLDS", verdict.message


def test_every_property_has_its_column_in_the_tables_of_check() -> None:
    assert set(engine.PROPERTIES) == {*table.VALUES, *table.BEHAVIOUR}


def test_a_loss_has_no_geometry() -> None:
    assert "geometry" not in engine.properties("softmax_log_loss")
    assert "geometry" in engine.properties("conv2d")


def swapped_sides(x: Array, w: Array, b: Any = None, *, padding: Any, **options: Any) -> Any:
    top, bottom, left, right = padding if isinstance(padding, tuple) and len(padding) == 4 else (padding,) * 4
    return RIGHT.conv2d(x, w, b, padding=(bottom, top, left, right), **options)


def without_dilation(x: Array, w: Array, b: Any = None, *, dilation: Any, **options: Any) -> Any:
    """As many outputs as with the holes, from filters without."""
    spans = [d * (n - 1) + 1 for d, n in zip(np.broadcast_to(dilation, 2), w.shape[2:], strict=True)]
    filled = np.ones((*w.shape[:2], *spans), w.dtype)
    return RIGHT.conv2d(x, filled, b, dilation=1, **options)[0], None


def over_the_batch(x: Array, *, window: int, alpha: float, beta: float) -> Any:
    """Normalises every pixel by its own map's mean."""
    y = x * (1 + alpha * (x**2).mean((2, 3), keepdims=True)) ** -beta
    return y.astype(x.dtype), None


def one_row_short(x: Array, **options: Any) -> Any:
    y, pullback = RIGHT.max_pool2d(x, **options)
    y = y.copy()
    y[:, :, -1:] = 0
    return y, pullback


@pytest.mark.parametrize(
    ("block", "wrong"),
    [
        ("conv2d", swapped_sides),
        ("conv2d", without_dilation),
        ("spatial_norm", over_the_batch),
        ("max_pool2d", one_row_short),
    ],
)
def test_wrong_places_are_found(block: str, wrong: Any) -> None:
    faulty = Backend(wrong.__name__, type("Faulty", (), {block: staticmethod(wrong)}))
    verdict = engine.run(faulty, block, "geometry", examples=100)
    assert verdict.verdict == "VIOLATED", verdict.message
    assert "the receptive field is not that of the block" in verdict.message


def test_a_pullback_that_reaches_too_far_is_found() -> None:
    def relu(x: Array, *, slope: float = 0.0) -> Any:
        y, pullback = RIGHT.relu(x, slope=slope)

        def wide(dy: Array) -> tuple[Array, ...]:
            (dx,) = pullback(dy)
            return (dx + np.roll(dx, 1, axis=3),)

        return y, wide

    faulty = Backend("wide", type("Faulty", (), {"relu": staticmethod(relu)}))
    verdict = engine.run(faulty, "relu", "geometry", examples=50)
    assert verdict.verdict == "VIOLATED"
    assert "by the pullback" in verdict.message
