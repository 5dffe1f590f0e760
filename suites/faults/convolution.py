"""Faults of conv2d, forward, and of what it accepts."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcnbench.arrays import Array, pair, sides
from suites.faults.fault import (
    Block,
    Fault,
    Options,
    Plant,
    Pullback,
    edit_inputs,
    edit_options,
    edit_y,
    rounded,
)

INDEX = "index slip"

BORDER = "boundary slip"

WU, VISIN = "Wu, Introduction to CNNs", "Visin, convolution arithmetic"

ONEDNN, CUDNN = "oneDNN issue tracker", "cuDNN, release notes"


def _extent(w: Array, dilation: Any) -> tuple[int, int]:
    dv, dh = pair(dilation)
    return dv * (w.shape[2] - 1) + 1, dh * (w.shape[3] - 1) + 1


def sides_exchanged(options: Options, *inputs: Any) -> Options:
    top, bottom, left, right = sides(options["padding"])
    return options | {"padding": (bottom, top, left, right)}


def columns_exchanged(options: Options, *inputs: Any) -> Options:
    top, bottom, left, right = sides(options["padding"])
    return options | {"padding": (top, bottom, right, left)}


def _padding_on_both_sides_alike(options: Options, *inputs: Any) -> Options:
    top, bottom, left, right = sides(options["padding"])
    before, across = (top + bottom) // 2, (left + right) // 2
    return options | {"padding": (before, top + bottom - before, across, left + right - across)}


def rows_for_columns(name: str) -> Plant:
    return edit_options(lambda options, *_: options | {name: (pair(options[name])[0],) * 2})


def flipped(x: Array, w: Array, b: Any = None, **_: Any) -> tuple[Any, ...]:
    return x, w[:, :, ::-1, ::-1], b


def square_transposed(x: Array, w: Array, b: Any = None, **_: Any) -> tuple[Any, ...]:
    return x, w.swapaxes(2, 3) if w.shape[2] == w.shape[3] else w, b


def groups_shifted(y: Array, x: Array, w: Array, b: Any = None, *, groups: int = 1, **_: Any) -> Array:
    return np.roll(y, y.shape[1] // groups, axis=1)


def _filters_dealt_to_groups(x: Array, w: Array, b: Any = None, *, groups: int = 1, **_: Any) -> tuple[Any, ...]:
    """Filter k belongs to group k mod groups, instead of floor(k / (K / groups))."""
    k = len(w)
    order = np.arange(k).reshape(-1, groups).T.ravel() if k % groups == 0 else np.arange(k)
    return x, w[order], None if b is None else b


def _unequal_groups(y: Array, x: Array, w: Array, b: Any = None, *, groups: int = 1, **_: Any) -> Array:
    """Strides over y by the channels of a group of x."""
    if groups == 1 or w.shape[1] == len(w) // groups:
        return y
    return np.roll(y, w.shape[1], axis=1)


def _remainder_at_the_start(x: Array, w: Array, b: Any = None, **options: Any) -> tuple[Any, ...]:
    """Windows end with the image where the stride leaves a remainder, instead of beginning with it."""
    top, bottom, left, right = sides(options["padding"])
    (sv, sh), (ev, eh) = pair(options["stride"]), _extent(w, options["dilation"])
    rows = (x.shape[2] + top + bottom - ev) % sv if top == bottom == 0 else 0
    columns = (x.shape[3] + left + right - eh) % sh if left == right == 0 else 0
    return np.roll(x, (-rows, -columns), (2, 3)), w, b


def beyond_the_window(*inputs: Any, **options: Any) -> tuple[Any, ...]:
    """Wrong only for a stride larger than the window: takes the pixel before."""
    x, *rest = inputs
    sv, sh = pair(options["stride"])
    ev, eh = pair(options["window"]) if "window" in options else _extent(rest[0], options["dilation"])
    return np.roll(x, (int(sv > ev), int(sh > eh)), (2, 3)), *rest


def _edge_padding(right: Block) -> Block:
    def wrong(x: Array, w: Array, b: Any = None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(x, w, b, **options)
        top, bottom, left, r = sides(options["padding"])
        padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, r)), mode="edge") if x.size else x
        return (right(padded, w, b, **options | {"padding": 0})[0] if x.size else y), pullback

    return wrong


def _accepts_missing_channels(right: Block) -> Block:
    def wrong(x: Array, w: Array, b: Any = None, **options: Any) -> tuple[Array, Pullback]:
        needed = w.shape[1] * options["groups"] if w.ndim == 4 else 0
        if x.ndim == 4 and 0 < needed < x.shape[1]:
            y, pullback = right(x[:, :needed], w, b, **options)
            return y, lambda dy: (np.zeros_like(x), *pullback(dy)[1:])
        return right(x, w, b, **options)

    return wrong


def _last_channel_of_odd(x: Array, w: Array, b: Any = None, **_: Any) -> tuple[Any, ...]:
    """Channels are read two at a time, and an odd last one is left out."""
    w = w.copy()
    if w.shape[1] % 2 and w.shape[1] > 1:
        w[:, -1] = 0
    return x, w, b


def _tile(y: Array, *_: Any, **__: Any) -> Array:
    """The last tile of 16 columns, where it is not full, repeats the column before it."""
    full = y.shape[-1] // 16 * 16
    if 0 < full < y.shape[-1]:
        y[..., full:] = y[..., full - 1 : full]
    return y


def _beyond_32_filters(y: Array, *_: Any, **__: Any) -> Array:
    if y.shape[1] > 32:
        y[:, 32:] = y[:, :1]
    return y


def _one_by_one(x: Array, w: Array, b: Any = None, **options: Any) -> tuple[Any, ...]:
    """The short way for 1 x 1 filters takes the last pixel of each stride, not the first."""
    sv, sh = pair(options["stride"])
    if w.shape[2:] != (1, 1) or any(sides(options["padding"])):
        return x, w, b
    return np.roll(x, (1 - sv, 1 - sh), (2, 3)), w, b


def _padding_beyond_the_filter(y: Array, x: Array, w: Array, b: Any = None, **options: Any) -> Array:
    """Where a window lies in the padding alone, y is 0 even with a bias."""
    top, _, left, _ = sides(options["padding"])
    (sv, sh), (ev, eh) = pair(options["stride"]), _extent(w, options["dilation"])
    rows, columns = (
        max(0, -(-(before - extent + 1) // stride)) for before, extent, stride in ((top, ev, sv), (left, eh, sh))
    )
    y[:, :, :rows] = 0
    y[:, :, :, :columns] = 0
    return y


def in_tf32(x: Array, w: Array, b: Any = None, **_: Any) -> tuple[Any, ...]:
    """Products in TF32: exact on small integers, three digits on anything else."""
    return rounded(x, 11), rounded(w, 11), b


FAULTS = (
    Fault(
        "conv2d/padding-rows-exchanged",
        "The padding of top and bottom is exchanged.",
        INDEX,
        edit_options(sides_exchanged),
    ),
    Fault(
        "conv2d/padding-columns-exchanged",
        "The padding of left and right is exchanged.",
        INDEX,
        edit_options(columns_exchanged),
    ),
    Fault(
        "conv2d/padding-made-symmetric",
        "Asymmetric padding is divided evenly.",
        "TensorFlow's SAME, pytorch#67551",
        edit_options(_padding_on_both_sides_alike),
    ),
    Fault(
        "conv2d/stride-rows-for-columns",
        "The vertical stride is used for both directions.",
        INDEX,
        rows_for_columns("stride"),
    ),
    Fault(
        "conv2d/dilation-rows-for-columns",
        "The vertical dilation is used for both directions.",
        INDEX,
        rows_for_columns("dilation"),
    ),
    Fault(
        "conv2d/true-convolution",
        "The filters are flipped: a convolution, not a cross-correlation.",
        f"{WU}, equation 15 against its Sobel example",
        edit_inputs(flipped),
    ),
    Fault(
        "conv2d/square-filters-transposed",
        "Square filters are read column by column.",
        f"{WU} and {VISIN} unroll in opposite orders",
        edit_inputs(square_transposed),
    ),
    Fault(
        "conv2d/groups-shifted", "Each group's output goes to the next group's place.", INDEX, edit_y(groups_shifted)
    ),
    Fault(
        "conv2d/filters-dealt-to-groups",
        "Filter k belongs to group k mod groups.",
        "MatConvNet deals in blocks; channel shuffles deal in turn",
        edit_inputs(_filters_dealt_to_groups),
    ),
    Fault(
        "conv2d/unequal-groups",
        "Wrong only if a group has other numbers of channels and of filters.",
        INDEX,
        edit_y(_unequal_groups),
    ),
    Fault(
        "conv2d/windows-end-with-the-image",
        "Where the stride leaves a remainder, it is left out at the start.",
        f"{VISIN}, Relationship 6",
        edit_inputs(_remainder_at_the_start),
    ),
    Fault(
        "conv2d/stride-beyond-the-filter",
        "Wrong only for a stride larger than the filter.",
        ONEDNN,
        edit_inputs(beyond_the_window),
    ),
    Fault(
        "conv2d/edge-padding",
        "The border is repeated instead of padded with zeros.",
        f"{WU}: 'other values are also possible'",
        _edge_padding,
    ),
    Fault(
        "conv2d/bias-missing",
        "The bias is not added.",
        "accumulation slip",
        edit_y(lambda y, x, w, b=None, **_: y if b is None else y - b[:, None, None]),
    ),
    Fault(
        "conv2d/bias-of-last-filter-missing",
        "The last filter gets no bias.",
        BORDER,
        edit_y(
            lambda y, x, w, b=None, **_: (
                y if b is None else y - b[:, None, None] * (np.arange(len(b)) == len(b) - 1)[:, None, None]
            )
        ),
    ),
    Fault(
        "conv2d/bias-in-padding-missing",
        "No bias where the window lies in the padding alone.",
        "MatConvNet, empty filters",
        edit_y(_padding_beyond_the_filter),
    ),
    Fault(
        "conv2d/one-by-one-strided",
        "1 x 1 filters take the last pixel of each stride.",
        f"{VISIN}: 'odd output elements', 1-based",
        edit_inputs(_one_by_one),
    ),
    Fault(
        "conv2d/odd-channel-left-out",
        "The last of an odd number of channels is not summed.",
        "vectorisation slip",
        edit_inputs(_last_channel_of_odd),
    ),
    Fault(
        "conv2d/last-tile",
        "Columns beyond the last full tile of 16 repeat the one before.",
        "tiling slip",
        edit_y(_tile),
    ),
    Fault(
        "conv2d/beyond-32-filters",
        "Filters beyond the 32nd repeat the first.",
        "tiling slip",
        edit_y(_beyond_32_filters),
    ),
    Fault(
        "conv2d/tf32-products",
        "Products are of TF32, undeclared.",
        "pytorch#79270, tensorflow#117663",
        edit_inputs(in_tf32),
    ),
    Fault(
        "conv2d/bfloat16-filters",
        "Filters are rounded to bfloat16.",
        "mixed precision",
        edit_inputs(lambda x, w, b=None, **_: (x, rounded(w, 8), b)),
    ),
    Fault(
        "conv2d/relative-error-1e-5",
        "y is off by 1e-5, relative.",
        "numerical slip",
        edit_y(lambda y, *_, **__: y * (1 + 1e-5)),
    ),
    Fault(
        "conv2d/extra-channels-accepted",
        "Channels beyond those that w needs are ignored, not refused.",
        "cuDNN does not notice",
        _accepts_missing_channels,
    ),
)
