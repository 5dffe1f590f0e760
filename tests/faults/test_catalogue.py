"""The catalogue: over all blocks, with names that last; planting leaves the rest of the backend as it is."""

from __future__ import annotations

import re

import numpy as np
import pytest

from mcnbench.backends import load
from mcnbench.errors import BadInput
from suites.faults.catalogue import FAMILIES, FAULTS, selected
from suites.faults.fault import Fault, edit_y, planted
from suites.faults.plant import attempt
from suites.properties import strategies


def test_at_least_a_hundred_over_all_blocks_each_named_once() -> None:
    assert len(FAULTS) >= 100
    assert len(FAULTS) == sum(len(family.FAULTS) for family in FAMILIES)
    assert {fault.block for fault in FAULTS.values()} == set(strategies.names())
    for fault in FAULTS.values():
        assert re.fullmatch(r"[a-z0-9_]+/[a-z0-9-]+", fault.name), fault.name
        assert fault.what.endswith("."), fault.name
        assert fault.origin, fault.name


def test_a_planted_fault_is_in_its_block_alone() -> None:
    numpy = load("numpy")
    wrong = planted(numpy, FAULTS["relu/capped-at-6"])
    x = np.array([[[[7.0, -1.0, 3.0]]]], "f4")
    y, pullback = wrong.block("relu")(x, slope=0.0)  # type: ignore[misc]  # it has one
    np.testing.assert_array_equal(y, [[[[6, 0, 3]]]])
    np.testing.assert_array_equal(pullback(np.ones_like(x))[0], [[[[1, 0, 1]]]])
    assert wrong.block("tanh") is numpy.block("tanh")
    assert wrong.accuracy == numpy.accuracy


def test_the_same_seed_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [attempt(load("numpy"), FAULTS["concat/interleaved"], 30, seed) for seed in (3, 3)]
    assert [(o.word, o.property, o.examples, o.reproduce) for o in found[:1]] == [
        (o.word, o.property, o.examples, o.reproduce) for o in found[1:]
    ]
    assert found[0].word == "KILLED"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda y, x, slope: y, "it changed nothing on"),
        (lambda y, x, slope: np.nextafter(y, y), "it changed nothing on"),
    ],
)
def test_what_never_shows_survives_and_the_strategies_are_named(change: object, words: str) -> None:
    fault = Fault("relu/none", "Nothing is wrong.", "a test", edit_y(change))  # type: ignore[arg-type]  # a lambda
    outcome = attempt(load("numpy"), fault, 5)
    assert outcome.word == "SURVIVED"
    assert words in outcome.message
    assert "the strategies of relu" in outcome.message


def test_what_stays_within_the_bound_survives_and_the_bound_is_named() -> None:
    fault = Fault("spatial_norm/bit", "Off by one bit.", "a test", edit_y(lambda y, *_, **__: np.nextafter(y, 2 * y)))
    outcome = attempt(load("numpy"), fault, 5)
    assert outcome.word == "SURVIVED"
    assert re.search(r"it changed y by 0\.\d+ of its bound: the bounds of spatial_norm would", outcome.message)


def test_a_backend_that_is_wrong_itself_kills_nothing() -> None:
    """Its own violation must not count as the discovery of the fault."""
    wrong = planted(load("numpy"), FAULTS["add/mean"])
    fault = Fault("add/none", "Nothing more is wrong.", "a test", edit_y(lambda y, *xs: y))
    outcome = attempt(wrong, fault, 20)
    assert outcome.word == "SURVIVED"
    assert "the backend itself does not pass exact float32" in outcome.message


def test_names_that_are_not_known_are_refused_with_the_nearest() -> None:
    with pytest.raises(BadInput, match="did you mean 'relu/one-at-0'"):
        selected((), ("relu/one-at-zero",))
    with pytest.raises(BadInput, match="did you mean 'relu'"):
        selected(("relus",), ())


@pytest.mark.parametrize(
    "name", ["backward-every-stride-th-place", "backward-one-pixel-off", "dx-channels-not-exchanged"]
)
def test_the_errors_of_slides_in_the_convolution_backward_are_found_on_integers(name: str) -> None:
    outcome = attempt(load("numpy"), FAULTS[f"conv2d/{name}"])
    assert (outcome.word, outcome.property, outcome.dtype) == ("KILLED", "gradient-exact", "float32")
