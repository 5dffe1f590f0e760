"""Faults of conv2d and conv_transpose2d."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcnbench.arrays import Array, pair, sides
from suites.faults.fault import (
    Block,
    Fault,
    Gradients,
    Options,
    Plant,
    Pullback,
    edit_gradient,
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


def _sides_exchanged(options: Options, *inputs: Any) -> Options:
    top, bottom, left, right = sides(options["padding"])
    return options | {"padding": (bottom, top, left, right)}


def _columns_exchanged(options: Options, *inputs: Any) -> Options:
    top, bottom, left, right = sides(options["padding"])
    return options | {"padding": (top, bottom, right, left)}


def _padding_on_both_sides_alike(options: Options, *inputs: Any) -> Options:
    top, bottom, left, right = sides(options["padding"])
    before, across = (top + bottom) // 2, (left + right) // 2
    return options | {"padding": (before, top + bottom - before, across, left + right - across)}


def _rows_for_columns(name: str) -> Plant:
    return edit_options(lambda options, *_: options | {name: (pair(options[name])[0],) * 2})


def _flipped(x: Array, w: Array, b: Any = None, **_: Any) -> tuple[Any, ...]:
    return _with_b(x, w[:, :, ::-1, ::-1], b)


def _with_b(x: Any, w: Any, b: Any) -> tuple[Any, ...]:
    return x, w, b


def _needs_b(change: Any) -> Plant:
    """Like edit_inputs, for calls with and without a third input."""

    def change_two_or_three(*inputs: Any, **options: Any) -> tuple[Any, ...]:
        return tuple(change(*inputs, **options)[: len(inputs)])

    return edit_inputs(change_two_or_three)


def _square_transposed(x: Array, w: Array, b: Any = None, **_: Any) -> tuple[Any, ...]:
    return x, w.swapaxes(2, 3) if w.shape[2] == w.shape[3] else w, b


def _groups_shifted(y: Array, x: Array, w: Array, b: Any = None, *, groups: int = 1, **_: Any) -> Array:
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


def _beyond_the_window(x: Array, w: Array, b: Any = None, **options: Any) -> tuple[Any, ...]:
    """Wrong only for a stride larger than the filter: takes the pixel before."""
    (sv, sh), (ev, eh) = pair(options["stride"]), _extent(w, options["dilation"])
    return np.roll(x, (int(sv > ev), int(sh > eh)), (2, 3)), w, b


def _edge_padding(right: Block) -> Block:
    def wrong(x: Array, w: Array, b: Any = None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(x, w, b, **options)
        top, bottom, left, r = sides(options["padding"])
        padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, r)), mode="edge") if x.size else x
        return (right(padded, w, b, **options | {"padding": 0})[0] if x.size else y), pullback

    return wrong


def _dw_without_dilation(right: Block) -> Block:
    """dw[r, s] reads the pixels of a filter that is not dilated."""

    def wrong(x: Array, w: Array, b: Any = None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(x, w, b, **options)
        plain, dense = right(x, w, b, **options | {"dilation": 1})

        def gradients(dy: Array) -> Gradients:
            dx, _, *rest = pullback(dy)
            embedded = np.zeros(plain.shape, dy.dtype)
            embedded[:, :, : dy.shape[2], : dy.shape[3]] = dy
            return (dx, dense(embedded)[1], *rest)

        return y, gradients

    return wrong


def _dx_overwritten(right: Block) -> Block:
    """Each place of y stores its part of dx instead of adding it."""

    def wrong(x: Array, w: Array, b: Any = None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(x, w, b, **options)

        def gradients(dy: Array) -> Gradients:
            dx, *rest = pullback(dy)
            places = list(np.ndindex(*dy.shape[2:]))
            if dx is None or not 1 < len(places) <= 64:
                return (dx, *rest)
            out = np.zeros_like(dx)
            for p, q in places:
                one = np.zeros_like(dy)
                one[:, :, p, q] = dy[:, :, p, q]
                part = pullback(one)[0]
                assert part is not None
                out = np.where(part != 0, part, out)
            return (out, *rest)

        return y, gradients

    return wrong


def _dw_keeps_adding(right: Block) -> Block:
    """dw is added to what the pullback's last call left in it."""

    def wrong(x: Array, w: Array, b: Any = None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(x, w, b, **options)
        sums = np.zeros_like(w)

        def gradients(dy: Array) -> Gradients:
            nonlocal sums
            dx, dw, *rest = pullback(dy)
            sums = sums + dw
            return (dx, sums.copy(), *rest)

        return y, gradients

    return wrong


def _accepts_missing_channels(right: Block) -> Block:
    def wrong(x: Array, w: Array, b: Any = None, **options: Any) -> tuple[Array, Pullback]:
        needed = w.shape[1] * options["groups"] if w.ndim == 4 else 0
        if x.ndim == 4 and 0 < needed < x.shape[1]:
            y, pullback = right(x[:, :needed], w, b, **options)
            return y, lambda dy: (np.zeros_like(x), *pullback(dy)[1:])
        return right(x, w, b, **options)

    return wrong


def _bias_is_none_backward(right: Block) -> Block:
    def wrong(x: Array, w: Array, b: Any = None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(x, w, b, **options)
        return y, lambda dy: (*pullback(dy)[:2], None)

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
    rows, columns = (max(0, -(-(before - extent + 1) // stride)) for before, extent, stride in ((top, ev, sv), (left, eh, sh)))
    y[:, :, :rows] = 0
    y[:, :, :, :columns] = 0
    return y


def _only_for_ones(g: Array, dy: Array, x: Array, w: Array, b: Any = None, **_: Any) -> Array:
    """db counts the places instead of adding dy."""
    return np.full_like(g, dy.size // max(len(g), 1))


def _dw_of_the_first_image(right: Block) -> Block:
    def wrong(x: Array, w: Array, b: Any = None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(x, w, b, **options)

        def gradients(dy: Array) -> Gradients:
            dx, _, *rest = pullback(dy)
            first = dy.copy()
            first[1:] = 0
            return (dx, pullback(first)[1], *rest)

        return y, gradients

    return wrong


def _integers_only(x: Array, w: Array, b: Any = None, **_: Any) -> tuple[Any, ...]:
    """Products in TF32: exact on small integers, three digits on anything else."""
    return rounded(x, 11), rounded(w, 11), b


FAULTS = (
    Fault("conv2d/padding-rows-exchanged", "The padding of top and bottom is exchanged.", INDEX, edit_options(_sides_exchanged)),
    Fault("conv2d/padding-columns-exchanged", "The padding of left and right is exchanged.", INDEX, edit_options(_columns_exchanged)),
    Fault("conv2d/padding-made-symmetric", "Asymmetric padding is divided evenly.", "TensorFlow's SAME, pytorch#67551", edit_options(_padding_on_both_sides_alike)),
    Fault("conv2d/stride-rows-for-columns", "The vertical stride is used for both directions.", INDEX, _rows_for_columns("stride")),
    Fault("conv2d/dilation-rows-for-columns", "The vertical dilation is used for both directions.", INDEX, _rows_for_columns("dilation")),
    Fault("conv2d/true-convolution", "The filters are flipped: a convolution, not a cross-correlation.", f"{WU}, equation 15 against its Sobel example", _needs_b(_flipped)),
    Fault("conv2d/square-filters-transposed", "Square filters are read column by column.", f"{WU} and {VISIN} unroll in opposite orders", _needs_b(_square_transposed)),
    Fault("conv2d/groups-shifted", "Each group's output goes to the next group's place.", INDEX, edit_y(_groups_shifted)),
    Fault("conv2d/filters-dealt-to-groups", "Filter k belongs to group k mod groups.", "MatConvNet deals in blocks; channel shuffles deal in turn", _needs_b(_filters_dealt_to_groups)),
    Fault("conv2d/unequal-groups", "Wrong only if a group has other numbers of channels and of filters.", INDEX, edit_y(_unequal_groups)),
    Fault("conv2d/windows-end-with-the-image", "Where the stride leaves a remainder, it is left out at the start.", f"{VISIN}, Relationship 6", _needs_b(_remainder_at_the_start)),
    Fault("conv2d/stride-beyond-the-filter", "Wrong only for a stride larger than the filter.", ONEDNN, _needs_b(_beyond_the_window)),
    Fault("conv2d/edge-padding", "The border is repeated instead of padded with zeros.", f"{WU}: 'other values are also possible'", _edge_padding),
    Fault("conv2d/bias-missing", "The bias is not added.", "accumulation slip", edit_y(lambda y, x, w, b=None, **_: y if b is None else y - b[:, None, None])),
    Fault("conv2d/bias-of-last-filter-missing", "The last filter gets no bias.", BORDER, edit_y(lambda y, x, w, b=None, **_: y if b is None else y - b[:, None, None] * (np.arange(len(b)) == len(b) - 1)[:, None, None])),
    Fault("conv2d/bias-in-padding-missing", "No bias where the window lies in the padding alone.", "MatConvNet, empty filters", edit_y(_padding_beyond_the_filter)),
    Fault("conv2d/one-by-one-strided", "1 x 1 filters take the last pixel of each stride.", f"{VISIN}: 'odd output elements', 1-based", _needs_b(_one_by_one)),
    Fault("conv2d/odd-channel-left-out", "The last of an odd number of channels is not summed.", "vectorisation slip", _needs_b(_last_channel_of_odd)),
    Fault("conv2d/last-tile", "Columns beyond the last full tile of 16 repeat the one before.", "tiling slip", edit_y(_tile)),
    Fault("conv2d/beyond-32-filters", "Filters beyond the 32nd repeat the first.", "tiling slip", edit_y(_beyond_32_filters)),
    Fault("conv2d/float16-inputs", "Inputs are rounded to float16.", "mixed precision", _needs_b(lambda x, w, b=None, **_: (rounded(x, 11), rounded(w, 11), b))),
    Fault("conv2d/tf32-products", "Products are of TF32, undeclared.", "pytorch#79270, tensorflow#117663", _needs_b(_integers_only)),
    Fault("conv2d/bfloat16-filters", "Filters are rounded to bfloat16.", "mixed precision", _needs_b(lambda x, w, b=None, **_: (x, rounded(w, 8), b))),
    Fault("conv2d/relative-error-1e-5", "y is off by 1e-5, relative.", "numerical slip", edit_y(lambda y, *_, **__: y * (1 + 1e-5))),
    Fault("conv2d/dw-without-dilation", "dw reads the pixels of a filter that is not dilated.", "MatConvNet, output size with dilation", _dw_without_dilation),
    Fault("conv2d/dw-flipped", "dw is flipped.", INDEX, edit_gradient(1, lambda g, *_, **__: g[:, :, ::-1, ::-1])),
    Fault("conv2d/dw-averaged", "dw is divided by the number of images.", "batch divisor, MatConvNet before and after beta 25", edit_gradient(1, lambda g, dy, *_, **__: g / max(1, len(dy)))),
    Fault("conv2d/dw-of-first-image", "dw is of the first image only.", "wrong only for more than one image", _dw_of_the_first_image),
    Fault("conv2d/dw-keeps-adding", "dw is added to what the last call left.", "state: gradients not set to zero", _dw_keeps_adding),
    Fault("conv2d/dx-overwritten", "dx is stored, not added, where windows overlap.", f"{WU}, equation 46", _dx_overwritten),
    Fault("conv2d/dx-shifted", "dx is one row off where there is padding at the top only.", BORDER, edit_gradient(0, lambda g, dy, x, w, b=None, **o: np.roll(g, 1, 2) if sides(o["padding"])[0] > sides(o["padding"])[1] else g)),
    Fault("conv2d/db-averaged", "db is the mean over the places.", "accumulation slip", edit_gradient(2, lambda g, dy, *_, **__: g / max(1, dy[:, :1].size))),
    Fault("conv2d/db-of-last-row-missing", "db leaves out the last row of dy.", BORDER, edit_gradient(2, lambda g, dy, *_, **__: dy[:, :, :-1].sum((0, 2, 3)))),
    Fault("conv2d/db-right-for-ones", "db counts the places: right for dy = 1 only.", "tests with dy = ones (tinygrad, micrograd)", edit_gradient(2, _only_for_ones)),
    Fault("conv2d/db-missing", "The pullback returns None for a bias that was given.", "MatConvNet, bias only: SIGFPE", _bias_is_none_backward),
    Fault("conv2d/extra-channels-accepted", "Channels beyond those that w needs are ignored, not refused.", "cuDNN does not notice", _accepts_missing_channels),
    Fault("conv_transpose2d/crop-exchanged", "The crop of top and bottom is exchanged.", INDEX, edit_options(_sides_exchanged)),
    Fault("conv_transpose2d/columns-exchanged", "The crop of left and right is exchanged.", INDEX, edit_options(_columns_exchanged)),
    Fault("conv_transpose2d/flipped", "The filters are flipped.", f"{VISIN}, transposed convolution drawn as a convolution", _needs_b(_flipped)),
    Fault("conv_transpose2d/square-filters-transposed", "Square filters are read column by column.", INDEX, _needs_b(_square_transposed)),
    Fault("conv_transpose2d/groups-shifted", "Each group's output goes to the next group's place.", INDEX, edit_y(_groups_shifted)),
    Fault("conv_transpose2d/bias-missing", "The bias is not added.", "accumulation slip", edit_y(lambda y, x, w, b=None, **_: y if b is None else y - b[:, None, None])),
    Fault("conv_transpose2d/last-row", "The last row is zero where the stride leaves one.", f"{VISIN}, Relationship 14", edit_y(lambda y, x, w, b=None, **o: y * (np.arange(y.shape[2]) < y.shape[2] - (pair(o["stride"])[0] > w.shape[2]))[:, None])),
    Fault("conv_transpose2d/overlaps-overwritten", "y takes the larger part where windows overlap.", "accumulation slip", edit_y(lambda y, x, w, b=None, **o: np.where((np.arange(y.shape[3]) % 2 == 1) & (w.shape[3] > pair(o["stride"])[1]), y * 0.5, y))),
    Fault("conv_transpose2d/dw-flipped", "dw is flipped.", INDEX, edit_gradient(1, lambda g, *_, **__: g[:, :, ::-1, ::-1])),
    Fault("conv_transpose2d/dx-of-first-group", "dx of all groups but the first is zero.", INDEX, edit_gradient(0, lambda g, dy, x, w, b=None, groups=1, **_: g * (np.arange(g.shape[1]) < g.shape[1] // groups)[:, None, None])),
    Fault("conv_transpose2d/db-averaged", "db is the mean over the places.", "accumulation slip", edit_gradient(2, lambda g, dy, *_, **__: g / max(1, dy[:, :1].size))),
    Fault("conv_transpose2d/tf32-products", "Products are of TF32, undeclared.", "pytorch#79270", _needs_b(_integers_only)),
)
