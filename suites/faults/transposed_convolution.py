"""Faults of conv_transpose2d."""

from __future__ import annotations

import numpy as np

from mcnbench.arrays import pair
from suites.faults.convolution import (
    INDEX,
    VISIN,
    columns_exchanged,
    flipped,
    groups_shifted,
    in_tf32,
    sides_exchanged,
    square_transposed,
)
from suites.faults.fault import (
    Fault,
    edit_gradient,
    edit_inputs,
    edit_options,
    edit_y,
)

FAULTS = (
    Fault(
        "conv_transpose2d/crop-exchanged",
        "The crop of top and bottom is exchanged.",
        INDEX,
        edit_options(sides_exchanged),
    ),
    Fault(
        "conv_transpose2d/columns-exchanged",
        "The crop of left and right is exchanged.",
        INDEX,
        edit_options(columns_exchanged),
    ),
    Fault(
        "conv_transpose2d/flipped",
        "The filters are flipped.",
        f"{VISIN}, transposed convolution drawn as a convolution",
        edit_inputs(flipped),
    ),
    Fault(
        "conv_transpose2d/square-filters-transposed",
        "Square filters are read column by column.",
        INDEX,
        edit_inputs(square_transposed),
    ),
    Fault(
        "conv_transpose2d/groups-shifted",
        "Each group's output goes to the next group's place.",
        INDEX,
        edit_y(groups_shifted),
    ),
    Fault(
        "conv_transpose2d/bias-missing",
        "The bias is not added.",
        "accumulation slip",
        edit_y(lambda y, x, w, b=None, **_: y if b is None else y - b[:, None, None]),
    ),
    Fault(
        "conv_transpose2d/last-row",
        "The last row is zero where the stride leaves one.",
        f"{VISIN}, Relationship 14",
        edit_y(
            lambda y, x, w, b=None, **o: (
                y * (np.arange(y.shape[2]) < y.shape[2] - (pair(o["stride"])[0] > w.shape[2]))[:, None]
            )
        ),
    ),
    Fault(
        "conv_transpose2d/overlaps-overwritten",
        "y takes the larger part where windows overlap.",
        "accumulation slip",
        edit_y(
            lambda y, x, w, b=None, **o: np.where(
                (np.arange(y.shape[3]) % 2 == 1) & (w.shape[3] > pair(o["stride"])[1]), y * 0.5, y
            )
        ),
    ),
    Fault(
        "conv_transpose2d/dw-flipped",
        "dw is flipped.",
        INDEX,
        edit_gradient(1, lambda g, *_, **__: g[:, :, ::-1, ::-1]),
    ),
    Fault(
        "conv_transpose2d/dx-of-first-group",
        "dx of all groups but the first is zero.",
        INDEX,
        edit_gradient(
            0,
            lambda g, dy, x, w, b=None, groups=1, **_: (
                g * (np.arange(g.shape[1]) < g.shape[1] // groups)[:, None, None]
            ),
        ),
    ),
    Fault(
        "conv_transpose2d/db-averaged",
        "db is the mean over the places.",
        "accumulation slip",
        edit_gradient(2, lambda g, dy, *_, **__: g / max(1, dy[:, :1].size)),
    ),
    Fault(
        "conv_transpose2d/tf32-products",
        "Products are of TF32, undeclared.",
        "pytorch#79270",
        edit_inputs(in_tf32),
    ),
)
