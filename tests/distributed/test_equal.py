"""Data-parallel steps equal those of one process on the whole batch: exactly on integers, within bounds on reals."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mcnbench.arrays import Array
from tests.distributed.ranks import Job, add_up, together, train, train_all, train_and_observe

DATA = Path(__file__).parents[1] / "data"
LINEAR, CHAIN, GRAPH, MOMENTS = (str(DATA / f"{name}.toml") for name in ("linear", "chain", "graph", "moments"))
BACKENDS = ["numpy", "numpy-winograd", "torch"]
RANKS = [1, 2, 3, 4]

ROUNDED = 1e-10
"""Relative L2 in float64: some hundred thousand roundings of 2^-53, which none of the sums here has."""


alone = cache(train)
"""One process, once for all tests that are held to it."""


def relative(ours: Array, theirs: Array) -> float:
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


@pytest.mark.parametrize("ranks", RANKS)
def test_on_integers_it_is_exact(ranks: int) -> None:
    """Winograd's F(2 x 2, 3 x 3) has halves and quarters only; the larger one has thirds, and no integers."""
    backends = ["numpy", "impl.numpy_winograd.f2x2", "torch"]
    jobs = [Job(LINEAR, backend, 9, sub_batch=2, dtype="float64", integers=True) for backend in backends]
    outcomes = together(train_all, ranks, jobs)
    for i, job in enumerate(jobs):
        whole = alone(job._replace(sub_batch=9))
        for rank in range(ranks):
            mine = outcomes[rank][i]
            for name, gradient in whole.gradients.items():
                assert np.mean(gradient != 0) > 0.3, "hardly anything is compared"
                where = f"{job.backend}, rank {rank}, {name}"
                np.testing.assert_array_equal(mine.gradients[name], gradient, f"gradient, {where}")
                np.testing.assert_array_equal(mine.parameters[name], whole.parameters[name], where)


@pytest.mark.parametrize("ranks", RANKS)
def test_on_reals_it_is_within_rounding(ranks: int) -> None:
    jobs = [Job(net, backend, 7, 3, "float64") for net in (CHAIN, GRAPH) for backend in BACKENDS]
    outcomes = together(train_all, ranks, jobs)
    for i, job in enumerate(jobs):
        whole = alone(job._replace(sub_batch=7))
        for rank in range(ranks):
            mine = outcomes[rank][i]
            for name in whole.gradients:
                where = f"{job.network}, {job.backend}, rank {rank}, {name}"
                assert relative(mine.gradients[name], whole.gradients[name]) < ROUNDED, where
                assert relative(mine.parameters[name], whole.parameters[name]) < ROUNDED, where
                np.testing.assert_array_equal(mine.parameters[name], outcomes[0][i].parameters[name], where)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_sum_is_within_the_certain_bound_in_float32(backend: str) -> None:
    """Every element of it, for any order of summation: n summands round n - 1 times. With four ranks PyTorch's factor
    and division are exact."""
    found = together(add_up, 4, Job(CHAIN, backend, 9, sub_batch=2))
    summands = [own for rank in found for own in rank.own]
    assert len(summands) == 5  # 3, 2, 2 and 2 images in sub-batches of at most 2
    nu = (len(summands) - 1) * 2.0**-24
    for name in summands[0]:
        exact = sum(own[name].astype(np.float64) for own in summands)
        bound = nu / (1 - nu) * sum(np.abs(own[name].astype(np.float64)) for own in summands)
        for rank in found:
            assert np.all(np.abs(rank.sum[name] - exact) <= bound), name


@pytest.mark.parametrize("backend", BACKENDS)
def test_batch_norm_has_its_moments_from_each_sub_batch(backend: str) -> None:
    """The dialect: the same sub-batches in one process give the same, the whole batch at once does not."""
    job = Job(MOMENTS, backend, 8, sub_batch=2, dtype="float64")
    for mine in together(train, 2, job):
        same, whole = alone(job), alone(job._replace(sub_batch=8))
        for name in ("conv1.w", "norm1.gain", "fc2.w"):
            assert relative(mine.parameters[name], same.parameters[name]) < ROUNDED
            assert relative(mine.gradients[name], whole.gradients[name]) > 1e-4


@pytest.mark.parametrize("backend", ["numpy", "numpy-winograd"])
def test_a_step_that_each_rank_takes_alone_leaves_them_equal(backend: str) -> None:
    """Though each had updated only its part of a parameter, and of its velocity, in the steps before."""
    job = Job(CHAIN, backend, 7, 3, "float64")
    whole = train_and_observe(job._replace(sub_batch=7))
    for mine in together(train_and_observe, 3, job):
        for name, w in whole.items():
            assert relative(mine[name], w) < ROUNDED, name
