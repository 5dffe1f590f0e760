"""Change points over many runs: since when is a backend faster or slower, more or less accurate, than it was?

A run gives one value per case and backend: for speed log(time / time of the peer in the same rounds), which cancels
machine and day, for error log(error over torch's). A series is cut where that lowers its squared deviations by more
than a penalty of 3 sigma^2 log n for each cut (PELT, Killick et al. 2012, by the package ruptures; sigma from the
differences of neighbours, so that the changes themselves do not count as noise). Of these candidates those are kept
whose two sides differ by a t-test at 0.02%, the doubtful ones being merged first. Columns of `changes`:

| column | meaning |
|---|---|
| case, backend, quantity | "speed" or "error" of which series |
| run, started | the first run after the change |
| before, after | the level on both sides: time over the peer's, error over torch's (medians) |
| change | after / before - 1: 0.1 is 10% slower, or 10% more error |
| runs | how many runs the series has |
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
import ruptures
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from reports.figures.style import FAINT, STYLE, colours

PEER = "torch"
SERIES = ["case", "backend", "device", "dtype", "batch", "threads"]
FEWEST = 5
"""Runs that a series must have: fewer cannot show a change of two runs against the noise of the rest."""
PENALTY = 3.0
SIGNIFICANT = 0.0002


def values(samples: pd.DataFrame) -> pd.DataFrame:
    """One row per series, run and quantity, in the order of time: the columns of SERIES, run, started, quantity, value.

    `samples` is that of `reports.frames.samples`; only what was verified counts.
    """
    right = samples[samples["state"] == "ok"]
    of_run = ["run", "started", *SERIES]
    rounds = right.groupby([*of_run, "launch", "round"], observed=True, sort=False)["seconds"].median().reset_index()
    peer = rounds[rounds["backend"] == PEER].drop(columns="backend")
    both = rounds[rounds["backend"] != PEER].merge(peer, on=list(peer.columns.drop("seconds")), suffixes=("", "_peer"))
    both["value"] = both["seconds"] / both["seconds_peer"]
    speed = both.groupby(of_run, observed=True, sort=False)["value"].median().reset_index()
    ours = right[right["backend"] != PEER]
    error = ours.groupby(of_run, observed=True, sort=False)["error_multiple"].median().rename("value").reset_index()
    points = pd.concat([speed.assign(quantity="speed"), error.assign(quantity="error")], ignore_index=True)
    points = points[np.isfinite(points["value"]) & (points["value"] > 0)]
    for name in (*SERIES, "run", "started"):
        if isinstance(points[name].dtype, pd.CategoricalDtype):
            points[name] = points[name].astype(str)
    columns = [*SERIES, "run", "started", "quantity", "value"]
    return pd.DataFrame(points, columns=columns).sort_values(["started", "run"], ignore_index=True)


def change_points(series: NDArray[np.float64]) -> list[int]:
    """Where the level of a series in logarithms changes: the index of the first value of each new level."""
    n = len(series)
    if n < FEWEST:
        return []
    noise = stats.median_abs_deviation(np.diff(series), scale="normal") / np.sqrt(2)
    # Of a series that repeats itself bit for bit any change is one; rounding is not.
    noise = max(float(noise), 1e-6)
    found = ruptures.Pelt(model="l2", min_size=2, jump=1).fit(series / noise)
    cuts = [int(cut) for cut in found.predict(pen=PENALTY * np.log(n))[:-1]]
    while cuts:
        p = [_p_value(series, noise, *around) for around in zip([0, *cuts], cuts, [*cuts[1:], n], strict=False)]
        if max(p) < SIGNIFICANT:
            break
        del cuts[int(np.argmax(p))]
    return cuts


def _p_value(series: NDArray[np.float64], noise: float, start: int, cut: int, end: int) -> float:
    """Of the hypothesis that both sides of a cut have one mean."""
    before, after = series[start:cut], series[cut:end]
    if max(np.ptp(before), np.ptp(after)) < noise:  # scipy warns of values that are all but equal
        return 0.0 if abs(before.mean() - after.mean()) > noise else 1.0
    return float(stats.ttest_ind(before, after).pvalue)


def changes(points: pd.DataFrame) -> pd.DataFrame:
    """All changes of all series; the columns are those of the module's docstring."""
    rows = []
    for _, series in points.groupby([*SERIES, "quantity"], sort=False):
        levels = np.log(series["value"].to_numpy(np.float64))
        cuts = [0, *change_points(levels), len(levels)]
        for start, cut, end in zip(cuts, cuts[1:], cuts[2:], strict=False):
            before, after = (float(np.exp(np.median(part))) for part in (levels[start:cut], levels[cut:end]))
            first = series.iloc[cut]
            rows.append(
                {
                    **{name: first[name] for name in ("case", "backend", "quantity", "run", "started")},
                    "before": before,
                    "after": after,
                    "change": after / before - 1,
                    "runs": len(series),
                }
            )
    columns = ["case", "backend", "quantity", "run", "started", "before", "after", "change", "runs"]
    return pd.DataFrame(rows, columns=columns)


def figure(points: pd.DataFrame, found: pd.DataFrame) -> Figure:
    """A panel per case and quantity: the values run by run, the level between changes, the changes named."""
    panels = list(points.groupby(["case", "quantity"], sort=False))
    with mpl.rc_context(STYLE):
        drawing = Figure(figsize=(7, 0.6 + 1.9 * len(panels)), layout="constrained")
        axes = drawing.subplots(len(panels), squeeze=False)[:, 0]
        tone = colours(sorted(points["backend"].unique()))
        for axis, ((case, quantity), panel) in zip(axes, panels, strict=True):
            runs = list(dict.fromkeys(panel["run"]))
            for backend, series in panel.groupby("backend", sort=False):
                where = np.array([runs.index(run) for run in series["run"]])
                axis.plot(where, series["value"], "o", ms=4, color=tone[str(backend)], label=str(backend))
                _levels(axis, where, series, tone[str(backend)])
            here = found[(found["case"] == case) & (found["quantity"] == quantity)]
            for run, size in zip(here["run"], here["change"], strict=True):
                at = runs.index(run) - 0.5
                axis.axvline(at, color=FAINT, ls=":", lw=1)
                axis.annotate(f"{size:+.0%}", (at, 1), xycoords=("data", "axes fraction"), fontsize=8)
            axis.set_title(f"{case}: {'time over ' + PEER + '’s' if quantity == 'speed' else 'error over torch’s'}")
            axis.set_xticks(range(len(runs)), runs, rotation=30, ha="right", fontsize=7)
            axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return drawing


def _levels(axis: Axes, where: NDArray[np.int64], series: pd.DataFrame, colour: str) -> None:
    level = series["value"].to_numpy(np.float64)
    cuts: Sequence[int] = [0, *change_points(np.log(level)), len(level)]
    for start, end in pairwise(cuts):
        axis.hlines(np.median(level[start:end]), where[start] - 0.4, where[end - 1] + 0.4, color=colour, lw=1.5)
