"""One block of a backend on one case, ready to be timed in each direction, in the memory layout that suits it better.

The arrays are drawn once. Whether x, w and dy lie in memory as NCHW or as NHWC is tried, for every backend alike, and
the faster kept: a convolution that wants channels last must not be timed converting.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from mcnbench import blocks
from mcnbench.arrays import Array
from mcnbench.backends import Backend
from mcnbench.bounds import PRECISIONS, error_ratio
from mcnbench.case import Case

LAYOUTS = ("NCHW", "NHWC")
DIRECTIONS = ("forward", "backward")


@dataclass(frozen=True)
class Timed:
    """The calls that are timed; each returns when its work is done. `backward` makes all gradients; None if the backend
    has no pullback."""

    case: Case
    layout: str
    forward: Callable[[], Any]
    backward: Callable[[], Any] | None


def prepare(backend: Backend, case: Case) -> Timed:
    """The block on the case in the faster layout. Raises what the backend raises."""
    tried = [_in_layout(backend, case, layout) for layout in LAYOUTS]
    return min(tried, key=_seconds)


def _in_layout(backend: Backend, case: Case, layout: str) -> Timed:
    block = backend.block(case.block)
    assert block is not None
    inputs = [None if a is None else _laid_out(backend, a, layout) for a in case.inputs()]
    dy = _laid_out(backend, case.dy(), layout)
    options = {field.name: getattr(case.options, field.name) for field in fields(case.options)}

    def forward() -> Any:
        result = block(*inputs, **options)
        backend.synchronize()
        return result

    _, pullback = forward()

    def backward() -> Any:
        gradients = pullback(dy)
        backend.synchronize()
        return gradients

    return Timed(case, layout, forward, backward if pullback is not None else None)


def _laid_out(backend: Backend, a: Array, layout: str) -> Any:
    if a.ndim != 4 or layout == "NCHW":
        return backend.from_numpy(a)
    last = backend.from_numpy(np.ascontiguousarray(a.transpose(0, 2, 3, 1)))
    return last.swapaxes(-1, -2).swapaxes(-2, -3)


def _seconds(timed: Timed) -> float:
    """Of both directions: the faster of two, the first of which warms up."""
    taken = []
    for _ in range(2):
        start = time.perf_counter()
        timed.forward()
        if timed.backward is not None:
            timed.backward()
        taken.append(time.perf_counter() - start)
    return min(taken)


def with_images(case: Case, images: int) -> Case:
    """The same case with another number of images."""
    maps = len(case.shapes) if set(blocks.block(case.block).INPUTS) & {"*xs", "labels", "mask", "target"} else 1
    shapes = tuple(
        (images, *shape[1:]) if shape is not None and i < maps else shape for i, shape in enumerate(case.shapes)
    )
    return replace(case, shapes=shapes)


def record(backend: Backend, case: Case, layout: str, folder: Path) -> None:
    """Runs the block once on the case, in the layout that is timed, and keeps y and the gradients in the folder."""
    timed = _in_layout(backend, case, layout)
    y, pullback = timed.forward()
    np.save(folder / "y.npy", backend.to_numpy(y))
    if pullback is not None:
        assert timed.backward is not None
        for name, gradient in zip(case.names, timed.backward(), strict=False):
            if gradient is not None:
                np.save(folder / f"d{name}.npy", backend.to_numpy(gradient))


class Judged:
    """What the block must give on a case, computed once for all backends."""

    def __init__(self, case: Case, precision: str) -> None:
        description = blocks.block(case.block)
        inputs, dy = case.inputs(), case.dy()
        y, pullback = description.oracle(inputs, case.options)
        gradients = pullback(dy.astype(np.float64))
        self.case = case
        self.wanted = {"y": np.asarray(y)} | {
            f"d{name}": g for name, g in zip(case.names, gradients, strict=False) if g is not None
        }
        self.bounds = description.bound(inputs, case.options, dy, PRECISIONS[precision])

    def worst(self, folder: Path, normwise_factor: float | None) -> tuple[float, str]:
        """The worst error over its bound in a folder that `record` filled, and of which array. A factor holds every
        element of a block with filters to that many times the largest bound of its map."""
        worst, where = 0.0, "y"
        for path in sorted(folder.glob("*.npy")):
            name, got = path.stem, np.load(path)
            wanted, bound = self.wanted[name], self.bounds[name]
            if got.shape != wanted.shape:
                return float("inf"), f"{name}, of shape {got.shape} instead of {wanted.shape}"
            if normwise_factor is not None and "w" in self.case.names and bound.ndim == 4:
                bound = np.broadcast_to(normwise_factor * bound.max((2, 3), keepdims=True, initial=0), bound.shape)
            ratio = float(np.max(error_ratio(got, wanted, bound), initial=0))
            if not ratio <= worst:
                worst, where = ratio, name
        return worst, where
