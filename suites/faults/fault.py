"""A planted fault: a few lines around the right block of any backend, which make it wrong in one way.

A fault sees the block as a function of NumPy arrays, `(*inputs, **options) -> (y, pullback)`, whatever arrays the
backend itself has, and returns another such function. What it does not say stays as the backend does it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcnbench.arrays import Array
from mcnbench.backends import Backend

Gradients = tuple[Array | None, ...]
Pullback = Callable[[Array], Gradients]
Block = Callable[..., tuple[Array, Pullback]]
Plant = Callable[[Block], Block]
Options = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """One fault of one block."""

    name: str
    """"conv2d/padding-sides-exchanged": the block and a stable name."""
    what: str
    """One sentence."""
    origin: str
    """Where such a fault was seen: a document's error, a library's bug or meaning, or the kind of slip it is."""
    plant: Plant
    own_arrays: bool = False
    """Whether it is about the memory of arrays, so that it can be planted only where the backend's are NumPy's."""

    @property
    def block(self) -> str:
        return self.name.partition("/")[0]


class Planted:
    """A backend's implementation with one block replaced."""

    def __init__(self, backend: Backend, fault: Fault) -> None:
        right = backend.block(fault.block)
        assert right is not None
        self._implementation = backend.implementation
        setattr(self, fault.block, _as_the_backend_does(backend, fault.plant(_on_numpy(backend, right))))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._implementation, name)


def planted(backend: Backend, fault: Fault) -> Backend:
    """The backend with the fault in it."""
    return Backend(f"{backend.name} with {fault.name}", Planted(backend, fault))


def has_numpy_arrays(backend: Backend) -> bool:
    """Whether the backend's arrays are NumPy's own."""
    return isinstance(backend.from_numpy(np.zeros(1)), np.ndarray)


def _on_numpy(backend: Backend, right: Callable[..., Any]) -> Block:
    def block(*inputs: Array | None, **options: Any) -> tuple[Array, Pullback]:
        given = [None if a is None else backend.from_numpy(np.ascontiguousarray(a).reshape(a.shape)) for a in inputs]
        y, pullback = right(*given, **_moments(options, backend.from_numpy))

        def on_numpy(dy: Array) -> Gradients:
            found = pullback(backend.from_numpy(np.ascontiguousarray(dy).reshape(np.shape(dy))))
            return tuple(None if g is None else np.array(backend.to_numpy(g)) for g in found)

        return np.array(backend.to_numpy(y)), on_numpy

    return block


def _as_the_backend_does(backend: Backend, block: Block) -> Callable[..., Any]:
    def function(*arrays: Any, **options: Any) -> Any:
        inputs = [None if a is None else backend.to_numpy(a) for a in arrays]
        y, pullback = block(*inputs, **_moments(options, backend.to_numpy))

        def gradients(dy: Any) -> tuple[Any, ...]:
            return tuple(None if g is None else backend.from_numpy(g) for g in pullback(backend.to_numpy(dy)))

        return backend.from_numpy(y), gradients

    return function


def _moments(options: Options, convert: Callable[[Any], Any]) -> Options:
    """The options, with batch_norm's moments as arrays of the other kind."""
    if options.get("moments") is None:
        return options
    return options | {"moments": tuple(convert(a) for a in options["moments"])}


def edit_y(edit: Callable[..., Any]) -> Plant:
    """y becomes `edit(y, *inputs, **options)`, of the same dtype; the gradients stay right."""

    def plant(right: Block) -> Block:
        def wrong(*inputs: Array | None, **options: Any) -> tuple[Array, Pullback]:
            y, pullback = right(*inputs, **options)
            with np.errstate(all="ignore"):
                return np.asarray(edit(y.copy(), *inputs, **options)).astype(y.dtype), pullback

        return wrong

    return plant


def edit_gradient(which: int, edit: Callable[..., Any]) -> Plant:
    """Gradient number `which` becomes `edit(gradient, dy, *inputs, **options)`; y stays right."""

    def plant(right: Block) -> Block:
        def wrong(*inputs: Array | None, **options: Any) -> tuple[Array, Pullback]:
            y, pullback = right(*inputs, **options)

            def gradients(dy: Array) -> Gradients:
                found = list(pullback(dy))
                g = found[which] if which < len(found) else None
                if g is not None:
                    with np.errstate(all="ignore"):
                        found[which] = np.asarray(edit(g.copy(), dy, *inputs, **options)).astype(g.dtype)
                return tuple(found)

            return y, gradients

        return wrong

    return plant


def edit_options(change: Callable[..., Options]) -> Plant:
    """The block is called with `change(options, *inputs)`; where those do not fit, the fault does not show."""

    def plant(right: Block) -> Block:
        def wrong(*inputs: Array | None, **options: Any) -> tuple[Array, Pullback]:
            y, pullback = right(*inputs, **options)
            try:
                other, other_pullback = right(*inputs, **change(dict(options), *inputs))
            except ValueError:
                return y, pullback
            return (other, other_pullback) if other.shape == y.shape else (y, pullback)

        return wrong

    return plant


def edit_inputs(change: Callable[..., tuple[Array | None, ...]]) -> Plant:
    """The block reads `change(*inputs, **options)`, of the same shapes and dtypes, forward and backward."""

    def plant(right: Block) -> Block:
        def wrong(*inputs: Array | None, **options: Any) -> tuple[Array, Pullback]:
            right(*inputs, **options)  # so that what does not fit is still refused
            with np.errstate(all="ignore"):
                changed = change(*inputs, **options)
            return right(
                *(a if a is None else np.asarray(c).astype(a.dtype) for a, c in zip(inputs, changed, strict=True)),
                **options,
            )

        return wrong

    return plant


def rounded(a: Array, digits: int) -> Array:
    """Rounded to that many significant bits."""
    mantissa, exponent = np.frexp(a)
    return np.asarray(np.ldexp(np.round(mantissa * 2.0**digits) / 2.0**digits, exponent), a.dtype)
