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


def newest(frame: pd.DataFrame) -> pd.DataFrame:
    """Of each case and backend the samples of the latest run only."""
    latest = frame.groupby([*KEY, "backend"], observed=True, sort=False, dropna=False)["run"].transform("last")
    return frame[frame["run"] == latest]


def training_speed(frame: pd.DataFrame, peer: str = PEER) -> pd.DataFrame:
    """Table 1.1 of the MatConvNet manual with what was measured: one row per network, batch and backend.

    Columns: network, batch, device, threads, the published images/s as "published CPU", "published GPU" and
    "published cuDNN" (NaN where nothing was published; of the published batch, whatever was measured), backend,
    images_per_second, ratio (how many times as fast as `peer`, paired by round within one run), share (of the
    machine's matrix-product rate), peak_bytes, error_ratio (worst error / bound), error_multiple (error / error of
    torch float32), rounds, and the state and reason of `reports.frames`. A row whose state is not "ok" has no numbers.
    """
    single = frame[frame["experiment"] == "training-speed"]
    return _speed_rows(newest(single), peer, [])


def _speed_rows(frame: pd.DataFrame, peer: str, more: list[str]) -> pd.DataFrame:
    rows = []
    several_machines = frame["machine"].nunique() > 1
    for key, case in frame.groupby(KEY, observed=True, sort=False, dropna=False):
        about = dict(zip(KEY, key, strict=True))
        shown = {name: about[name] for name in ("network", "batch", "device", "dtype", "threads", *more)}
        if several_machines:
            shown["machine"] = about["machine"]
        for backend, ours in case.groupby("backend", observed=True, sort=False):
            row = {**shown, **_published(about), "backend": backend, **_measured(ours)}
            if row["state"] == "ok" and backend == peer:
                row["ratio"] = 1.0
            elif row["state"] == "ok":
                beside = case[(case["backend"] == peer) & case["run"].isin(ours["run"]) & (case["state"] == "ok")]
                row |= _named("ratio", statistics.ratio(ours[ours["state"] == "ok"], beside))
            rows.append(row)
    table = pd.DataFrame(rows, columns=[*_columns(more, several_machines)])
    order = table["network"].map({name: i for i, name in enumerate(_networks())}).fillna(np.inf)
    return table.iloc[np.lexsort((table["batch"], table["device"].astype(str), order))].reset_index(drop=True)


def _columns(more: list[str], several_machines: bool) -> list[str]:
    return [
        "network", "batch", "device", "dtype", "threads", *more, *(["machine"] if several_machines else []),
        *(f"published {column}" for column in PUBLISHED), "backend",
        "images_per_second", "images_per_second_low", "images_per_second_high",
        "ratio", "ratio_low", "ratio_high", "share", "peak_bytes", "error_ratio", "error_multiple",
        "rounds", "state", "reason",
    ]  # fmt: skip


PUBLISHED = ["CPU", "GPU", "cuDNN"]


def _networks() -> list[str]:
    return list(dict.fromkeys(published.numbers()["network"]))


def _published(about: dict[str, Any]) -> dict[str, float]:
    """The published numbers of the network; the source's batch is its own."""
    rows = published.numbers()
    rows = rows[(rows["network"] == about["network"]) & (rows["experiment"] == "training-speed")]
    return {f"published {row.column}": row.value for row in rows.itertuples() if row.column in PUBLISHED}


def _named(name: str, estimate: statistics.Estimate) -> dict[str, float]:
    return {name: estimate.median, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def _measured(ours: pd.DataFrame) -> dict[str, Any]:
    """What one backend's measurements of one case say, launches taken together."""
    state, reason = combined_state(ours)
    if state != "ok":
        return {"rounds": 0, "state": state, "reason": reason}
    good = ours[ours["state"] == "ok"]
    speed = statistics.speed(good, float(good["images"].iloc[0]))
    rate = speed.median / float(good["images"].iloc[0]) * float(good["flops"].iloc[0])
    return {
        **_named("images_per_second", speed),
        "share": rate / float(good["limit"].max()),
        "peak_bytes": good["peak_bytes"].max(),
        "error_ratio": good["error_ratio"].max(),
        "error_multiple": good["error_multiple"].max(),
        "rounds": speed.rounds,
        "state": state,
        "reason": reason,
    }


def combined_state(ours: pd.DataFrame) -> tuple[str, str]:
    """One state of several launches: wrong once is wrong; otherwise the launches that hold count, and what became of
    the others is the reason given."""
    launches = ours.drop_duplicates(["run", "launch"])
    for state in ("wrong", "ok", "failed", "unverified", "interrupted"):
        found = launches[launches["state"] == state]
        if len(found):
            if state != "ok":
                return state, str(found["reason"].iloc[0])
            others = launches[launches["state"] != "ok"]
            first = f"{others['state'].iloc[0]}: {others['reason'].iloc[0]}" if len(others) else ""
            return "ok", f"{len(others)} of {len(launches)} launches {first}" if first else ""
    return "failed", "nothing was measured"


LEGEND = [
    "images/s: the median over rounds, with its 95% bootstrap interval; fewer than six rounds give their range.",
    "ratio: the peer's time over the backend's in the same round, median and 95% interval; above 1 is faster.",
    "of limit: the share of this machine's own matrix-product rate, measured in the same run.",
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
