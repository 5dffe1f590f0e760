"""The strategies: valid by construction, every branch reached, shrinking to tiny cases; relations and references."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, find, given, seed, settings

from mcnbench import blocks
from mcnbench.arrays import pair, sides
from mcnbench.blocks import Inputs, names
from mcnbench.case import Case
from suites.properties import engine, strategies
from suites.properties.relations import Known
from suites.properties.table import BEHAVIOUR, VALUES

STABLE_NAMES = [
    *("shape", "exact", "bounded", "gradient-exact", "gradient-bounded", "taylor", "metamorphic", "rejects-invalid"),
    *("leaves-inputs", "writes-all", "strided-inputs", "empty-batch", "ties", "nan", "deterministic"),
]
EACH = [(block, name) for block in strategies.names() for name in engine.properties(block)]


def drawn(block: str, name: str, count: int) -> list[Case]:
    """The same `count` cases in every run."""
    found: list[Case] = []

    @seed(5)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategies.cases(block, name, "float32"))
    def collect(case: Case) -> None:
        found.append(case)

    collect()
    return found


def test_every_block_has_a_strategy_and_every_property_its_stable_name() -> None:
    assert strategies.names() == names()
    assert list(engine.PROPERTIES)[: len(STABLE_NAMES)] == STABLE_NAMES
    assert sorted((*VALUES, *BEHAVIOUR)) == sorted(engine.PROPERTIES)  # each has its column


@pytest.mark.parametrize(("block", "name"), EACH, ids=[f"{block}-{name}" for block, name in EACH])
def test_cases_are_valid_or_must_be_refused(block: str, name: str) -> None:
    for case in drawn(block, name, 30):
        if name == "rejects-invalid":
            with pytest.raises(ValueError, match=r"\w"):
                _ = case.output_shape
        else:
            y = case.output_shape
            assert (shape_of(case)[0] == 0) == (name == "empty-batch")
            assert 0 not in y[1:]
        assert name in engine.applicable(case)


@pytest.mark.parametrize("block", strategies.names())
def test_cases_shrink_to_single_elements(block: str) -> None:
    quick = settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))
    case = find(strategies.cases(block, "shape", "float32"), lambda case: True, settings=quick)
    assert all(shape is None or set(shape) == {1} for shape in case.shapes), str(case)
    assert case.seed == 0


CONVOLUTIONS: dict[str, Callable[[Case], bool]] = {
    "asymmetric padding": lambda c: len(set(sides(c.options.padding))) > 1,
    "stride larger than the window": lambda c: pair(c.options.stride)[0] > window(c)[0],
    "padding larger than the filter": lambda c: sides(c.options.padding)[0] > window(c)[0],
    "dilation": lambda c: max(pair(c.options.dilation)) > 1,
    "dilation in one direction": lambda c: len(set(pair(c.options.dilation))) > 1,
    "groups = channels": lambda c: c.options.groups > 1 and window_shape(c)[1] == 1,
    "groups of several channels": lambda c: c.options.groups > 1 and window_shape(c)[1] > 1,
    "remainders that the stride leaves over": lambda c: remainder(c) > 0,
    "1x1 maps": lambda c: shape_of(c)[2:] == (1, 1),
    "filters larger than the image": lambda c: window(c)[0] > shape_of(c)[2],
    "covering filters": lambda c: c.options.padding == 0 and window(c) == shape_of(c)[2:] and shape_of(c)[2] > 1,
    "no bias": lambda c: c.shapes[2] is None,
    "many channels": lambda c: shape_of(c)[1] > 16,
    "many columns": lambda c: shape_of(c)[3] > 16,
    "unequal strides": lambda c: len(set(pair(c.options.stride))) > 1,
}
POOLS: dict[str, Callable[[Case], bool]] = {
    "asymmetric padding": lambda c: len(set(sides(c.options.padding))) > 1,
    "stride larger than the window": lambda c: pair(c.options.stride)[0] > pair(c.options.window)[0],
    "overlapping windows": lambda c: pair(c.options.stride)[0] < pair(c.options.window)[0],
    "ceil_mode": lambda c: c.options.ceil_mode,
    "windows larger than the image": lambda c: pair(c.options.window)[0] > shape_of(c)[2],
    "1x1 maps": lambda c: shape_of(c)[2:] == (1, 1),
    "many images or channels": lambda c: max(shape_of(c)[:2]) > 16,
}


def shape_of(case: Case) -> tuple[int, ...]:
    assert case.shapes[0] is not None
    return case.shapes[0]


def window_shape(case: Case) -> tuple[int, ...]:
    assert case.shapes[1] is not None
    return case.shapes[1]


def window(case: Case) -> tuple[int, ...]:
    return window_shape(case)[2:]


def remainder(case: Case) -> int:
    top, bottom, _, _ = sides(case.options.padding)
    span = pair(case.options.dilation)[0] * (window(case)[0] - 1) + 1
    return (shape_of(case)[2] + top + bottom - span) % pair(case.options.stride)[0]


@pytest.mark.parametrize(
    ("block", "branches"), [("conv2d", CONVOLUTIONS), ("max_pool2d", POOLS), ("avg_pool2d", POOLS)]
)
def test_every_branch_is_reached(block: str, branches: dict[str, Callable[[Case], bool]]) -> None:
    """Each in at least one of a hundred cases, so that the default of 100 examples meets it more often than not."""
    cases = drawn(block, "bounded", 600)
    counts = Counter({name: sum(is_so(case) for case in cases) for name, is_so in branches.items()})
    assert min(counts.values()) >= 6, counts


@pytest.mark.parametrize("block", [block for block in strategies.names() if strategies.module(block).RELATIONS])
def test_every_relation_applies_often(block: str) -> None:
    """A relation that says nothing of most cases would hold whatever the block does."""
    applied: Counter[str] = Counter()

    for case in drawn(block, "metamorphic", 100):

        def ask(inputs: Inputs, options: object = None, case: Case = case) -> Known:
            shapes = [None if a is None else a.shape for a in inputs]
            zero = np.zeros(blocks.block(block).output_shape(shapes, case.options if options is None else options))
            return Known(zero, zero)

        for relation in strategies.module(block).RELATIONS:
            applied[relation.__name__] += relation(ask, case.inputs(), case.options) is not None
    assert len(applied) == len(strategies.module(block).RELATIONS)
    assert min(applied.values()) >= 5, applied


@pytest.mark.parametrize("block", strategies.names())
def test_the_reference_of_the_scripts_is_the_oracle(block: str) -> None:
    found = strategies.module(block)
    for case in drawn(block, "bounded", 40):
        inputs = case.inputs()
        options = {name: getattr(case.options, name) for name in case.options.__dataclass_fields__}
        for name, value in options.items():
            if name == "padding":
                options[name] = sides(value)
            elif name in ("stride", "dilation") or (name == "window" and block != "local_response_norm"):
                options[name] = pair(value)
        if options.get("moments") is not None:
            options["moments"] = tuple(torch.from_numpy(a) for a in options["moments"])
        tensors = [None if a is None else torch.from_numpy(a) for a in inputs]
        tensors = [t.double() if t is not None and t.is_floating_point() else t for t in tensors]
        y, _ = blocks.block(block).oracle(inputs, case.options)
        np.testing.assert_allclose(found.reference(*tensors, **options).numpy(), y, rtol=1e-9, atol=1e-9)
