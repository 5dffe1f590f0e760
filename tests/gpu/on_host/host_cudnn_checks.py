"""What cuDNN would not notice is refused in Python: wrong channels, sizes, memory orders, dtypes, addresses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cudnn
import cupy
import numpy as np
import pytest

from impl import cudnn as backend
from impl.cudnn import choice, graphs
from impl.cudnn.checks import Convolution, aligned, check_buffer
from impl.cudnn.graphs import Target

C = Convolution("fprop", "float32", (2, 4, 5, 6), (6, 2, 3, 3), (2, 6, 5, 6), (1, 1), (1, 1), (1, 1), (1, 1), 2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        # cuDNN takes w with one channel for a convolution in four groups, and says nothing.
        ({"w": (6, 1, 3, 3)}, "does not fit the 4 channels"),
        ({"w": (6, 4, 3, 3)}, "does not fit the 4 channels"),
        ({"w": (5, 2, 3, 3), "y": (2, 5, 5, 6)}, "groups=2"),
        ({"y": (2, 5, 5, 6)}, "6 channels"),
        ({"y": (1, 6, 5, 6)}, "2 images"),
        ({"y": (2, 6, 6, 5)}, "is not the output"),
        ({"stride": (2, 1)}, "is not the output"),
        ({"before": (-1, 1), "after": (3, 1)}, "is not the output"),
        ({"x": (0, 4, 5, 6), "y": (0, 6, 5, 6)}, "no empty arrays"),
    ],
)
def test_sizes_that_do_not_belong_together_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(C, **change)


def wrong_arrays() -> dict[str, Any]:
    a = cupy.zeros((2, 4, 5, 6), "float32")
    odd = cupy.zeros((2 * 4 * 5 * 6 + 1,), "float32")[1:].reshape(2, 4, 5, 6)
    return {
        "CuPy array of shape": cupy.zeros((2, 4, 6, 5), "float32"),
        "dtype float32": cupy.zeros((2, 4, 5, 6), "float64"),
        "got a ndarray": np.zeros((2, 4, 5, 6), np.float32),
        "must be contiguous": a.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2),
        "multiple of 16": odd,
    }


@pytest.mark.parametrize("said", list(wrong_arrays()))
def test_buffers_that_are_not_as_described_are_refused(said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_buffer(wrong_arrays()[said], (2, 4, 5, 6), "float32", "x")


def test_strided_and_odd_arrays_are_copied_before_cudnn_sees_them() -> None:
    for said in ("must be contiguous", "multiple of 16"):
        a = wrong_arrays()[said]
        check_buffer(aligned(a), (2, 4, 5, 6), "float32", "x")
        assert aligned(aligned(a)) is not a


def test_no_plan_that_is_barred_or_too_big_is_chosen() -> None:
    graph = graphs.build(C, Target(cudnn.create_handle()))
    found = graphs.plans(graph, graphs.barred_notes("float32", tf32=False), workspace=1 << 30)
    assert [(plan.name, plan.workspace) for plan in found] == [("eng1_k2=6", 131), ("eng0", 0)]
    with_tf32 = graphs.plans(
        graphs.build(C, Target(cudnn.create_handle())), graphs.barred_notes("float32", tf32=True), workspace=100
    )
    assert [plan.name for plan in with_tf32] == ["eng5_k1=0", "eng0"]


def test_what_was_chosen_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "SMALL", 0)  # so that plans are tried
    x, w = cupy.zeros((2, 4, 5, 6), "float32"), cupy.zeros((6, 2, 3, 3), "float32")
    backend.conv2d(x, w, stride=1, padding=1, dilation=1, groups=2)
    (record,) = [r for r in choice.recorded() if r["direction"] == "fprop" and r["x"] == (2, 4, 5, 6)]
    assert record["plan"] in ("eng1_k2=6", "eng0")
    assert (record["deterministic"], record["precision"], record["notes"]) == (True, "float32", [])
    assert record["tried"] == 2


def test_a_convolution_without_a_plan_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "WORKSPACE", -1)
    x, w = cupy.zeros((3, 2, 9, 9), "float32"), cupy.zeros((6, 2, 3, 3), "float32")
    with pytest.raises(RuntimeError, match="no deterministic plan in full precision"):
        backend.conv2d(x, w, stride=1, padding=1, dilation=1, groups=1)


def test_a_small_convolution_takes_the_first_plan() -> None:
    x, w = cupy.zeros((1, 4, 5, 6), "float32"), cupy.zeros((6, 2, 3, 3), "float32")
    backend.conv2d(x, w, stride=1, padding=1, dilation=1, groups=2)
    (record,) = [r for r in choice.recorded() if r["x"] == (1, 4, 5, 6)]
    assert (record["plan"], record["tried"]) == ("eng1_k2=6", 1)
