"""Agreement of backends: each pair over all blocks, each block by itself, and the cases in which they differ most."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd

from reports import figures
from reports.parts.part import Drawing, Part, commands
from reports.runfile import RunFile

ORACLE = "float64"
KEY = ["block", "direction", "dtype", "backend", "other"]
LEGEND = [
    "error / bound: the largest difference, in units of the sum of both bounds; two right results are below 1. "
    "float64 is the oracle.",
    "bits: they agree in b bits where |a - b| is at most 2^-b of the result's largest magnitude; the fewest of all "
    "cases.",
    "same bits: the share of cases that are equal bit for bit.",
]


def lines(files: Sequence[RunFile]) -> pd.DataFrame:
    """What `mcnbench agree` found, a row per block, direction and pair: the newest of each."""
    rows = [line.model_dump(exclude={"kind"}) for file in files for line in file.agreements]
    return pd.DataFrame(rows).drop_duplicates(KEY, keep="last") if rows else pd.DataFrame()


def pairs(found: pd.DataFrame) -> pd.DataFrame:
    """A row per direction, dtype and pair: the worst over the blocks that both computed."""
    rows = []
    compared = found[found["examples"] > 0]
    for (direction, dtype, backend, other), ours in compared.groupby(KEY[1:], sort=False):
        rows.append(
            {
                "direction": direction,
                "dtype": dtype,
                "backend": backend,
                "other": other,
                "blocks": len(ours),
                "examples": int(ours["examples"].sum()),
                "worst_ratio": ours["worst_ratio"].max(),
                "bits": ours["worst_bits"].min(),
                "same": ours["equal"].sum() / ours["examples"].sum(),
                "worst block": ours.sort_values("worst_ratio")["block"].iloc[-1],
            }
        )
    return pd.DataFrame(rows)


def part(files: Sequence[RunFile]) -> Part | None:
    """The part, if there are comparisons of backends among the files."""
    found = lines(files)
    if found.empty or not (found["examples"] > 0).any():
        return None
    table = pairs(found)
    return Part(
        "agreement",
        "Do they agree?",
        table,
        _headline(table),
        [_problem(row) for row in _alone(found).to_dict("records")],
        LEGEND,
        [_matrix(table, which) for which in table["direction"].unique()] + [_blocks(found)],
        commands([file for file in files if file.agreements], "agree"),
    )


def details(files: Sequence[RunFile]) -> Part | None:
    """Each block, direction and pair in a row of its own, with the case of the largest difference."""
    found = lines(files)
    if found.empty:
        return None
    columns = [*KEY, "verdict", "examples", "worst_ratio", "median_ratio", "worst_bits", "equal", "reproduce"]
    return Part("agreements", "Every block and pair", found[columns].rename(columns={"worst_bits": "bits"}))


def _alone(found: pd.DataFrame) -> pd.DataFrame:
    """Who differs from float64, and pairs that differ although neither does."""
    bad = found[found["verdict"].isin(["DIFFER", "ERROR"])]
    known = {(row["case"], row["backend"]) for row in bad[bad["other"] == ORACLE].to_dict("records")}
    keep = [
        row["other"] == ORACLE or not {(row["case"], row["backend"]), (row["case"], row["other"])} & known
        for row in bad.to_dict("records")
    ]
    return bad.loc[pd.Series(keep, bad.index, dtype=bool)]


def _headline(table: pd.DataFrame) -> str:
    said = []
    for (backend, direction), ours in table[table["other"] == ORACLE].groupby(["backend", "direction"], sort=False):
        row = ours.sort_values("worst_ratio").iloc[-1]
        if row["worst_ratio"] > 1:
            said.append(f"{backend} {direction}: {row['worst block']} {row['worst_ratio']:.2g} times its bound")
    return f"Beyond its bound: {'; '.join(said)}." if said else "Every backend is within its bounds of float64."


def _problem(row: dict[Any, Any]) -> str:
    what = f"{row['block']} {row['direction']} {row['dtype']}, {row['backend']} and {row['other']}: {row['verdict']}"
    how = row["message"] if row["verdict"] == "ERROR" else f"{row['quantity']} by {row['worst_ratio']:.3g} bounds"
    return f"{what}, {how}; reproduced by {row['reproduce']}"


def _matrix(table: pd.DataFrame, direction: str) -> Drawing:
    ours = table[table["direction"] == direction]
    said = " ".join(
        f"{row['backend']}, {row['other']}: {row['bits']:.0f} bits, {row['worst_ratio']:.2g} of the bound."
        for row in ours.to_dict("records")
    )
    title = f"Who agrees with whom, {direction}"
    return Drawing(
        direction, title, f"Heat map, a square per pair of backends. {said}", partial(figures.agreement, ours), ours
    )


def _blocks(found: pd.DataFrame) -> Drawing:
    ours = found[(found["other"] == ORACLE) & (found["examples"] > 0)]
    worst = ours.groupby(["block", "backend"], sort=False)["worst_ratio"].max().reset_index()
    said = " ".join(f"{r['block']}, {r['backend']}: {r['worst_ratio']:.2g}." for r in worst.to_dict("records"))
    directions = " and ".join(ours["direction"].unique())
    words = f"Heat map of {directions} together, a row per block and a column per backend. {said}"
    title = f"Worst error over its bound, {directions}"
    return Drawing("blocks", title, words, partial(figures.errors_by_block, worst), worst)
