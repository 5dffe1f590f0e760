"""What is drawn for each block: one module per block, all with the names listed in `Strategies`.

A module draws sizes and options that fit, in few primitives, every one of which shrinks to the smallest; the arrays
are made from a seed that is drawn as well. All blocks share what `cases` does with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Protocol, cast

from hypothesis import strategies as st

from mcnbench import blocks
from mcnbench import case as cases_
from mcnbench.arrays import Shape
from mcnbench.case import Case

Draw = Callable[[st.SearchStrategy[Any]], Any]
Sizes = tuple[tuple[Shape | None, ...], Mapping[str, Any]]


class Strategies(Protocol):
    """What each module of this package provides."""

    EXACT: tuple[str, ...]
    """The kinds of data on which the block is exact; () where it never is."""

    BOUNDED: tuple[str, ...]
    """The kinds of data for bounds; the first is also what properties use that do not care."""

    TAYLOR: str
    """The kind of data for differences; "" where the block is linear, and an exact adjoint says all."""

    TIES: str
    """The kind of data with ties or kinks; "" where there are none."""

    EMPTY_BATCH: bool
    """Whether the block has a meaning without images."""

    ADJOINT: tuple[tuple[str, ...], ...]
    """The inputs in which the block is linear, jointly within each group; ("xs",) for all maps."""

    RELATIONS: tuple[Callable[..., Any], ...]
    """The metamorphic relations of `suites.properties.relations` and its own."""

    def sizes(self, draw: Draw, data: str) -> Sizes:
        """Shapes and options that fit, and that the kind of data suits."""

    invalid: Callable[[Draw], Sizes] | None
    """Draws shapes and options that do not fit; None where all fit."""

    def reference(self, *inputs: Any, **options: Any) -> Any:
        """The block in PyTorch, for the scripts that show a violation."""


@cache
def module(block: str) -> Strategies:
    """The strategies of that block."""
    return cast(Strategies, import_module(f"{__name__}.{block}"))


def names() -> tuple[str, ...]:
    """The blocks that have strategies."""
    known = blocks.names()
    return tuple(name.name for name in iter_modules(__path__) if name.name in known)


def kinds(block: str, property: str, dtype: str = "float32") -> tuple[str, ...]:
    """The kinds of data that the property is tried on; () where it says nothing of the block in that dtype."""
    found = module(block)
    match property:
        case "exact" | "gradient-exact":
            return found.EXACT
        case "bounded" | "gradient-bounded":
            return found.BOUNDED
        case "taylor":
            # float16 has too few digits: a step is not exact beside 16, and what rounding may do hides the slope.
            return (found.TAYLOR,) if found.TAYLOR and dtype != "float16" else ()
        case "ties":
            return (found.TIES,) if found.TIES else ()
        case "nan":
            return ("nan",)
        case "metamorphic":
            return found.BOUNDED[:1] if found.RELATIONS else ()
        case "rejects-invalid":
            return ("normal",) if found.invalid else ()
        case "geometry":
            return found.BOUNDED[:1] if "labels" not in blocks.block(block).INPUTS else ()  # a loss has no map
        case "empty-batch":
            return found.BOUNDED[:1] if found.EMPTY_BATCH else ()
        case _:
            return found.BOUNDED[:1]


def cases(block: str, property: str, dtype: str) -> st.SearchStrategy[Case]:
    """The cases that the property is tried on."""
    found = module(block)
    choices = kinds(block, property, dtype)

    @st.composite
    def one(draw: Draw) -> Case:
        data = draw(st.sampled_from(choices)) if len(choices) > 1 else choices[0]
        if property == "rejects-invalid" and found.invalid:
            shapes, options = found.invalid(draw)
        else:
            shapes, options = found.sizes(draw, data)
        if property == "empty-batch":
            shapes = without_images(block, shapes)
        seed = draw(st.integers(0, 2**32 - 1))
        return cases_.make(block, shapes, options, dtype, data, seed)

    return one()


def without_images(block: str, shapes: tuple[Shape | None, ...]) -> tuple[Shape | None, ...]:
    """The shapes with 0 in place of the number of images."""
    maps = len(shapes) if blocks.block(block).INPUTS != ("x", "w", "b") else 1
    return tuple(
        (0, *shape[1:]) if shape is not None and i < maps and len(shape) >= 3 else shape
        for i, shape in enumerate(shapes)
    )
