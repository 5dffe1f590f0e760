"""The arrays of a case, made from its kind of data and its seed with NumPy's generator.

Each kind is there for a family of faults: small integers whose sums are exact in any order find every wrong index with
no tolerance at all; real values over many scales find lost precision; the others stand at the places where a formula
as printed is unstable (offsets of 1e4, arguments beyond the range of exp, channels of different scales, NaN, ties).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np

from mcnbench.arrays import Array, Float64, Shape

Generator = np.random.Generator


@dataclass(frozen=True)
class Kind:
    """What the data looks like; `exact` if every sum of products of a block is exact, whatever the order."""

    what: str
    exact: bool = False


KINDS = {
    "integers": Kind("integers from -3 to 3 without 0, thinned where sums would not be exact", exact=True),
    "large-integers": Kind("integers as large as sums of their products are exact", exact=True),
    "permutation": Kind("x a permutation of integers, without ties; dy integers", exact=True),
    "ties": Kind("x from -1, 0, 1, so that most windows have ties; dy integers", exact=True),
    "normal": Kind("normal numbers"),
    "scales": Kind("magnitudes from 1e-3 to 1e3, either sign"),
    "outliers": Kind("normal, one element in a hundred, but one at least, ten thousand times as large"),
    "wide": Kind("magnitudes from 1e-4 to 1e3, beyond the range of exp; dy normal"),
    "channel-scales": Kind("each channel of x on a scale of its own, from 1e-3 to 1e3"),
    "offset": Kind("x normal about 1e4 or -1e4, a constant for each image"),
    "channel-offset": Kind("x normal about 1e4 or 100, a constant for each channel"),
    "spread": Kind("x normal with deviation 40, so that exp overflows"),
    "constant": Kind("each channel of x constant, at most 1"),
    "probabilities": Kind("x between 1e-6 and 1, many near 1"),
    "improbable": Kind("x between 0 and 1, some of it 1e-30 and some 0"),
    "close": Kind("x and its target differ by a thousandth"),
    "quantised": Kind("x odd multiples of 1/8, the target even ones; perturbations of 1/64 are exact"),
    "fractions": Kind("x multiples of 1/32 between 1/4 and 1; perturbations of 1/64 are exact"),
    "low": Kind("x negative, at least an eighth of the largest number of the dtype"),
    "infinite": Kind("x normal with some infinities of either sign"),
    "masked": Kind("x normal with some -inf, but never in all channels of a pixel"),
    "nan": Kind("magnitudes of normal numbers, for which every block is defined, with some NaN"),
    "subnormal": Kind("x and the rest below the smallest normal number of the dtype, not 0"),
}


LABEL_DTYPES = {"offset": "uint8", "improbable": "uint8", "spread": "int32", "fractions": "int32"}
"""The dtype of labels by the kind of data, int64 for the others and for more than 256 classes: any integers will do."""


@dataclass(frozen=True)
class Limit:
    """Integers up to `magnitude`, at most `count` of them other than 0 in an array: every sum is then exact."""

    magnitude: int
    count: int


def exact_limit(terms: int, dtype: str) -> Limit:
    """For sums of `terms` products of two such integers (4 is room for squares of differences, and doublings)."""
    digits = np.finfo(dtype).nmant + 1
    count = max(1, 2**digits // 4)
    return Limit(max(1, min(isqrt(count // max(terms, 1)), 2**11)), count)


def inputs(
    names: Sequence[str], shapes: Sequence[Shape | None], dtype: str, kind: str, seed: int, limit: Limit
) -> tuple[Array | None, ...]:
    """One array for each shape; `labels` are integers (`LABEL_DTYPES`), everything else has the dtype."""
    rng = np.random.default_rng(seed)
    made: list[Array | None] = []
    for name, shape in zip(names, shapes, strict=True):
        if shape is None:
            made.append(None)
        elif name == "labels":
            classes = shapes[0][1] if shapes[0] and len(shapes[0]) > 1 else 1
            labels = rng.integers(0, max(classes, 1), shape)
            made.append(labels.astype(LABEL_DTYPES.get(kind, "int64") if classes <= 256 else "int64"))
        elif name == "mask":
            keep = 0.5 if KINDS[kind].exact else 0.75
            made.append(((rng.random(shape) < keep) / keep).astype(dtype))
        elif name == "target":
            made.append(_target(rng, made[0], shape, kind, limit).astype(dtype))
        elif name.startswith("x"):
            made.append(_map(rng, shape, kind, limit, dtype).astype(dtype))
        else:
            made.append(_other(rng, shape, kind, limit, dtype).astype(dtype))
    return tuple(made)


def gradient(shape: Shape, dtype: str, kind: str, seed: int, which: int, limit: Limit) -> Array:
    """dy, never constant, from a stream of its own."""
    rng = np.random.default_rng((seed, 1 + which))
    return np.asarray(_other(rng, shape, kind, limit, dtype)).astype(dtype)


def moments(shapes: Sequence[Shape | None], dtype: str, kind: str, seed: int) -> tuple[Array, Array]:
    """(mean, variance) of each channel for batch_norm, near those that the data of that kind has."""
    x, *_ = inputs(("x",), shapes[:1], dtype, kind, seed, Limit(1, 1))
    rng = np.random.default_rng((seed, 0))
    channels = shapes[0][1] if shapes[0] else 0
    mean = np.zeros(channels) if x is None or not x.size else np.nan_to_num(x.astype(np.float64)).mean((0, 2, 3))
    return (mean + rng.normal(size=channels)).astype(dtype), (0.1 + rng.random(channels)).astype(dtype)


def direction(shape: Shape, seed: int, which: int) -> Float64:
    """A perturbation of -1, 0 or 1 for each element."""
    return np.random.default_rng((seed, 100 + which)).integers(-1, 2, shape).astype(np.float64)


def _map(rng: Generator, shape: Shape, kind: str, limit: Limit, dtype: str) -> Float64:
    """x, in float64."""
    channel = (1, *shape[1:2], *[1] * (len(shape) - 2)) if len(shape) > 1 else (1,) * len(shape)
    image = (*shape[:1], *[1] * (len(shape) - 1))
    match kind:
        case "permutation":
            size = int(np.prod(shape))
            return (rng.permutation(size) - size // 2).astype(np.float64).reshape(shape)
        case "ties":
            return rng.integers(-1, 2, shape).astype(np.float64)
        case "wide":
            return _signs(rng, shape) * 10 ** rng.uniform(-4, 3, shape)
        case "channel-scales":
            return rng.normal(size=shape) * 10 ** rng.uniform(-3, 3, channel)
        case "offset":
            return rng.normal(size=shape) + 1e4 * _signs(rng, image)
        case "channel-offset":
            offsets = np.array([1e4, 100.0, -100.0])[rng.integers(0, 3, channel)]
            return np.asarray(rng.normal(size=shape) + offsets, np.float64)
        case "spread":
            return rng.normal(size=shape) * 40
        case "constant":
            return np.broadcast_to(rng.uniform(-1, 1, channel), shape)
        case "probabilities":
            return np.where(rng.random(shape) < 0.5, rng.uniform(1e-6, 1, shape), 1 - 10 ** rng.uniform(-6, -1, shape))
        case "quantised":
            return (2 * rng.integers(-8, 8, shape) + 1) / 8
        case "fractions":
            return rng.integers(8, 32, shape) / 32
        case "improbable":
            x = _map(rng, shape, "probabilities", limit, dtype)
            return np.where(rng.random(shape) < 0.3, 1e-30, np.where(_some(rng, shape, 0.1), 0.0, x))
        case "low":
            return -float(np.finfo(dtype).max) * rng.uniform(1 / 8, 1 / 2, shape)
        case "infinite":
            x, infinities = rng.normal(size=shape), _signs(rng, shape) * np.inf
            return np.where(_some(rng, shape, 0.1), infinities, x)
        case "masked":
            x, hit = rng.normal(size=shape), _some(rng, shape, 0.3)
            return np.where(hit & ~hit.all(axis=min(1, len(shape) - 1), keepdims=True), -np.inf, x)
        case "nan":
            x = np.abs(rng.normal(size=shape))
            return np.where(_some(rng, shape, 0.1), np.nan, x)
        case _:
            return _other(rng, shape, kind, limit, dtype)


def _other(rng: Generator, shape: Shape, kind: str, limit: Limit, dtype: str) -> Float64:
    """w, b, gain, bias and dy, in float64."""
    match kind:
        case "integers" | "permutation" | "ties":
            return _integers(rng, shape, min(3, limit.magnitude), limit.count)
        case "large-integers":
            return _integers(rng, shape, limit.magnitude, limit.count)
        case "scales":
            decades = 3 if dtype != "float16" else 1
            return _signs(rng, shape) * 10 ** rng.uniform(-decades, decades, shape)
        case "outliers":
            large = 1e4 if dtype != "float16" else 10.0
            return rng.normal(size=shape) * np.where(_some(rng, shape, 0.01), large, 1.0)
        case "quantised":
            return (2 * rng.integers(-8, 8, shape) + 1) / 8
        case "subnormal":
            limits = np.finfo(dtype)
            return _signs(rng, shape) * rng.integers(1, 100, shape) * float(limits.smallest_subnormal)
        case _:
            return rng.normal(size=shape)


def _target(rng: Generator, x: Array | None, shape: Shape, kind: str, limit: Limit) -> Float64:
    if kind == "close" and x is not None and x.shape == shape:
        return x.astype(np.float64) * (1 + 1e-3 * rng.normal(size=shape))
    if kind == "quantised":
        return rng.integers(-8, 8, shape) / 4
    return _map(rng, shape, "normal" if kind == "nan" else kind, limit, "float64")


def _some(rng: Generator, shape: Shape, share: float) -> Array:
    """Elements drawn at random, about that share of them and at least one."""
    hit = rng.random(shape) < share
    if hit.size:
        hit.flat[rng.integers(hit.size)] = True
    return hit


def _integers(rng: Generator, shape: Shape, magnitude: int, count: int) -> Float64:
    a = (rng.integers(1, magnitude + 1, shape) * _signs(rng, shape)).astype(np.float64)
    if a.size > count:
        thinned = np.zeros(a.size)
        kept = rng.choice(a.size, count, replace=False)
        thinned[kept] = a.ravel()[kept]
        return thinned.reshape(shape)
    return a


def _signs(rng: Generator, shape: Shape) -> Float64:
    return np.asarray(2.0 * rng.integers(0, 2, shape) - 1.0, np.float64)
