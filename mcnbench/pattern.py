"""Where an array is wrong, in words: "only the last column", "every second channel", "transposed", "off by one row".

What is looked for, in this order: the whole result is another arrangement of the right one (transposed, reversed,
shifted, channels exchanged) or a simple function of it (a factor, a constant); otherwise which images, channels, rows
and columns hold the wrong elements, and what stands there.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mcnbench.arrays import Array, Float64

AXES = {
    4: ("image", "channel", "row", "column"),
    3: ("image", "row", "column"),
    2: ("row", "column"),
    1: ("element",),
}
FILTER_AXES = ("filter", "channel", "row", "column")


def describe(name: str, got: Array, expected: Float64, wrong: Array) -> str:
    """The pattern of `wrong` (booleans) in the array `name` ("y", "dx", "dw", ...), as words without a full stop."""
    got = got.astype(np.float64)
    axes = _axes(name, got.ndim)
    if not wrong.any():
        return "nothing is wrong"
    if got.size == 1:
        return _only_element(float(got.ravel()[0]), float(expected.ravel()[0]))
    for words in _arrangements(got, expected, axes):
        return words
    where = _where(wrong, axes)
    what = _what(got[wrong], expected[wrong])
    return f"{where}; {what}" if what else where


def _axes(name: str, dimensions: int) -> tuple[str, ...]:
    if name == "dw" and dimensions == 4:
        return FILTER_AXES
    return AXES.get(dimensions, tuple(f"axis {i}" for i in range(dimensions)))


def _only_element(got: float, expected: float) -> str:
    if np.isnan(got):
        return "the only element is NaN"
    return f"the only element is {_relation(got, expected)}"


def _relation(got: float, expected: float) -> str:
    if got == 0:
        return "zero"
    if expected and 1e-3 <= abs(got / expected) <= 1e3:
        return f"{got / expected:.4g} times the right one"
    return "wrong"


def _arrangements(got: Float64, expected: Float64, axes: tuple[str, ...]) -> Iterator[str]:
    """The right result in another arrangement, from the plainest to the oddest."""
    if np.isnan(got).all():
        yield "every element is NaN"
        return
    if not got.any():
        yield "every element is zero"
        return
    if len(np.unique(expected)) < 2:
        yield from _functions(got, expected)
        return
    if got.ndim >= 2 and _same(np.swapaxes(got, -1, -2), expected):
        yield "transposed: rows and columns are exchanged"
    for axis, word in enumerate(axes):
        if got.shape[axis] > 1 and _same(np.flip(got, axis), expected):
            yield f"the {word}s are in reverse order"
    if got.ndim == 4 and _same(np.flip(got, (2, 3)), expected):
        yield "rows and columns are in reverse order (turned by 180 degrees)"
    for axis, word in enumerate(axes):
        for by in (1, -1, 2, -2):
            if got.shape[axis] > 2 and _same(np.roll(got, -by, axis), expected):
                yield f"the {word}s are rolled by {by}"
            if got.shape[axis] > abs(by) + 1 and _same(*_shifted(got, expected, axis, by)):
                count = "one" if abs(by) == 1 else "two"
                way = "later" if by > 0 else "earlier"
                yield f"off by {count} {word}{'s' if abs(by) == 2 else ''}: what belongs there stands {count} {way}"
    for axis, word in enumerate(axes[:2]):
        order = _permutation(np.moveaxis(got, axis, 0), np.moveaxis(expected, axis, 0))
        if order is not None:
            yield f"the {word}s stand in the order {', '.join(map(str, order))}"
    yield from _functions(got, expected)


def _functions(got: Float64, expected: Float64) -> Iterator[str]:
    with np.errstate(all="ignore"):
        factor = got / expected
        factor = factor[np.isfinite(factor)]
        offset = (got - expected).ravel()
    if factor.size > 1 and _constant(factor) and not _constant(np.ones(1) * factor[0] - 1, at=0):
        yield (
            "every element has the wrong sign"
            if abs(factor[0] + 1) < 1e-5
            else f"every element is {factor[0]:.6g} times the right one"
        )
    elif offset.size > 1 and _constant(offset) and offset[0]:
        yield f"every element is off by {offset[0]:+.6g}"


def _constant(a: Float64, at: float | None = None) -> bool:
    middle = float(np.median(a)) if at is None else at
    return bool(
        np.isfinite(middle) and (np.abs(a - middle) <= 1e-5 * max(abs(middle), 1e-300) + (at == 0) * 1e-5).all()
    )


def _same(a: Float64, b: Float64) -> bool:
    """Equal up to the rounding of the lowest precision, and not because both are constant."""
    if a.shape != b.shape or not a.size or np.ptp(np.nan_to_num(b)) == 0:
        return False
    with np.errstate(all="ignore"):
        return bool((np.abs(a - b) <= 1e-3 * np.abs(b)).all())


def _shifted(got: Float64, expected: Float64, axis: int, by: int) -> tuple[Float64, Float64]:
    """The parts of both that agree if what belongs at i stands at i + by."""
    size = got.shape[axis]
    low, high = (by, size) if by > 0 else (0, size + by)
    return got.take(range(low, high), axis), expected.take(range(low - by, high - by), axis)


def _permutation(got: Float64, expected: Float64) -> list[int] | None:
    """Which of the expected slices each slice of the result is, if that is a permutation and not the identity."""
    if not 1 < len(got) <= 64:
        return None
    order = [next((i for i, right in enumerate(expected) if _same(slice_, right)), -1) for slice_ in got]
    return order if sorted(order) == list(range(len(got))) and order != sorted(order) else None


def _where(wrong: Array, axes: tuple[str, ...]) -> str:
    if wrong.all():
        return "every element is wrong"
    share = f"{int(wrong.sum())} of {wrong.size} elements"
    if wrong.ndim >= 2 and min(wrong.shape[-2:]) > 2 and wrong.any():
        inner = wrong[..., 1:-1, 1:-1]
        if not inner.any():
            ring = wrong.copy()
            ring[..., 1:-1, 1:-1] = True
            if ring.reshape(-1, *ring.shape[-2:]).any(0).all():
                return f"only the border of the map ({share})"
        elif inner.all() and wrong.sum() == inner.size:
            return f"only the inside of the map, not its border ({share})"
    touched = [np.flatnonzero(wrong.any(axis=tuple(j for j in range(wrong.ndim) if j != i))) for i in range(wrong.ndim)]
    parts = [
        _indices(indices, wrong.shape[i], axes[i]) for i, indices in enumerate(touched) if len(indices) < wrong.shape[i]
    ]
    box = np.prod([len(indices) for indices in touched])
    if parts:
        some = "" if box == wrong.sum() else "some of "
        return f"only {some}{' of '.join(reversed(parts))} ({share})"
    return f"scattered, {share}"


def _indices(indices: Array, size: int, word: str) -> str:
    """A few positions out of `size` along one axis, in words."""
    first, last, count = int(indices[0]), int(indices[-1]), len(indices)
    if count == 1:
        return f"the last {word}" if first == size - 1 else f"the first {word}" if first == 0 else f"{word} {first}"
    steps = np.unique(np.diff(indices))
    if len(steps) == 1 and steps[0] == 1:
        if last == size - 1:
            return f"the last {count} {word}s"
        return f"the first {count} {word}s" if first == 0 else f"{word}s {first} to {last}"
    if len(steps) == 1 and first < steps[0] and last + steps[0] >= size:
        ordinal = {2: "second", 3: "third", 4: "fourth"}.get(int(steps[0]), f"{int(steps[0])}th")
        return f"every {ordinal} {word} from {word} {first}"
    return f"{word}s {', '.join(map(str, indices[:8]))}{', ...' if count > 8 else ''}"


def _what(got: Float64, expected: Float64) -> str:
    """What stands at the wrong elements, if it is one thing."""
    if np.isnan(got).all():
        return "NaN stands there"
    if np.isnan(got).any():
        return f"NaN in {int(np.isnan(got).sum())} of them"
    if not got.any():
        return "zero stands there"
    with np.errstate(all="ignore"):
        factor = got / expected
    if np.isfinite(factor).all() and _constant(factor):
        return f"{factor.flat[0]:.6g} times the right value stands there"
    if got.size > 1 and _constant(got - expected):
        return f"off by {float((got - expected).flat[0]):+.6g} there"
    return ""
