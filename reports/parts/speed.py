"""Training speed: the manual's Table 1.1 with today's columns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from reports import figures, published, tables
from reports.parts.part import Drawing, Part, commands, oddities
from reports.runfile import RunFile
from reports.text import cell, reasons, receipts


def part(frame: pd.DataFrame, files: Sequence[RunFile]) -> Part | None:
    """The part, if a run of training-speed is among the files."""
    mine = [file for file in files if file.run.experiment == "training-speed"]
    peer = str(mine[-1].run.settings.get("peer", tables.PEER)) if mine else tables.PEER
    table = tables.training_speed(frame, peer)
    if table.empty:
        return None
    drawings = [
        Drawing(
            "images-per-second",
            "Images per second of training",
            _speeds_in_words(table),
            partial(figures.images_per_second, table),
            table,
            [(_speeds_in_words(panel), partial(figures.images_per_second, panel, 1)) for panel in _panels(table)],
        )
    ]
    if table.loc[table["backend"] != peer, "ratio"].notna().any():
        drawings.append(
            Drawing(
                "ratio",
                f"Speed beside {peer}",
                _ratios_in_words(table, peer),
                partial(figures.ratios, table, peer),
                table[["network", "batch", "backend", "ratio", "ratio_low", "ratio_high", "rounds", "state"]],
            )
        )
    return Part(
        "training-speed",
        "Training speed",
        table,
        _headline(table, peer),
        [*reasons(table), *tables.interruptions(frame[frame["experiment"] == "training-speed"]), *oddities(mine)],
        receipts(table) + tables.LEGEND + published.sources("training-speed", _published(table)),
        drawings,
        commands(files, "training-speed"),
    )


def _headline(table: pd.DataFrame, peer: str) -> str:
    """Where each backend stands beside the peer: the range over the networks, not a mean, which would hide them."""
    said = []
    for backend, ours in table[table["backend"] != peer].groupby("backend", sort=False, observed=True):
        known = ours["ratio"].dropna()
        if len(known):
            low, high = (f"{value:.2f}" for value in (known.min(), known.max()))
            times = low if low == high else f"{low} to {high}"
            said.append(f"{backend} trains {times} times as fast as {peer} ({len(known)} of {len(ours)} cases)")
        if (ours["state"] == "wrong").any():
            said.append(f"{backend} is wrong in {(ours['state'] == 'wrong').sum()} of {len(ours)} cases")
    return f"{'; '.join(said)}." if said else ""


def _published(table: pd.DataFrame) -> list[str]:
    """The published columns that the table shows."""
    names = [str(name) for name in table.columns if table[name].notna().any()]
    return [name.removeprefix("published ") for name in names if name.startswith("published ")]


def _panels(table: pd.DataFrame) -> list[pd.DataFrame]:
    return [panel for _, panel in table.groupby(figures.PANEL, sort=False, observed=True)][: figures.MOST_PANELS]


def _speeds_in_words(table: pd.DataFrame) -> str:
    said = []
    for panel in _panels(table):
        first = panel.iloc[0]
        bars = [f"{row['backend']} {cell(row, 'images_per_second')}" for row in panel.to_dict("records")]
        bars += [
            f"{c} {cell(first.to_dict(), str(c))}"
            for c in panel.columns
            if str(c).startswith("published ") and pd.notna(first[c])
        ]
        said.append(f"{published.title(str(first['network']))}, batch {first['batch']}: {', '.join(bars)}.")
    return "Bar chart of images per second. " + " ".join(said)


def _ratios_in_words(table: pd.DataFrame, peer: str) -> str:
    rows = [row for row in table.to_dict("records") if row["backend"] != peer][:60]
    said = [f"{published.title(str(row['network']))}, {row['backend']}: {cell(row, 'ratio')}." for row in rows]
    return f"Bar chart of times as fast as {peer}, with 95% intervals. " + " ".join(said)
