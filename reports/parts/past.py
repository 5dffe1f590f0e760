"""The past: what several runs measured of the same case, over time."""

from __future__ import annotations

from functools import partial

import pandas as pd

from reports import change_points, figures, tables
from reports.parts.part import Drawing, Part
from reports.text import cell

LEGEND = [
    "change: of the time per sample, from the first run to the last; above 0% it became slower.",
    "Changes that began with a run are found as `mcnbench history` does, among the last 200 runs.",
]
MOST_RUNS = 200


def part(frame: pd.DataFrame) -> Part | None:
    """The part, if a case was measured by more than one of the runs."""
    history = tables.history(frame)
    if history.empty:
        return None
    table = summary(history)
    said = [f"{row['case']}, {row['backend']}: {cell(row, 'change')}." for row in table.to_dict("records")[:40]]
    drawing = Drawing(
        "time",
        "Time per sample over the runs",
        "Line chart of the time of each case beside its first run. Changes from first to last: " + " ".join(said),
        partial(figures.history, history),
        history,
        [
            (f"Time of each case on {backend} beside its first run.", partial(figures.history, ours))
            for backend, ours in list(history.groupby("backend", sort=False, observed=True))[:12]
        ],
    )
    return Part("history", "Over time", table, problems=changes(frame), legend=LEGEND, drawings=[drawing])


def changes(frame: pd.DataFrame) -> list[str]:
    """One sentence for each change of speed or error that began with some run."""
    points = change_points.values(frame)
    recent = points["run"].drop_duplicates(keep="last").tail(MOST_RUNS)
    found = change_points.changes(points[points["run"].isin(recent)])
    return [
        f"{row['case']}, {row['backend']}: {'time' if row['quantity'] == 'speed' else 'error'} {row['change']:+.1%} "
        f"since {row['run']}, from {row['before']:.3g} to {row['after']:.3g} times that of {change_points.PEER}."
        for row in found.to_dict("records")
    ]


def summary(history: pd.DataFrame) -> pd.DataFrame:
    """One row per case and backend: the number of runs, the time in the first and in the last, the change."""
    rows = []
    key = ["case", "backend", "batch", "machine", "device", "dtype", "threads", "workers"]
    for values, ours in history.groupby(key, sort=False, observed=True, dropna=False):
        first, last = ours["seconds"].iloc[0], ours["seconds"].iloc[-1]
        rows.append(
            dict(zip(key, values, strict=True))
            | {"runs": len(ours), "first": ours["started"].iloc[0], "last": ours["started"].iloc[-1]}
            | {"seconds_before": first, "seconds": last, "change": last / first - 1}
        )
    return pd.DataFrame(rows)
