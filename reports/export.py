"""Writes measurements in the JSON of pytest-benchmark, so that the tools that read it work on ours.

Only what was verified before and after is written; what a run file knows beyond that format is in `extra_info`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from reports import frames, tables
from reports.runfile import RunFile

VERSION = "5.3.1"
"""The version of pytest-benchmark whose format this is."""


def pytest_benchmark(files: Sequence[RunFile]) -> str:
    """The newest verified measurements of the files as one result of pytest-benchmark."""
    frame = frames.samples(files)
    good = tables.newest(frame[frame["state"] == "ok"])
    key = [*frames.KEY, "backend"]
    benchmarks = [_benchmark(ours) for _, ours in good.groupby(key, observed=True, sort=False, dropna=False)]
    last = files[-1].run
    content = {
        "machine_info": {
            "node": str(last.machine.get("host", "")),
            "processor": frames.machine_name(files[-1]),
            "python_version": last.versions.get("python", ""),
            "cpu": {"brand_raw": frames.machine_name(files[-1])},
            "mcnbench": last.machine,
        },
        "commit_info": {"id": last.git.get("commit"), "dirty": last.git.get("changed")},
        "benchmarks": benchmarks,
        "datetime": last.started,
        "version": VERSION,
    }
    return json.dumps(content, indent=1) + "\n"


def _benchmark(ours: pd.DataFrame) -> dict[str, Any]:
    first = ours.iloc[0]
    about: dict[str, Any] = {
        name: str(first[name]) for name in ("run", "network", "backend", "device", "dtype", "receipt")
    }
    about |= {name: int(first[name]) for name in ("batch", "threads", "workers", "images", "flops")}
    key = "-".join(str(first[column]) for column in ("backend", *frames.KEY[3:]))
    name = f"{first['case']}[{key}]"
    return {
        "group": str(first["case"]),
        "name": name,
        "fullname": name,
        "params": None,
        "param": None,
        "extra_info": about,
        "options": {"disable_gc": False, "timer": "perf_counter_ns", "warmup": True},
        "stats": _stats(ours["seconds"].to_numpy(np.float64)),
    }


def _stats(data: np.ndarray) -> dict[str, Any]:
    q1, median, q3 = (float(q) for q in np.percentile(data, [25, 50, 75]))
    mean, deviation = float(data.mean()), float(data.std(ddof=1)) if len(data) > 1 else 0.0
    near = data[(data >= q1 - 1.5 * (q3 - q1)) & (data <= q3 + 1.5 * (q3 - q1))]
    outliers, far = len(data) - len(near), int((abs(data - mean) > deviation).sum())
    return {
        "min": float(data.min()), "max": float(data.max()), "mean": mean, "stddev": deviation, "rounds": len(data),
        "median": median, "iqr": q3 - q1, "q1": q1, "q3": q3, "iqr_outliers": outliers, "stddev_outliers": far,
        "outliers": f"{far};{outliers}", "ld15iqr": float(near.min()), "hd15iqr": float(near.max()), "ops": 1 / mean,
        "total": float(data.sum()), "data": [float(value) for value in data], "iterations": 1,
    }  # fmt: skip
