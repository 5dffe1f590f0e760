"""Faults of conv2d, backward."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcnbench.arrays import Array, pair, sides
from suites.faults.convolution import BORDER, INDEX, WU
from suites.faults.fault import (
    Block,
    Fault,
    Gradients,
    Pullback,
    edit_gradient,
)


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


def _bias_is_none_backward(right: Block) -> Block:
    def wrong(x: Array, w: Array, b: Any = None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(x, w, b, **options)
        return y, lambda dy: (*pullback(dy)[:2], None)

    return wrong


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


def _every_stride_th(right: Block) -> Block:
    """The loops over the places of y take steps of the stride, though these places are subsampled already."""

    def wrong(x: Array, w: Array, b: Any = None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(x, w, b, **options)
        sv, sh = pair(options["stride"])

        def gradients(dy: Array) -> Gradients:
            visited = np.zeros_like(dy)
            visited[:, :, ::sv, ::sh] = dy[:, :, ::sv, ::sh]
            return (*pullback(visited)[:2], *pullback(dy)[2:])

        return y, gradients

    return wrong


def _one_pixel_off(right: Block) -> Block:
    """With a stride above 1, dx and dw are of pixels counted from 1 in memory counted from 0: those before the first
    are the last ones, as an index of -1 is in Python."""

    def wrong(x: Array, w: Array, b: Any = None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(x, w, b, **options)
        if max(pair(options["stride"])) == 1:
            return y, pullback
        _, rolled = right(np.roll(x, (1, 1), (2, 3)), w, b, **options)

        def gradients(dy: Array) -> Gradients:
            dx, _, *rest = pullback(dy)
            assert dx is not None
            return (np.roll(dx, (-1, -1), (2, 3)), rolled(dy)[1], *rest)

        return y, gradients

    return wrong


def _channels_not_exchanged(right: Block) -> Block:
    """dx is the full correlation of dy with the flipped filters, whose input and output channels are not exchanged:
    where there are as many of one as of the other, nothing else tells."""

    def wrong(x: Array, w: Array, b: Any = None, **options: Any) -> tuple[Array, Pullback]:
        y, pullback = right(x, w, b, **options)
        if options["groups"] > 1 or w.shape[0] != w.shape[1]:
            return y, pullback
        _, exchanged = right(x, np.ascontiguousarray(w.swapaxes(0, 1)), b, **options)
        return y, lambda dy: (exchanged(dy)[0], *pullback(dy)[1:])

    return wrong


FAULTS = (
    Fault(
        "conv2d/dw-without-dilation",
        "dw reads the pixels of a filter that is not dilated.",
        "MatConvNet, output size with dilation",
        _dw_without_dilation,
    ),
    Fault("conv2d/dw-flipped", "dw is flipped.", INDEX, edit_gradient(1, lambda g, *_, **__: g[:, :, ::-1, ::-1])),
    Fault(
        "conv2d/dw-averaged",
        "dw is divided by the number of images.",
        "batch divisor, MatConvNet before and after beta 25",
        edit_gradient(1, lambda g, dy, *_, **__: g / max(1, len(dy))),
    ),
    Fault(
        "conv2d/dw-of-first-image",
        "dw is of the first image only.",
        "wrong only for more than one image",
        _dw_of_the_first_image,
    ),
    Fault(
        "conv2d/dw-keeps-adding",
        "dw is added to what the last call left.",
        "state: gradients not set to zero",
        _dw_keeps_adding,
    ),
    Fault(
        "conv2d/dx-overwritten",
        "dx is stored, not added, where windows overlap.",
        f"{WU}, equation 46",
        _dx_overwritten,
    ),
    Fault(
        "conv2d/dx-shifted",
        "dx is one row off where there is padding at the top only.",
        BORDER,
        edit_gradient(
            0,
            lambda g, dy, x, w, b=None, **o: np.roll(g, 1, 2) if sides(o["padding"])[0] > sides(o["padding"])[1] else g,
        ),
    ),
    Fault(
        "conv2d/backward-every-stride-th-place",
        "The backward loops visit every stride-th place of y only.",
        "CMU slides, L1005",
        _every_stride_th,
    ),
    Fault(
        "conv2d/backward-one-pixel-off",
        "dx and dw of a strided convolution are one pixel off, and wrap.",
        "CMU slides, L983",
        _one_pixel_off,
    ),
    Fault(
        "conv2d/dx-channels-not-exchanged",
        "dx flips the filters without exchanging input and output channels.",
        "CMU slides, L2243",
        _channels_not_exchanged,
    ),
    Fault(
        "conv2d/db-averaged",
        "db is the mean over the places.",
        "accumulation slip",
        edit_gradient(2, lambda g, dy, *_, **__: g / max(1, dy[:, :1].size)),
    ),
    Fault(
        "conv2d/db-of-last-row-missing",
        "db leaves out the last row of dy.",
        BORDER,
        edit_gradient(2, lambda g, dy, *_, **__: dy[:, :, :-1].sum((0, 2, 3))),
    ),
    Fault(
        "conv2d/db-right-for-ones",
        "db counts the places: right for dy = 1 only.",
        "tests with dy = ones (tinygrad, micrograd)",
        edit_gradient(2, _only_for_ones),
    ),
    Fault(
        "conv2d/db-missing",
        "The pullback returns None for a bias that was given.",
        "MatConvNet, bias only: SIGFPE",
        _bias_is_none_backward,
    ),
)
