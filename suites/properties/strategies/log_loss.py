"""log_loss: strategies, relations and reference."""

from __future__ import annotations

from typing import Any

from suites.properties.relations import batch_in_two_parts, pixels_in_another_order
from suites.properties.strategies import Draw, Sizes
from suites.properties.strategies.drawing import break_one, map_shape, pick

EXACT = ()
BOUNDED = ("probabilities", "improbable")
TAYLOR = "fractions"
TIES = ""
EMPTY_BATCH = True
ADJOINT = ()
RELATIONS = (batch_in_two_parts, pixels_in_another_order)


def sizes(draw: Draw, data: str) -> Sizes:
    n, c, h, w = map_shape(draw, channels=6)
    return ((n, c, h, w), (n, h, w)), {}


def invalid(draw: Draw) -> Sizes:
    """Labels of another number of images, rows or columns."""
    (x, labels), options = sizes(draw, "normal")
    assert labels is not None
    return (x, break_one(draw, labels, pick(draw, 0, 1, 2))), options


def reference(x: Any, labels: Any) -> Any:
    return -x.gather(1, labels[:, None].long()).log().sum()
