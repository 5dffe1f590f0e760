"""Training on several devices or processes: the manual's Table 1.2 with what was measured, and a model beyond it.

A step of P workers, each with n images of the batch, takes

    T(P) = c n + u + max(0, E(P) - h),      E(P) = k (2 (P - 1) a + 2 (P - 1) / P (bytes / k) / b)

c: seconds of an image, and u: of all else of a step, both measured with one worker, sub-batch by sub-batch. E: the
gradients' sum in k buckets by ring all-reduces (Patarasuk and Yuan 2009), of latency a and bandwidth b, fitted to
all-reduces of several sizes that nothing else went on beside; workers that read each other's memory move as many bytes.
h: seconds of E that the backward pass hid at the largest P measured; it is no longer where P is larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from reports import published, statistics, tables
from reports.runfile import RunFile
from reports.schema import Measurement

FURTHER = (8, 16, 64, 256, 1024)
"""Numbers of workers that are predicted."""

_SPEED = ["images_per_second", "images_per_second_low", "images_per_second_high"]
_SCALING = ["speed_up", "speed_up_low", "speed_up_high", "efficiency", "efficiency_low", "efficiency_high"]
_GROUP = ["network", "backend", "batch", "device", "machine"]


def multi_gpu(frame: pd.DataFrame, files: Sequence[RunFile] = ()) -> pd.DataFrame:
    """Table 1.2 of the MatConvNet manual: images/s on several devices or processes, one row per network, backend and
    number of workers, beside the published numbers ("published cuDNN"); published numbers of workers that were not
    measured have rows of their own, whose state is "not measured".

    speed_up is over the fewest workers that were measured, paired by round, and efficiency is speed_up over what as
    many more workers would give at best. Of `files` come communication (seconds that the sums of a step take by
    themselves) and hidden (the part of them that does not lengthen the step).
    """
    ours = frame[frame["experiment"] == "multi-gpu"]
    table = tables.measured(ours)
    table = pd.concat([table, _speed_ups(table, tables.newest(ours))], axis=1)
    table = table.merge(communication(files), on=["network", "backend", "batch", "device", "workers"], how="left")
    rows = published.numbers()
    rows = rows[(rows["experiment"] == "multi-gpu") & rows["network"].isin(table["network"])]
    known = rows.set_index(["network", "workers"])["value"]
    table["published cuDNN"] = [known.get(key, np.nan) for key in zip(table["network"], table["workers"], strict=True)]
    here = set(zip(table["network"], table["workers"], strict=True))
    missing = [
        {"network": row.network, "batch": row.batch, "workers": row.workers, "published cuDNN": row.value}
        | {"rounds": 0, "state": "not measured", "reason": ""}
        for row in rows.itertuples()
        if (row.network, row.workers) not in here
    ]
    if missing:
        table = pd.concat([table, pd.DataFrame(missing)], ignore_index=True)
    table["threads"] = table["threads"].astype("Int64")
    table = table.sort_values(["network", "backend", "workers"], kind="stable", ignore_index=True)
    where = ["machine", "device", "dtype", "threads", "published cuDNN", "backend"]
    last = ["communication", "hidden", "peak_bytes", "rounds", "state", "reason", "receipt"]
    return table[["network", "batch", "workers", *where, *_SPEED, *_SCALING, *last]]


def _speed_ups(table: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """The columns `_SCALING` for each row of the table."""
    good = samples[samples["state"] == "ok"]
    fewest = table[table["state"] == "ok"].groupby(_GROUP, observed=True)["workers"].min()
    rows = []
    for row in table.to_dict("records"):
        first = fewest.get(tuple(row[key] for key in _GROUP))
        if row["state"] != "ok" or first is None:
            rows.append(dict.fromkeys(_SCALING, np.nan))
            continue
        same = good[np.logical_and.reduce([good[key] == row[key] for key in _GROUP])]
        found = statistics.ratio(same[same["workers"] == row["workers"]], same[same["workers"] == first])
        if row["workers"] == first:
            found = statistics.Estimate(1.0, np.nan, np.nan, found.rounds)
        more = row["workers"] / first
        values = [found.median, found.low, found.high]
        rows.append(dict(zip(_SCALING, [*values, *(value / more for value in values)], strict=True)))
    return pd.DataFrame(rows, columns=_SCALING, index=table.index)


def communication(files: Sequence[RunFile]) -> pd.DataFrame:
    """What was measured of the sums: network, backend, batch, device, workers, communication (seconds), hidden."""
    rows = {}
    for m in _pooled(files):
        found = m.details.get("communication")
        if found:
            rows[m.network, m.backend, m.batch, m.device, m.workers] = (_seconds(found["exchange_ns"]), _hidden(m))
    columns = ["network", "backend", "batch", "device", "workers"]
    frame = pd.DataFrame([[*key, *value] for key, value in rows.items()], columns=[*columns, "communication", "hidden"])
    return frame.astype({"batch": "int64", "workers": "int64", "communication": float, "hidden": float})


def notes(files: Sequence[RunFile]) -> list[str]:
    """What the runs say of themselves that a reader of the table must know, a sentence each."""
    said = [f"{note[:1].upper()}{note[1:]}." for m in _measured(files) for note in m.details.get("notes", [])]
    return list(dict.fromkeys(said))


@dataclass(frozen=True)
class Model:
    """The constants of the module's formula; `last` is the largest number of workers that they were fitted to."""

    image: float
    rest: float
    latency: float
    per_byte: float
    bytes: int
    buckets: int
    hidden: float
    """Seconds."""
    last: int

    def sums(self, workers: int) -> float:
        """E(P), in seconds."""
        if workers == 1:
            return 0.0
        trips, part = _ring(workers)
        return self.buckets * trips * self.latency + part * self.bytes * self.per_byte

    def step(self, workers: int, images: float) -> float:
        """T(P) with so many images for each worker, in seconds."""
        return self.image * images + self.rest + max(0.0, self.sums(workers) - self.hidden)


def fit(measurements: Sequence[Measurement]) -> Model | None:
    """The model of one network on one backend; None without a measurement of one worker and one of several."""
    good = sorted((m for m in measurements if _usable(m)), key=lambda m: m.workers)
    several = [m for m in good if m.workers > 1 and m.details.get("communication")]
    if not good or good[0].workers != 1 or not several:
        return None
    alone = good[0].details["ranks"][0]
    parts = [sum(step) for step in alone["sub_batch_ns"]]
    rest = median(max(0, ns - part) for ns, part in zip(alone["samples_ns"], parts, strict=True))
    places, values = [], []
    for m in several:
        for found in m.details["communication"]["all_reduce"]:
            trips, part = _ring(m.workers)
            seconds = _seconds(found["ns"])
            places.append([trips / seconds, part * found["bytes"] / seconds])  # so that relative errors count
            values.append(1.0)
    matrix, wanted = np.array(places), np.array(values)
    scale = matrix.max(axis=0)
    (latency, per_byte), _ = nnls(matrix / scale, wanted)
    last = several[-1]
    found = last.details["communication"]
    return Model(
        image=1e-9 * median(parts) / sum(alone["sub_batches"]),
        rest=1e-9 * rest,
        latency=latency / scale[0],
        per_byte=per_byte / scale[1],
        bytes=found["bytes"],
        buckets=found["buckets"],
        hidden=float(np.nan_to_num(_hidden(last))) * _seconds(found["exchange_ns"]),
        last=last.workers,
    )


def predictions(files: Sequence[RunFile]) -> pd.DataFrame:
    """What the model says: one row per network, backend and number of workers.

    Further workers (`FURTHER`) have a sub-batch each, so that the batch grows with them. The largest measured number is
    predicted, too, from what the fewer ones told, and of that number itself only from all-reduces where no fewer had
    any: its row has `measured` (images/s), which the model did not see. Columns: network, backend, workers, batch,
    device, predicted (images/s), measured, off (of the prediction, relative), efficiency (of as many times one worker
    with the same share).
    """
    rows = []
    groups: dict[tuple[str, str, int, str], list[Measurement]] = {}
    for m in _pooled(files):
        groups.setdefault((m.network, m.backend, m.batch, m.device), []).append(m)
    for (network, backend, batch, device), found in groups.items():
        model = fit(found)
        if model is None:
            continue
        about = {"network": network, "backend": backend, "device": device}
        held_out = _held_out(found, model)
        if held_out is not None:
            rows.append(about | {"batch": batch} | held_out)
        each = max(size for m in found if _usable(m) for rank in m.details["ranks"] for size in rank["sub_batches"])
        one = model.step(1, each)
        for workers in FURTHER:
            if workers > model.last:
                step = model.step(workers, each)
                rows.append(
                    about
                    | {"workers": workers, "batch": each * workers, "predicted": each * workers / step}
                    | {"measured": np.nan, "off": np.nan, "efficiency": one / step}
                )
    columns = ["network", "workers", "batch", "device", "backend", "predicted", "measured", "off", "efficiency"]
    return pd.DataFrame(rows, columns=columns)


def _held_out(found: Sequence[Measurement], model: Model) -> dict[str, Any] | None:
    """The largest number of workers as predicted without its steps; nothing of them is known to be hidden."""
    last = max((m for m in found if _usable(m)), key=lambda m: m.workers)
    fewer = fit([m for m in found if m.workers < last.workers])
    if fewer is None:
        fewer = replace(model, hidden=0.0)
    images = max(sum(rank["sub_batches"]) for rank in last.details["ranks"])
    one, step = fewer.step(1, images), fewer.step(last.workers, images)
    speed = last.images / (1e-9 * median(last.samples_ns))
    predicted = last.images / step
    return {
        "workers": last.workers,
        "predicted": predicted,
        "measured": speed,
        "off": predicted / speed - 1,
        "efficiency": one / step,
    }


def _measured(files: Sequence[RunFile]) -> list[Measurement]:
    return [m for file in files if file.run.experiment == "multi-gpu" for m in file.measurements]


def _pooled(files: Sequence[RunFile]) -> list[Measurement]:
    """One of each network, backend, batch, device and number of workers, the last file's: all good launches together,
    or one that failed."""
    found: dict[tuple[Any, ...], Measurement] = {}
    for file in files:
        launches: dict[tuple[Any, ...], list[Measurement]] = {}
        for m in _measured([file]):
            launches.setdefault((m.network, m.backend, m.batch, m.device, m.workers), []).append(m)
        found |= {key: _together([m for m in each if _usable(m)] or each[-1:]) for key, each in launches.items()}
    return list(found.values())


def _together(launches: Sequence[Measurement]) -> Measurement:
    """As if their samples were of one launch."""
    first, *others = launches
    if not others:
        return first
    of_ranks = zip(*(m.details["ranks"] for m in launches), strict=True)
    details = first.details | {"ranks": [_joined(ranks, "samples_ns", "sub_batch_ns") for ranks in of_ranks]}
    if "communication" in details:
        each = [m.details["communication"] for m in launches]
        of_sizes = zip(*(one["all_reduce"] for one in each), strict=True)
        reduced = {"all_reduce": [_joined(sizes, "ns") for sizes in of_sizes]}
        details["communication"] = _joined(each, *(key for key in each[0] if key.endswith("_ns"))) | reduced
    samples = [ns for m in launches for ns in m.samples_ns]
    return first.model_copy(update={"samples_ns": samples, "round": list(range(len(samples))), "details": details})


def _joined(parts: Sequence[dict[str, Any]], *names: str) -> dict[str, Any]:
    """The first one, with the lists of all under these names."""
    return parts[0] | {name: [value for part in parts for value in part[name]] for name in names}


def _usable(m: Measurement) -> bool:
    return m.error is None and m.verified.holds and bool(m.samples_ns) and "ranks" in m.details


def _hidden(m: Measurement) -> float:
    """The part of the sums that does not lengthen the step: 1 - (step - step without sums) / sums, within 0 and 1.

    NaN where the difference of the two, which were timed in turn, is not known to within what the sums take.
    """
    found = m.details["communication"]
    if "whole_ns" not in found:
        return np.nan
    longer = statistics.estimate(1e-9 * (np.array(found["whole_ns"], float) - np.array(found["alone_ns"], float)))
    sums = _seconds(found["exchange_ns"])
    known = (longer.high - longer.low) / 2 <= sums
    return float(np.clip(1 - longer.median / sums, 0, 1)) if known else np.nan


def _ring(workers: int) -> tuple[int, float]:
    """How often a ring all-reduce sends, one after the other, and how many times its bytes each worker sends."""
    return 2 * (workers - 1), 2 * (workers - 1) / workers


def _seconds(ns: Sequence[int]) -> float:
    return 1e-9 * median(ns)
