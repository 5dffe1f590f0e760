"""Blocks as one would first write them in NumPy, and the ways in which they are often wrong."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcnbench.arrays import pair, sides
from mcnbench.backends import Backend

Array = NDArray[Any]


def conv2d(fault: str = "") -> Callable[..., Any]:
    def block(x: Array, w: Array, b: Any = None, *, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
        (sv, sh), (dv, dh), (top, bottom, left, right) = pair(stride), pair(dilation), sides(padding)
        if x.ndim != 4 or w.ndim != 4 or x.shape[1] != w.shape[1] * groups or len(w) % groups:
            raise ValueError(f"channels do not fit: x {x.shape}, w {w.shape}, groups {groups}")
        if (b is not None and b.shape != w.shape[:1]) or min(sv, sh, dv, dh) < 1 or min(top, bottom, left, right) < 0:
            raise ValueError("the bias, the stride, the dilation or the padding is wrong")
        if fault == "padding top and bottom exchanged":
            top, bottom = bottom, top
        if fault == "stride of rows used for columns":
            sh = sv
        n, c, h, wide = x.shape
        k, _, r, s = w.shape
        p = (h + top + bottom - dv * (r - 1) - 1) // sv + 1
        q = (wide + left + right - dh * (s - 1) - 1) // sh + 1
        if p < 1 or q < 1:
            raise ValueError("the filter does not fit")
        if fault == "TF32 products":
            x, w = tf32(x), tf32(w)
        padded = np.zeros((n, c, h + top + bottom, wide + left + right), x.dtype)
        padded[:, :, top : top + h, left : left + wide] = x
        kinds = {"float16 accumulation": np.float16}
        y = np.zeros((n, k, p, q), kinds.get(fault, x.dtype))
        if fault == "uninitialised output":
            y = np.empty((n, k, p, q), x.dtype)
        cg, kg = c // groups, k // groups
        for g in range(groups):
            read = (g + 1) % groups if fault == "groups shifted by one" else g
            for i in range(r):
                for j in range(s):
                    patch = padded[:, read * cg : (read + 1) * cg, i * dv :, j * dh :][:, :, ::sv, ::sh][:, :, :p, :q]
                    part = np.einsum("ncpq,kc->nkpq", patch, w[g * kg : (g + 1) * kg, :, i, j])
                    y[:, g * kg : (g + 1) * kg] += part.astype(y.dtype)
        y = y.astype(x.dtype)
        if b is not None:
            y = y + b[:, None, None]
        if fault == "last column unwritten":
            written = np.empty_like(y)
            written[..., :-1] = y[..., :-1]
            y = written

        def pullback(dy: Array) -> tuple[Array, Array, Any]:
            dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
            for g in range(groups):
                ks, cs = slice(g * kg, (g + 1) * kg), slice(g * cg, (g + 1) * cg)
                for i in range(r):
                    for j in range(s):
                        at = dpadded[:, cs, i * dv :, j * dh :][:, :, ::sv, ::sh][:, :, :p, :q]
                        more = np.einsum("nkpq,kc->ncpq", dy[:, ks], w[ks, :, i, j])
                        if fault == "dx overwritten where windows overlap":
                            at[...] = more
                        else:
                            at += more
                        di, dj = (i, j) if fault == "dilation ignored in dw" else (i * dv, j * dh)
                        patch = padded[:, cs, di:, dj:][:, :, ::sv, ::sh][:, :, :p, :q]
                        dw[ks, :, i, j] = np.einsum("nkpq,ncpq->kc", dy[:, ks], patch)
            dx = dpadded[:, :, top : top + h, left : left + wide]
            return dx.copy(), dw, None if b is None else dy.sum((0, 2, 3))

        return y, pullback

    return block


def tf32(a: Array) -> Array:
    """Rounded to 11 significant bits, as tensor cores round the factors of float32 products."""
    mantissa, exponent = np.frexp(a)
    return np.ldexp(np.round(mantissa * 2**11) / 2**11, exponent).astype(a.dtype)


def avg_pool2d(fault: str = "") -> Callable[..., Any]:
    from mcnbench.backends import torch as right

    def block(x: Array, **options: Any) -> Any:
        if fault == "average divided by the full window at the border":
            options |= {"count_include_pad": True}
        return _through(right.avg_pool2d, [x], options)

    return block


def local_response_norm(fault: str = "") -> Callable[..., Any]:
    from mcnbench.backends import torch as right

    def block(x: Array, *, window: int, kappa: float, alpha: float, beta: float) -> Any:
        if fault == "alpha divided by the window":
            alpha = alpha / window
        flip = fault == "LRN window leaning the wrong way when even"
        x = x[:, ::-1].copy() if flip else x
        options = {"window": window, "kappa": kappa, "alpha": alpha, "beta": beta}
        y, pullback = _through(right.local_response_norm, [x], options)
        if flip:
            return y[:, ::-1], lambda dy: (pullback(dy[:, ::-1].copy())[0][:, ::-1],)
        return y, pullback

    return block


def batch_norm(fault: str = "") -> Callable[..., Any]:
    def block(x: Array, gain: Array, bias: Array, *, epsilon: float, moments: Any = None) -> Any:
        import torch

        def function(x: Any, gain: Any, bias: Any) -> Any:
            if moments is None:
                mean = x.mean((0, 2, 3), keepdim=True)
                correction = int(fault == "batch_norm's variance unbiased" and x[:, 0].numel() > 1)
                variance = x.var((0, 2, 3), correction=correction, keepdim=True)
            else:
                mean, variance = (torch.from_numpy(np.array(a)).reshape(1, -1, 1, 1) for a in moments)
            scaled = (x - mean) / torch.sqrt(variance + epsilon)
            return gain.reshape(1, -1, 1, 1) * scaled + bias.reshape(1, -1, 1, 1)

        return _by_autograd(function, x, gain, bias)

    return block


def softmax(fault: str = "") -> Callable[..., Any]:
    def block(x: Array, *, temperature: float = 1.0) -> Any:
        z = x / x.dtype.type(temperature)
        if fault != "softmax without the maximum taken out":
            z = z - z.max(1, keepdims=True)
        with np.errstate(all="ignore"):
            e = np.exp(z)
            y = e / e.sum(1, keepdims=True)

        def pullback(dy: Array) -> tuple[Array]:
            return (y * (dy - (y * dy).sum(1, keepdims=True)) / x.dtype.type(temperature),)

        return y, pullback

    return block


def relu(fault: str = "") -> Callable[..., Any]:
    kept: dict[Any, Array] = {}

    def block(x: Array, *, slope: float) -> Any:
        positive = x > 0
        y = np.where(positive | np.isnan(x), x, x.dtype.type(slope) * x if slope else 0).astype(x.dtype)
        if fault == "an input changed in place":
            x[...] = y
        if fault == "the previous call's result returned":
            y, kept["y"] = (kept["y"] if kept.get("y", y).shape == y.shape and "y" in kept else y), y
        return y, lambda dy: (np.where(positive, dy, x.dtype.type(slope) * dy),)

    return block


BLOCKS = {
    "conv2d": conv2d,
    "avg_pool2d": avg_pool2d,
    "local_response_norm": local_response_norm,
    "batch_norm": batch_norm,
    "softmax": softmax,
    "relu": relu,
}


def backend(block: str, fault: str = "") -> Backend:
    """A backend of that one block, right unless it has a fault."""
    return Backend(
        fault or "right", SimpleNamespace(**{block: BLOCKS[block](fault)}, version=lambda: "NumPy and torch")
    )


def _through(function: Callable[..., Any], inputs: list[Array], options: dict[str, Any]) -> Any:
    """A function of torch tensors as one of NumPy arrays."""
    import torch

    y, pullback = function(*(torch.from_numpy(a.copy()) for a in inputs), **options)

    def gradients(dy: Array) -> tuple[Any, ...]:
        found = pullback(torch.from_numpy(np.array(dy)))
        return tuple(g if g is None else g.numpy() for g in found)

    return y.numpy(), gradients


def _by_autograd(function: Callable[..., Any], *inputs: Array) -> Any:
    import torch

    from mcnbench.backends.torch.vjp import vjp

    y, pullback = vjp(function, *(torch.from_numpy(a.copy()) for a in inputs))
    return y.numpy(), lambda dy: tuple(g.numpy() for g in pullback(torch.from_numpy(np.array(dy))) if g is not None)
