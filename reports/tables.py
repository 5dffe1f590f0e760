"""Tables of numbers: pandas DataFrames made of long frames (`reports.frames`), one function per table.

A column of numbers that is uncertain has two neighbours, `<name>_low` and `<name>_high`: its 95% interval.
`reports.text` prints any of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from reports import published, statistics
from reports.frames import KEY

PEER = "torch"
PUBLISHED = ["CPU", "GPU", "cuDNN"]

_NUMBERS = [
    "seconds", "seconds_low", "seconds_high", "images_per_second", "images_per_second_low", "images_per_second_high",
    "ratio", "ratio_low", "ratio_high", "share", "peak_bytes", "error_ratio", "error_multiple",
]  # fmt: skip
_WHERE = ["machine", "device", "dtype", "threads"]


def newest(frame: pd.DataFrame) -> pd.DataFrame:
    """Of each case and backend the samples of the latest run only."""
    latest = frame.groupby([*KEY, "backend"], observed=True, sort=False, dropna=False)["run"].transform("last")
    return frame[frame["run"] == latest]


def measured(frame: pd.DataFrame, peer: str = PEER) -> pd.DataFrame:
    """What each backend's samples of each case say, launches taken together: one row per case and backend.

    Columns: case, network, batch, workers, machine, device, dtype, threads, backend, seconds (per sample),
    images_per_second, ratio (how many times as fast as `peer`, paired by round within one run), share (of the
    machine's matrix-product rate), peak_bytes, error_ratio (worst error / bound), error_multiple (error / error of
    torch float32), rounds, and the state, reason and receipt of `reports.frames`. Only the states "ok" and
    "foreign" have numbers. `attrs["peer"]` is the peer.
    """
    rows = []
    for key, case in newest(frame).groupby(KEY, observed=True, sort=False, dropna=False):
        about = dict(zip(KEY, key, strict=True))
        for backend, ours in case.groupby("backend", observed=True, sort=False):
            row = about | {"backend": backend, "receipt": _receipt(ours)} | _numbers(ours)
            if row["state"] == "ok" and backend == peer:
                row["ratio"] = 1.0
            elif row["state"] == "ok":
                beside = case[(case["backend"] == peer) & case["run"].isin(ours["run"]) & (case["state"] == "ok")]
                row |= _named("ratio", statistics.ratio(ours[ours["state"] == "ok"], beside))
            rows.append(row)
    columns = [
        "case",
        "network",
        "batch",
        "workers",
        *_WHERE,
        "backend",
        *_NUMBERS,
        "rounds",
        "state",
        "reason",
        "receipt",
    ]
    return _beside(pd.DataFrame(rows, columns=columns), peer)


def training_speed(frame: pd.DataFrame, peer: str = PEER) -> pd.DataFrame:
    """Table 1.1 of the MatConvNet manual with what was measured: one row per network, batch and backend.

    The columns are those of `measured`, with the published images/s as "published CPU", "published GPU" and "published
    cuDNN" (NaN where nothing was published; they are of the published batch, whatever was measured).
    """
    table = measured(frame[frame["experiment"] == "training-speed"], peer)
    rows = published.numbers()
    beside = rows[rows["experiment"] == "training-speed"].pivot(index="network", columns="column", values="value")
    for column in PUBLISHED:
        table[f"published {column}"] = table["network"].map(beside[column])
    order = {name: i for i, name in enumerate(dict.fromkeys(rows["network"]))}
    place = table["network"].map(order).fillna(np.inf)
    table = table.iloc[np.lexsort((table["batch"], table["device"].astype(str), place))].reset_index(drop=True)
    names = [f"published {column}" for column in PUBLISHED]
    numbers = [name for name in _NUMBERS if not name.startswith("seconds")]
    columns = ["network", "batch", *_WHERE, *names, "backend", *numbers, "rounds", "state", "reason", "receipt"]
    return _beside(table[columns], peer)


def cases(frame: pd.DataFrame, peer: str = PEER) -> pd.DataFrame:
    """Time per case and backend: the table for every experiment that has none of its own, and for other tools' results.

    The columns are those of `measured`.
    """
    table = measured(frame, peer)
    leave = ["images_per_second", "images_per_second_low", "images_per_second_high", "network", "peak_bytes"]
    return _beside(table.drop(columns=leave), peer)


def history(frame: pd.DataFrame) -> pd.DataFrame:
    """Cases that several runs measured: one row per run, case and backend, in the order of time.

    Columns: started (UTC), run, the columns of `reports.frames.KEY`, backend, seconds (median), images_per_second.
    """
    key = [*KEY, "backend"]
    good = frame[frame["state"].isin(["ok", "foreign"])]
    by = ["started", "run", *key]
    medians = good.groupby(by, observed=True, sort=False, dropna=False)[["seconds", "images"]].median().reset_index()
    runs = medians.groupby(key, observed=True, sort=False, dropna=False)["run"].transform("nunique")
    table = medians[runs > 1].copy()
    table["images_per_second"] = table.pop("images") / table["seconds"]
    for column in ("started", "run"):
        table[column] = table[column].astype(str)
    return table.sort_values([*key, "started"], kind="stable", ignore_index=True)


def _named(name: str, estimate: statistics.Estimate) -> dict[str, float]:
    return {name: estimate.median, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _beside(table: pd.DataFrame, peer: str) -> pd.DataFrame:
    """Notes with the table whom its ratios are to."""
    table.attrs["peer"] = peer
    return table


def _receipt(ours: pd.DataFrame) -> str:
    """What the backend says of itself: its version and what else matters, such as the memory format."""
    return "; ".join(str(receipt) for receipt in ours["receipt"].unique() if receipt)


def _numbers(ours: pd.DataFrame) -> dict[str, Any]:
    state, reason = combined_state(ours)
    if state not in ("ok", "foreign"):
        return {"rounds": 0, "state": state, "reason": reason}
    good = ours[ours["state"] == state]
    time = statistics.time(good)
    images, flops = float(good["images"].iloc[0]), float(good["flops"].iloc[0])
    speed = statistics.Estimate(images / time.median, images / time.high, images / time.low, time.rounds)
    return {
        **_named("seconds", time),
        **(_named("images_per_second", speed) if images else {}),
        "share": flops / time.median / good["limit"].max() if flops else np.nan,
        "peak_bytes": good["peak_bytes"].max(),
        "error_ratio": good["error_ratio"].max(),
        "error_multiple": good["error_multiple"].max(),
        "rounds": time.rounds,
        "state": state,
        "reason": reason,
    }


def combined_state(ours: pd.DataFrame) -> tuple[str, str]:
    """One state of several launches: wrong once is wrong; otherwise the launches that hold count, and what became of
    the others is the reason given."""
    launches = ours.drop_duplicates(["run", "launch"])
    for state in ("wrong", "ok", "foreign", "failed", "unverified", "running", "interrupted", "not measured"):
        found = launches[launches["state"] == state]
        if len(found) and state not in ("ok", "foreign"):
            return state, str(found["reason"].iloc[0])
        if len(found):
            others = launches[launches["state"] != state]
            first = f"{others['state'].iloc[0]}: {others['reason'].iloc[0]}" if len(others) else ""
            return state, f"{len(others)} of {len(launches)} launches {first}" if first else ""
    return "failed", "nothing was measured"


LEGEND = [
    "images/s: the median over rounds, with its 95% bootstrap interval; fewer than six rounds give their range.",
    "ratio: the peer's time over the backend's in the same round, median and 95% interval; above 1 is faster.",
    "of limit: the share of this machine's own matrix-product rate, measured in the same run. Multiply-adds are "
    "counted as direct convolution has them; Winograd's algorithm does with fewer, and can exceed 100%.",
    "error / bound: the worst error of a layer over the bound that holds for any order of summation; right is below 1.",
    "error / torch's: the error of the step's gradients over that of torch float32, both to float64.",
    "verified: held to its bounds before and after it was timed; what is not has no number.",
]
"""What the columns of `training_speed` mean."""


def interruptions(frame: pd.DataFrame) -> list[str]:
    """One sentence for each run that did not end by itself."""
    return [
        f"Run {run} was interrupted: what it had finished is shown."
        for run in frame.loc[frame["status"] == "interrupted", "run"].unique()
    ]
