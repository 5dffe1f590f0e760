"""The reducer: no copy of large gradients, what is not finite, the order of memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import numpy as np
import pytest

from mcnbench.distributed.failure import Diverged
from mcnbench.distributed.neighbours import Neighbours, met
from mcnbench.distributed.reducer import Divided, Reducer, Sums, in_order_of, in_order_of_memory, summed_bytes, tensor
from mcnbench.distributed.shares import shares, sub_batches
from mcnbench.errors import BadInput
from tests.distributed.ranks import together


def layouts() -> dict[str, np.ndarray]:
    """Gradients of all layouts that blocks return, numbered in order of index."""
    shape = (4, 3, 5, 2)
    plain = np.arange(120, dtype=np.float32).reshape(shape)
    last = np.ascontiguousarray(plain.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    gaps = np.zeros((4, 3, 5, 4), np.float32)[..., ::2]
    gaps[:] = plain
    fixed = plain.copy()
    fixed.flags.writeable = False
    return {
        "plain": plain,
        "channels last": last,
        "gaps": gaps,
        "read-only": fixed,
        "one": np.float32([3.0]),
        "bias": plain[0, 0, 0].copy(),
    }


@pytest.mark.parametrize("layout", ["plain", "channels last"])
def test_torch_sums_the_very_memory_of_the_array(layout: str) -> None:
    gradient = layouts()[layout]
    seen = tensor(in_order_of_memory(gradient).reshape(-1))
    assert seen.data_ptr() == gradient.ctypes.data
    seen *= 2
    np.testing.assert_array_equal(gradient, 2 * layouts()["plain"])


def summed(bucket_bytes: int, near: bool, rank: int, ranks: int) -> dict[str, np.ndarray] | None:
    neighbours = met() if near else None
    if near and neighbours is None:
        return None
    reducer = Reducer(Sums(neighbours), bucket_bytes)
    for name, gradient in layouts().items():
        reducer.add(name, gradient if gradient.flags.writeable is False else gradient * np.float32(rank + 1))
    return dict(reducer.finish())


@pytest.mark.parametrize("near", [True, False])
@pytest.mark.parametrize("bucket_bytes", [4, 100, 500, 1 << 20])
def test_every_layout_is_summed_whatever_the_buckets(bucket_bytes: int, near: bool) -> None:
    for sums in together(summed, 2, bucket_bytes, near):
        if sums is None:
            pytest.skip("this system forbids processes to read each other's memory")
        assert list(sums) == list(layouts())
        for name, gradient in layouts().items():
            np.testing.assert_array_equal(sums[name], gradient * (2 if name == "read-only" else 3), name)


def test_a_parameter_is_flattened_in_the_order_of_its_gradient_only() -> None:
    parameter, last = layouts()["plain"].copy(), layouts()["channels last"]
    flat = in_order_of(parameter, parameter.copy())
    assert flat is not None
    flat *= 2
    np.testing.assert_array_equal(parameter, 2 * layouts()["plain"])
    same = in_order_of(last, 2 * last)
    assert same is not None
    np.testing.assert_array_equal(same, last.transpose(0, 2, 3, 1).ravel())
    assert in_order_of(parameter, last) is None
    assert in_order_of(layouts()["read-only"], parameter) is None


class Recorder(Sums):
    """Sums nothing, and notes how many bytes it was asked to."""

    asked: ClassVar[list[int]] = []

    def start(self, flat: Any, names: Sequence[str] = (), divided: Divided | None = None) -> None:
        self.asked.append(flat.nbytes)


@pytest.mark.parametrize("near", [True, False])
@pytest.mark.parametrize("bucket_bytes", [4, 100, 500, 1 << 20])
def test_the_bytes_of_each_sum_are_known_before(bucket_bytes: int, near: bool) -> None:
    """What the time of a step's sums by themselves rests on."""
    recorder = Recorder(cast(Neighbours, object()) if near else None)
    recorder.asked.clear()
    reducer = Reducer(recorder, bucket_bytes)
    for name, gradient in layouts().items():
        reducer.add(name, gradient)
    list(reducer.finish())
    sizes = [gradient.nbytes for gradient in layouts().values()]
    assert recorder.asked == summed_bytes(sizes, bucket_bytes, cut=not near)
    assert sum(recorder.asked) == sum(sizes)


def updated_apart(rank: int, ranks: int) -> np.ndarray | None:
    near = met()
    if near is None:
        return None
    w, v = np.zeros(10, np.float32), np.zeros(10, np.float32)

    def sgd(w: np.ndarray, v: np.ndarray, dw: np.ndarray) -> None:
        w -= dw

    assert Sums(near, apart=True).start(np.ones(10, np.float32), divided=Divided(w, v, sgd)) is None
    return w


def test_apart_a_rank_updates_its_own_part_by_its_own_gradient() -> None:
    """What it would do with the others, too, so that only the sums are missing from the time."""
    for rank, w in enumerate(together(updated_apart, 2)):
        if w is None:
            pytest.skip("this system forbids processes to read each other's memory")
        np.testing.assert_array_equal(w.reshape(2, 5)[rank], -np.ones(5))
        np.testing.assert_array_equal(w.reshape(2, 5)[1 - rank], np.zeros(5))


def pass_through(gradient: np.ndarray, bucket_bytes: int) -> dict[str, np.ndarray]:
    reducer = Reducer(None, bucket_bytes)
    reducer.add("conv1.w", gradient)
    return dict(reducer.finish())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("bucket_bytes", [100, 1 << 20])
def test_what_is_not_finite_is_named(value: float, bucket_bytes: int) -> None:
    gradient = layouts()["plain"]
    gradient[3, 2, 4, 1] = value
    with pytest.raises(Diverged, match=r"gradient of conv1\.w is not finite"):
        pass_through(gradient, bucket_bytes)


def test_huge_is_finite() -> None:
    assert pass_through(np.full(100, 3e38, np.float32), 1 << 20)["conv1.w"][7] == np.float32(3e38)


@pytest.mark.parametrize(("batch", "ranks"), [(1, 1), (7, 3), (64, 5), (9, 9)])
def test_shares_are_fair_and_whole(batch: int, ranks: int) -> None:
    parts = shares(batch, ranks)
    assert [i for part in parts for i in range(batch)[part]] == list(range(batch))
    lengths = [part.stop - part.start for part in parts]
    assert max(lengths) - min(lengths) <= 1
    pieces = [piece for part in parts for piece in sub_batches(part, 2)]
    assert [i for piece in pieces for i in range(batch)[piece]] == list(range(batch))
    assert max(piece.stop - piece.start for piece in pieces) <= 2


def test_a_rank_without_images_is_refused() -> None:
    with pytest.raises(BadInput, match="batch of 3 cannot be shared by 4 workers"):
        shares(3, 4)
