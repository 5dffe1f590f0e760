"""A part of a report: one chapter with its table, its figures, its sentences and the commands that reproduce it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from reports.runfile import RunFile


@dataclass(frozen=True)
class Drawing:
    """A figure, what it says in words (for who cannot see it), and the numbers in it."""

    key: str
    title: str
    words: str
    draw: Callable[[], Figure]
    data: pd.DataFrame
    panels: Sequence[tuple[str, Callable[[], Figure]]] = ()
    """The same in parts that fit a narrow screen, each with its words; empty if the whole does."""


@dataclass(frozen=True)
class Part:
    """One chapter of a report; `key` is also the name of its files."""

    key: str
    title: str
    table: pd.DataFrame
    headline: str = ""
    """The result in one sentence."""
    problems: Sequence[str] = ()
    """What failed, was wrong or interrupted, one sentence each."""
    legend: Sequence[str] = ()
    """What the columns mean and where the published numbers come from."""
    drawings: Sequence[Drawing] = ()
    commands: Sequence[str] = ()
    """What reproduces it."""


def commands(files: Sequence[RunFile], *experiments: str) -> list[str]:
    """The commands that made the runs of these experiments, each once."""
    made = [file.run.command for file in files if file.run.experiment in experiments and file.run.command]
    return list(dict.fromkeys(made))


def oddities(files: Sequence[RunFile]) -> list[str]:
    """What the newest of the runs recorded as odd about its machine, a sentence each."""
    found = files[-1].run.machine.get("oddities", []) if files else []
    return [f"The machine: {sentence}." for sentence in found] if isinstance(found, list) else []
