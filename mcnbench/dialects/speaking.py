"""A backend that was written in a dialect, called on its own terms and seen in those of mcnbench."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np

from mcnbench import blocks
from mcnbench.backends import Backend
from mcnbench.dialects import Dialect, Inexpressible
from mcnbench.dialects.translation import INTO, Call, into, turned

PAST_THE_BLOCKS = ("fused", "training_step")
"""What a backend may offer that would not go through its single blocks."""


def speak(backend: Backend, dialect: Dialect, name: str | None = None) -> Backend:
    """The backend, under its own name or another. Its blocks raise Inexpressible for what the dialect cannot say, sizes
    that do not fit among them: those are for the backend to refuse, which must not be asked in words it never hears."""
    return Backend(name or backend.name, _Speaker(backend, dialect))


class _Speaker:
    def __init__(self, backend: Backend, dialect: Dialect) -> None:
        self._backend, self._dialect = backend, dialect

    def __getattr__(self, name: str) -> Any:
        if name in PAST_THE_BLOCKS:
            raise AttributeError(name)
        found = getattr(self._backend.implementation, name)
        return partial(self._call, name, found) if name in INTO else found

    def _call(self, block: str, function: Any, *inputs: Any, **options: Any) -> tuple[Any, Any]:
        shapes = [None if a is None else tuple(a.shape) for a in inputs]
        options = self._checked(block, shapes, options)
        if block == "max_pool2d":
            self._refuse(inputs[0])
        call = into(self._dialect, block, shapes, options)
        roles = blocks.block(block).INPUTS[: len(inputs)]
        given = [self._turned(call, role, a) for role, a in zip(roles, inputs, strict=True)]
        y, pullback = function(*given, **self._keywords(call.options))
        if pullback is None:
            return self._turned(call, "y", y), None

        def turned_pullback(dy: Any) -> tuple[Any, ...]:
            gradients = pullback(self._turned(call, "y", dy))
            return tuple(self._turned(call, role, g) for role, g in zip(roles, gradients, strict=True))

        return self._turned(call, "y", y), turned_pullback

    def _checked(self, block: str, shapes: list[Any], given: dict[str, Any]) -> dict[str, Any]:
        """All options of a call whose sizes fit, with arrays among them as NumPy's."""
        if given.get("moments") is not None:
            given["moments"] = tuple(self._backend.to_numpy(each) for each in given["moments"])
        options = blocks.make_options(block, given)
        try:
            blocks.block(block).output_shape(shapes, options)
        except ValueError as error:
            raise Inexpressible("sizes that do not fit have no words in a dialect") from error
        return {field.name: getattr(options, field.name) for field in fields(options)}

    def _turned(self, call: Call, role: str, a: Any) -> Any:
        if a is None or (not call.turns and call.gain == 1.0):
            return a
        return self._backend.from_numpy(turned(call.turns, call.gain, role, self._backend.to_numpy(a)))

    def _keywords(self, options: Mapping[str, Any]) -> dict[str, Any]:
        keywords = dict(options)
        if keywords.get("moments") is not None:
            keywords["moments"] = tuple(self._backend.from_numpy(np.ascontiguousarray(a)) for a in keywords["moments"])
        return keywords

    def _refuse(self, x: Any) -> None:
        """Refuses data for which the dialect's max pooling means something else."""
        words, values = self._dialect.pooling, self._backend.to_numpy(x)
        if words.nan != "propagates" and np.isnan(values).any():
            raise Inexpressible(f"what becomes of NaN in {self._dialect.title}'s max pooling: {words.nan}")
        if words.ties in ("all", "unspecified"):
            maps = np.sort(values.reshape(*values.shape[:2], -1), axis=-1)
            if (maps[..., 1:] == maps[..., :-1]).any():
                raise Inexpressible(f"which of several equal maxima {self._dialect.title} chooses: {words.ties}")
