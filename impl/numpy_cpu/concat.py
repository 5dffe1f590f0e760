"""Concatenation of channels (MatConvNet's vl_nnconcat): y = the maps one after the other; dx_i = its channels of dy."""

import itertools

import numpy as np

from impl.numpy_cpu.arrays import Array, Pullback, check_images, check_same, empty


def concat(*xs: Array) -> tuple[Array, Pullback]:
    """y (N, sum of C_i, H, W) of maps (N, C_i, H, W). The pullback takes dy like y and returns a gradient per map.

    Raises ValueError without maps, or where N, H, W or the dtype differ.
    """
    if not xs:
        raise ValueError("concat needs at least one map, got none")
    for i, x in enumerate(xs):
        check_images(x, f"map {i}")
        check_same(x, (len(xs[0]), x.shape[1], *xs[0].shape[2:]), xs[0].dtype, f"map {i}")
    edges = [0, *itertools.accumulate(x.shape[1] for x in xs)]
    y = empty((len(xs[0]), edges[-1], *xs[0].shape[2:]), xs[0].dtype)
    np.concatenate(xs, axis=1, out=y)
    y_shape = y.shape

    def pullback(dy: Array) -> tuple[Array, ...]:
        check_same(dy, y_shape, xs[0].dtype, "dy")
        gradients = tuple(empty(x.shape, x.dtype) for x in xs)
        for dx, start, stop in zip(gradients, edges, edges[1:], strict=False):
            dx[...] = dy[:, start:stop]
        return gradients

    return y, pullback
