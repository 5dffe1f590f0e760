"""Figures of the tables of `reports.tables`: one function per figure, DataFrame -> matplotlib Figure."""

from reports.figures.agreement import agreement, errors_by_block
from reports.figures.bars import MOST_PANELS, PANEL, images_per_second, ratios
from reports.figures.curves import history, predicted, scaling
from reports.figures.errors import errors
from reports.figures.style import COLOURS, FAINT, FORMATS, INK, save
from reports.figures.trajectories import trajectories

__all__ = [
    "COLOURS",
    "FAINT",
    "FORMATS",
    "INK",
    "MOST_PANELS",
    "PANEL",
    "agreement",
    "errors",
    "errors_by_block",
    "history",
    "images_per_second",
    "predicted",
    "ratios",
    "save",
    "scaling",
    "trajectories",
]  # fmt: skip
