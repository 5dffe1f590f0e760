"""What became of one launch so far: its samples, what verification found, and in the end its line of the run file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mcnbench.measure.judging import both
from reports import schema


@dataclass(kw_only=True)
class Outcome:
    """Of a backend's worker, or of a team of them. One with nothing but an error is of a launch that was left out."""

    launch: schema.Launch
    samples: list[int] = field(default_factory=list)
    """Nanoseconds."""
    rounds: list[int] = field(default_factory=list)
    """Of each sample."""
    warmup: list[int] = field(default_factory=list)
    verified: schema.Verified = field(default_factory=schema.Verified)
    peak: int | None = None
    details: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    """What it failed of."""

    @property
    def alive(self) -> bool:
        """Whether it may go on: nothing failed, and its first result was not wrong."""
        return self.error is None and self.verified.before in (None, "HOLDS")

    def add(self, number: int, ns: int) -> schema.Sample:
        """Adds a sample of that round; returns its line."""
        self.samples.append(ns)
        self.rounds.append(number)
        launch = self.launch
        return schema.Sample(case=launch.case, backend=launch.backend, launch=launch.launch, round=number, ns=ns)

    def conclude(self, found: schema.Verified, fresh: bool) -> None:
        """Adds what a check found, whose verdict is `before`, to what the check before the timing found."""
        self.verified = both(self.verified, found, fresh)

    def measurement(self) -> schema.Measurement:
        """Its line."""
        return schema.Measurement(
            **self.launch.model_dump(exclude={"kind"}),
            samples_ns=self.samples,
            round=self.rounds,
            warmup_ns=self.warmup,
            verified=self.verified,
            peak_bytes=self.peak,
            details=self.details,
            error=self.error,
        )
