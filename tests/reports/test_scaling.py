"""Several devices: the table's columns, and a model that finds again what made the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from reports import frames, parts, runfile, scaling, schema
from reports.parts import devices
from tests.reports.conftest import Made, measurement

IMAGE, REST, LATENCY, PER_BYTE = 0.05, 0.2, 2e-4, 1 / 2e9
BYTES, BUCKETS, BATCH = 240_000_000, 60, 48


def sums(workers: int) -> float:
    """The formula of reports/scaling.py, typed again."""
    return BUCKETS * 2 * (workers - 1) * LATENCY + 2 * (workers - 1) / workers * BYTES * PER_BYTE


def ring(workers: int, size: int) -> float:
    return 2 * (workers - 1) * LATENCY + 2 * (workers - 1) / workers * size * PER_BYTE


def several(workers: int, hidden: float = 0.0, slower: float = 1.0, **changes: Any) -> schema.Measurement:
    """A measurement that follows the model, but for a factor of the whole step."""
    each = BATCH // workers
    local = IMAGE * each + REST
    step = slower * (local + (1 - hidden) * (sums(workers) if workers > 1 else 0.0))
    halves = [each // 2, each - each // 2]
    rank = {
        "sub_batches": halves,
        "samples_ns": [round(1e9 * step)] * 3,
        "sub_batch_ns": [[round(1e9 * IMAGE * n) for n in halves]] * 3,
    }
    details: dict[str, Any] = {"ranks": [rank] * workers, "notes": []}
    if workers > 1:
        details["communication"] = {
            "bytes": BYTES,
            "buckets": BUCKETS,
            "exchange_ns": [round(1e9 * sums(workers))] * 5,
            "whole_ns": [round(1e9 * step)] * 3,
            "alone_ns": [round(1e9 * slower * local)] * 3,
            "all_reduce": [
                {"bytes": size, "ns": [round(1e9 * ring(workers, size))] * 5} for size in (4096, 1 << 20, 1 << 26)
            ],
        }
    return measurement(
        "vgg-vd-16", "numpy", [step] * 3, workers=workers, batch=BATCH, images=BATCH, threads=1, details=details,
        case=f"multi-gpu/vgg-vd-16/{workers}", **changes
    )  # fmt: skip


def read(make_run: Made, measurements: Sequence[schema.Measurement]) -> list[runfile.RunFile]:
    return frames.read([make_run(*measurements, experiment="multi-gpu")])


def test_the_model_finds_the_constants_that_made_the_times(make_run: Made) -> None:
    model = scaling.fit(read(make_run, [several(1), several(2), several(4)])[0].measurements)
    assert model is not None
    found = (model.image, model.rest, model.latency, model.per_byte)
    assert found == pytest.approx((IMAGE, REST, LATENCY, PER_BYTE), rel=1e-3)
    for workers in (3, 1024):
        assert model.sums(workers) == pytest.approx(sums(workers), rel=1e-3)


def test_the_held_out_point_is_not_seen(make_run: Made) -> None:
    """Four workers are in truth a fifth slower than the rule that two follow, and the prediction must not know."""
    table = scaling.predictions(read(make_run, [several(1), several(2), several(4, slower=1.2)]))
    held_out = table[table["measured"].notna()]
    assert list(held_out["workers"]) == [4]
    assert held_out["off"].iloc[0] == pytest.approx(0.2, rel=1e-2)
    further = table[table["measured"].isna()]
    assert list(further["workers"]) == [8, 16, 64, 256, 1024]
    assert list(further["batch"]) == [24 * n for n in (8, 16, 64, 256, 1024)]
    assert further["efficiency"].is_monotonic_decreasing
    step = IMAGE * 24 + REST
    assert further["efficiency"].iloc[0] == pytest.approx(step / (step + sums(8)), rel=1e-2)


@pytest.mark.parametrize("hidden", [0.0, 0.25, 1.0])
def test_what_is_hidden_is_what_did_not_lengthen_the_step(make_run: Made, hidden: float) -> None:
    files = read(make_run, [several(1), several(2, hidden)])
    table = scaling.multi_gpu(frames.samples(files), files).set_index("workers")
    assert table.loc[2, "hidden"] == pytest.approx(hidden, abs=1e-6)
    assert table.loc[2, "communication"] == pytest.approx(sums(2))
    expected = (IMAGE * 48 + REST) / (IMAGE * 24 + REST + (1 - hidden) * sums(2))
    assert table.loc[2, "speed_up"] == pytest.approx(expected)
    assert table.loc[2, "efficiency"] == pytest.approx(expected / 2)
    assert table.loc[2, "published cuDNN"] == 22.2
    assert table.loc[4, "state"] == "not measured"


def test_what_is_hidden_does_not_grow_with_the_workers(make_run: Made) -> None:
    """A backward pass that hides the sums of two workers hides as much of those of more, and no more."""
    table = scaling.predictions(read(make_run, [several(1), several(2, hidden=1.0)]))
    further = table[table["measured"].isna()].set_index("workers")
    step = IMAGE * 24 + REST
    expected = step / (step + sums(1024) - sums(2))
    assert further.loc[1024, "efficiency"] == pytest.approx(expected, rel=1e-2)


def test_what_the_scatter_covers_is_not_said_to_be_hidden(make_run: Made) -> None:
    two = several(2, hidden=1.0)
    found = two.details["communication"]
    found["alone_ns"] = [found["alone_ns"][0] + round(part * 1e9 * sums(2)) for part in (-2, 0, 2)]
    files = read(make_run, [several(1), two])
    table = scaling.multi_gpu(frames.samples(files), files).set_index("workers")
    assert np.isnan(table.loc[2, "hidden"])
    assert table.loc[2, "communication"] == pytest.approx(sums(2))


def test_launches_are_taken_together(make_run: Made) -> None:
    """The second launch is a third slower than the first: the median over both counts, not either one's."""
    files = read(make_run, [several(1), several(2), several(1, launch=1), several(2, slower=4 / 3, launch=1)])
    first, second = (several(2, slower=s).samples_ns for s in (1, 4 / 3))
    held_out = scaling.predictions(files).iloc[0]
    assert held_out["measured"] == pytest.approx(BATCH / (1e-9 * (first[0] + second[0]) / 2))


def test_the_efficiency_is_paired_by_round(make_run: Made) -> None:
    """A machine that slows down threefold after the first rounds slows both, and their ratio stays."""
    drift = [1.0, 1.0, 3.0, 3.0, 3.0]
    one = measurement("vgg-f", "numpy", [2 * d for d in drift], workers=1, case="multi-gpu/vgg-f/1")
    two = measurement("vgg-f", "numpy", [1.25 * d for d in drift], workers=2, case="multi-gpu/vgg-f/2")
    table = scaling.multi_gpu(frames.samples(read(make_run, [one, two]))).set_index("workers")
    low, high = table.loc[2, ["efficiency_low", "efficiency_high"]]
    assert low == pytest.approx(0.8)
    assert high == pytest.approx(0.8)


def test_without_one_worker_nothing_is_predicted(make_run: Made) -> None:
    assert scaling.predictions(read(make_run, [several(2), several(4)])).empty


def test_what_failed_is_in_no_fit(make_run: Made) -> None:
    broken = several(2).model_copy(update={"error": "rank 1 of 2 was killed (SIGKILL)"})
    files = read(make_run, [several(1), broken])
    assert scaling.predictions(files).empty
    part = devices.part(frames.samples(files), files)
    assert part is not None
    assert any("rank 1 of 2 was killed" in problem for problem in part.problems)


def test_the_parts_say_what_is_predicted(make_run: Made) -> None:
    note = several(4)
    note.details["notes"].append("4 workers on 2 cores: this measures correctness, not scaling")
    files = read(make_run, [several(1), several(2), note])
    made = {part.key: part for part in parts.parts(files)}
    assert "4 workers on 2 cores: this measures correctness, not scaling." in made["multi-gpu"].problems
    further = made["multi-gpu-predicted"]
    assert "PREDICTED" in further.legend[0]
    assert "Held out" in further.headline
    (axes,) = further.drawings[0].draw().axes
    assert axes.get_legend().get_texts()[-1].get_text() == "ideal: each as much as one"
