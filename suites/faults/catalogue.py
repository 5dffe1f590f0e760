"""All planted faults, by name."""

from __future__ import annotations

from collections.abc import Sequence

from mcnbench.errors import unknown
from suites.faults import (
    convolution,
    convolution_gradients,
    edges,
    elementwise,
    losses,
    normalization,
    pooling,
    response_normalization,
    softmax,
    state,
    transposed_convolution,
)
from suites.faults.fault import Fault
from suites.properties import strategies

FAMILIES = (
    convolution,
    convolution_gradients,
    transposed_convolution,
    pooling,
    normalization,
    response_normalization,
    softmax,
    losses,
    elementwise,
    state,
    edges,
)
FAULTS: dict[str, Fault] = {fault.name: fault for family in FAMILIES for fault in family.FAULTS}


def selected(blocks: Sequence[str], names: Sequence[str]) -> list[Fault]:
    """The faults of these blocks and of these names; none of either means all. Raises BadInput for one not known."""
    for block in blocks:
        if block not in strategies.names():
            raise unknown("block", block, strategies.names())
    for name in names:
        if name not in FAULTS:
            raise unknown("fault", name, FAULTS)
    return [
        fault
        for fault in FAULTS.values()
        if (not blocks or fault.block in blocks) and (not names or fault.name in names)
    ]
