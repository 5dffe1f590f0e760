"""No false alarm: backends that are right in an unusual way hold; what claims too much is told what to claim."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import mcnbench
from impl.numpy_winograd import f2x2
from mcnbench.backends import Backend
from mcnbench.verdict import Verdict
from suites.properties import engine
from tests.faults import unusual

NORMWISE = {"accuracy": "normwise"}
# PyTorch, too, is a backend that must hold: tests/check/test_ours.py has it beside NumPy.
RIGHT = {
    "NumPy in float64": unusual.in_float64,
    "channels last": unusual.channels_last,
    "read-only arrays": unusual.read_only,
    "seven loops": unusual.seven_loops,
    "FFT": lambda: unusual.fft(**NORMWISE, normwise_factor=unusual.FFT_FACTOR),
    "Winograd": lambda: unusual.winograd(**NORMWISE, normwise_factor=f2x2.normwise_factor),
}


def verdicts(name: str, implementation: SimpleNamespace, examples: int, *dtypes: str) -> list[Verdict]:
    backend = Backend(name, implementation)
    return [
        engine.run(backend, block, property, dtype, examples, seed=4)
        for block in backend.blocks()
        for property in engine.properties(block)
        for dtype in dtypes
    ]


@pytest.mark.parametrize("name", RIGHT)
def test_every_property_holds(name: str) -> None:
    implementation = RIGHT[name]()
    if hasattr(implementation, "relu"):
        found = verdicts(name, implementation, 8, "float32")
    else:
        found = verdicts(name, implementation, 12, "float32", "float64")
    assert len(found) >= 28
    assert [v for v in found if v.verdict != "HOLDS"] == []


def test_running_out_of_memory_at_times_is_an_error_and_no_violation() -> None:
    found = verdicts("scarce", unusual.out_of_memory_at_times(), 20, "float32")
    assert {v.verdict for v in found} == {"ERROR"}
    assert all(v.message.startswith("MemoryError: no more than this (in ") for v in found)


def test_memory_that_runs_out_where_a_refusal_is_wanted_is_an_error() -> None:
    def conv2d(*arrays: object, **options: object) -> None:
        raise MemoryError("no more than this")

    verdict = engine.run(Backend("scarce", SimpleNamespace(conv2d=conv2d)), "conv2d", "rejects-invalid", examples=5)
    assert verdict.verdict == "ERROR"


@pytest.mark.parametrize(
    ("name", "implementation", "properties"),
    [
        ("FFT", unusual.fft(), ("exact", "bounded", "gradient-exact", "gradient-bounded")),
        ("Winograd", unusual.winograd(), ("bounded",)),
        ("tiles of 6", SimpleNamespace(conv2d=mcnbench.backend("numpy-winograd").conv2d), ("exact", "gradient-exact")),
    ],
)
def test_transforms_that_claim_each_element_are_violated_and_told_what_to_declare(
    name: str, implementation: SimpleNamespace, properties: tuple[str, ...]
) -> None:
    for property in properties:
        # Hypothesis draws some integers from those in the modules imported; tiles of 6 err seldom on integers.
        verdict = engine.run(Backend(name, implementation), "conv2d", property, examples=500)
        assert verdict.verdict == "VIOLATED", verdict
        assert 'if it is one, declare accuracy = "normwise"' in verdict.message, verdict.message


def test_a_convolution_that_is_plainly_wrong_is_not_told_so() -> None:
    def shifted(*arrays: object, **options: object) -> object:
        y, pullback = mcnbench.backend("numpy").conv2d(*arrays, **options)
        return y[..., ::-1].copy(), pullback

    for property in ("exact", "bounded"):
        verdict = engine.run(Backend("shifted", SimpleNamespace(conv2d=shifted)), "conv2d", property)
        assert verdict.verdict == "VIOLATED"
        assert "normwise" not in verdict.message
