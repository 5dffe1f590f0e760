"""The parts of a report: what a set of run files holds, in the order in which a reader wants it.

Each module here makes one part, or None when the files do not hold it. `reports.folder` writes the parts to files,
`reports.page` to one HTML page.
"""

from __future__ import annotations

from collections.abc import Sequence

from reports import frames
from reports.parts import (
    agreement,
    checks,
    devices,
    faults,
    gate,
    layers,
    other,
    past,
    semantics,
    speed,
    trajectories,
)
from reports.parts.part import Drawing, Part
from reports.runfile import RunFile

__all__ = ["Drawing", "Part", "parts"]


def parts(files: Sequence[RunFile], running: bool = False) -> list[Part]:
    """What the files hold; with `running` the last one is still being written."""
    frame = frames.samples(files, running)
    verdicts = frames.verdicts(files)
    found = [
        speed.part(frame, files),
        layers.part(frame, files),
        devices.part(frame, files),
        devices.prediction(frame, files),
        checks.part(verdicts, files),
        checks.details(verdicts),
        agreement.part(files),
        agreement.details(files),
        semantics.part(files),
        trajectories.part(files),
        faults.part(files),
        faults.details(files),
        gate.comparison(files),
        gate.power(files),
        other.part(frame, files),
        past.part(frame),
    ]
    return [part for part in found if part is not None]
