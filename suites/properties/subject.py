"""A backend's block under test: calls it on the arrays of a case and checks that it keeps to the protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from mcnbench import blocks
from mcnbench.arrays import Array
from mcnbench.backends import Backend
from mcnbench.case import Case
from suites.properties.outcome import Unsupported, Violated
from suites.properties.underneath import watched

Arrays = Sequence[Array | None]


@dataclass(frozen=True)
class Result:
    """What one call gave: y and the pullback, in NumPy arrays of shapes that fit; `raw` is the backend's own y."""

    y: Array
    raw: Any
    pullback_on: Callable[[Any], dict[str, Array]]
    """From the backend's own dy to the gradients by name ("dx", "dw", ...), without those that are None by contract."""
    from_numpy: Callable[[Array], Any]

    def pullback(self, dy: Array) -> dict[str, Array]:
        """The gradients by name for dy."""
        return self.pullback_on(self.from_numpy(dy.copy()))

    def gradients(self, dy: Array) -> dict[str, Array]:
        """The gradients by name; none of a backend that is forward only."""
        try:
            return self.pullback(dy)
        except Unsupported:
            return {}


@dataclass(frozen=True)
class Subject:
    """One block of one backend."""

    backend: Backend
    block: str
    torch_calls: list[str] | None = None
    """Where the torch operators that the block calls are noted; None if nobody wants to know."""

    @property
    def function(self) -> Callable[..., Any]:
        found = self.backend.block(self.block)
        if found is None:
            raise Unsupported(f"{self.backend.name} has no {self.block}")
        return found

    def __call__(self, case: Case, inputs: Arrays | None = None, options: Any = None) -> Result:
        """The block on the case's inputs, or on other inputs or options of the same block.

        It gets copies, so that a block that writes into its inputs does not change what it is held to.
        """
        inputs = case.inputs() if inputs is None else inputs
        options = case.options if options is None else options
        return self.on(
            case, [None if a is None else self.backend.from_numpy(a.copy()) for a in inputs], inputs, options
        )

    def on(self, case: Case, arrays: Sequence[Any], inputs: Arrays, options: Any) -> Result:
        """The block on the backend's own arrays, which hold the values of `inputs`."""
        keywords = self.keywords(options)
        returned = watched(self.function, self.torch_calls)(*arrays, **keywords)
        self.backend.synchronize()
        if not isinstance(returned, tuple | list) or len(returned) != 2:
            raise Violated(f"wanted a pair (y, pullback), got {_words(returned)}")
        raw, pullback = returned
        shape = blocks.block(self.block).output_shape([None if a is None else a.shape for a in inputs], options)
        y = self._array(raw, "y", shape)

        def pullback_on(dy: Any) -> dict[str, Array]:
            if pullback is None:
                raise Unsupported("forward only: the pullback is None")
            if not callable(pullback):
                raise Violated(f"wanted a pullback that can be called, got {_words(pullback)}")
            return self._gradients(case, watched(pullback, self.torch_calls)(dy), inputs)

        return Result(y, raw, pullback_on, self.backend.from_numpy)

    def keywords(self, options: Any) -> dict[str, Any]:
        """The options as keywords, with arrays among them (batch_norm's moments) as the backend's own."""
        keywords = {field.name: getattr(options, field.name) for field in fields(options)}
        if keywords.get("moments") is not None:
            keywords["moments"] = tuple(self.backend.from_numpy(np.asarray(a)) for a in keywords["moments"])
        return keywords

    def _gradients(self, case: Case, returned: Any, inputs: Arrays) -> dict[str, Array]:
        self.backend.synchronize()
        names = [f"d{name}" for name in case.names]
        if not isinstance(returned, tuple | list) or len(returned) != len(inputs):
            got = _gradients(len(returned)) if isinstance(returned, tuple | list) else _words(returned)
            raise Violated(f"wanted {_gradients(len(inputs))} ({', '.join(names)}) from the pullback, got {got}")
        found = {}
        for name, value, a in zip(names, returned, inputs, strict=True):
            if a is None or name in ("dlabels", "dmask"):
                if value is not None:
                    raise Violated(f"wanted None for {name}, got {_words(value)}")
                continue
            found[name] = self._array(value, name, a.shape)
        return found

    def _array(self, value: Any, name: str, shape: tuple[int, ...]) -> Array:
        if value is None:
            raise Violated(f"wanted {name} of shape {shape}, got None")
        try:
            a = self.backend.to_numpy(value)
        except MemoryError:
            raise
        except Exception as error:  # what cannot be an array is the backend's mistake, whatever it raises
            raise Violated(f"{name} is no array: {type(error).__name__}: {error}") from error
        if a.shape != shape:
            raise Violated(f"wanted {name} of shape {shape}, got shape {a.shape}")
        if not np.issubdtype(a.dtype, np.number):
            raise Violated(f"wanted {name} of numbers, got dtype {a.dtype}")
        return a


def _gradients(count: int) -> str:
    return f"a tuple of {count} gradient{'s' if count != 1 else ''}"


def _words(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}" + (f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else "")
