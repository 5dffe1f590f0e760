"""From run files to tables, figures and pages, with pandas and matplotlib; works without torch.

import reports
from reports import figures, tables, text

frame = reports.load(["runs/training-speed-20260101T120000Z.jsonl"])
print(text.as_text(tables.training_speed(frame)))
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def load(paths: Iterable[Path | str]) -> pd.DataFrame:
    """All samples of the run files in long form, one row per timed step; `reports.frames` documents the columns.

    Raises `reports.runfile.RunFileError` (a ValueError) naming file, line and key of what cannot be read.
    """
    from reports import frames

    return frames.samples(frames.read(paths))
