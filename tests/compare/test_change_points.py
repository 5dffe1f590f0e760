"""Change points: what changed is found where it changed, what is only noise is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mcnbench import ROOT, runfile
from reports import change_points, frames, schema


def series(levels: list[float], seed: int = 0, noise: float = 0.02) -> np.ndarray:  # type: ignore[type-arg]
    return np.log(levels) + np.random.default_rng(seed).normal(0, noise, len(levels))


@pytest.mark.parametrize(
    ("levels", "found"),
    [
        ([1.0] * 10 + [1.15] * 10, [10]),
        ([1.0] * 7 + [0.8] * 7 + [1.0] * 7, [7, 14]),
        ([1.0] * 20, []),
        ([1.0] * 3 + [2.0], []),  # four runs are too few to tell
    ],
)
def test_changes_are_found_where_they_are(levels: list[float], found: list[int]) -> None:
    for seed in range(10):
        cuts = change_points.change_points(series(levels, seed))
        assert len(cuts) == len(found)
        assert all(abs(cut - true) <= 1 for cut, true in zip(cuts, found, strict=True))


def test_one_outlier_is_no_new_level() -> None:
    assert change_points.change_points(series([1.0] * 8 + [1.5] + [1.0] * 8)) == []


def test_noise_seldom_looks_like_a_change() -> None:
    found = [bool(change_points.change_points(series([1.0] * 30, seed))) for seed in range(200)]
    assert np.mean(found) < 0.05


def write_runs(folder: Path, slower_from: int) -> list[str]:
    paths = []
    for number in range(12):
        path = folder / f"run-{number:02}.jsonl"
        started = f"2026-01-{number + 1:02}T00:00:00Z"
        first = schema.Run(experiment="t", command="", started=started, machine={}, versions={}, git={})
        with runfile.Writer.create(path, first) as writer:
            for backend, seconds in (("numpy", 0.1 * (1.3 if number >= slower_from else 1)), ("torch", 0.08)):
                rng = np.random.default_rng([number, *backend.encode()])
                ns = (1e9 * seconds * np.exp(rng.normal(0, 0.02, 6))).astype(int).tolist()
                writer.write(
                    schema.Measurement(
                        case="t/alexnet",
                        network="alexnet",
                        backend=backend,
                        device="cpu",
                        batch=8,
                        dtype="float32",
                        threads=1,
                        images=8,
                        flops=1,
                        launch=0,
                        samples_ns=ns,
                        round=list(range(6)),
                        verified=schema.Verified(before="HOLDS", after="HOLDS", error_multiple=1.1),
                    )
                )
        paths.append(str(path))
    return paths


def test_the_command_names_the_run(tmp_path: Path) -> None:
    paths = write_runs(tmp_path, slower_from=7)
    done = subprocess.run(
        [sys.executable, "-m", "mcnbench", "history", *reversed(paths), "--out", str(tmp_path / "h.png")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[0]
    assert line.startswith("t/alexnet numpy speed: +")
    assert 26 < float(line.split("+")[1].split("%")[0]) < 34  # 30% slower, known to the noise of 12 runs
    assert "since run-07 (2026-01-08T00:00:00Z)" in done.stdout
    assert "error" not in done.stdout
    assert (tmp_path / "h.png").read_bytes()[1:4] == b"PNG"


def test_what_is_not_verified_is_no_history(tmp_path: Path) -> None:
    [path] = write_runs(tmp_path, slower_from=0)[:1]
    samples = frames.samples(frames.read([path]))
    assert set(change_points.values(samples)["quantity"]) == {"speed", "error"}
    samples["state"] = "wrong"
    assert change_points.values(samples).empty
