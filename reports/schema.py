"""The lines of a run file: one JSON object a line. `reports.runfile` reads them, `mcnbench.runfile` writes them.

The first line is the run. A launch (one case in a fresh worker of one backend) is announced by a `launch` line and
followed by a `sample` line per timed step, so that a killed run keeps all it measured, and by one `measurement` line
that repeats all samples and adds what verification found. A case visited several times has several launches; its
samples are paired with the peer's by (launch, round).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

SCHEMA = 1

Count = Annotated[int, Field(ge=0, lt=2**53)]
Nanoseconds = Annotated[int, Field(gt=0, lt=2**53)]
Verdict = Literal["HOLDS", "VIOLATED", "MISTRUSTED", "UNSUPPORTED", "ERROR"]


class Line(BaseModel):
    """One line of a run file. Keys that are not named here are refused, so that none is dropped in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class Run(Line):
    """The first line: what was run, when, on what."""

    kind: Literal["run"] = "run"
    schema_version: int = Field(default=SCHEMA, alias="schema")
    experiment: str
    command: str
    started: str
    """UTC, ISO 8601; so is every time in the file."""
    machine: dict[str, Any]
    versions: dict[str, str]
    git: dict[str, Any]
    environment: dict[str, Any] = {}
    """Environment variables of the workers: those `removed` and those `set`, with their values."""
    settings: dict[str, Any] = {}
    """What the run was asked to do; `--resume` goes on with it."""


class Resume(Line):
    """Written where `--resume` goes on after an interruption."""

    kind: Literal["resume"] = "resume"
    started: str
    command: str


class Limit(Line):
    """The machine's own matrix-product rate, measured in this run with the threads that the backends use."""

    kind: Literal["limit"] = "limit"
    device: str
    dtype: str
    threads: Count
    flops_per_second: float = Field(gt=0, allow_inf_nan=False)
    """The best rate seen; a multiply-add counts 2."""
    bytes_per_second: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """The best rate at which large arrays were copied, bytes read and written; None where it was not measured."""
    how: str = ""


class Launch(Line):
    """One case about to be measured in a fresh worker of one backend."""

    kind: Literal["launch"] = "launch"
    case: str
    network: str
    backend: str
    device: str
    batch: Count
    dtype: str
    threads: Count
    workers: Count = 1
    images: Count
    """Images per sample."""
    flops: Count
    """Arithmetic per sample; a multiply-add counts 2."""
    launch: Count
    """Counts the visits to this case from 0; samples of two backends are paired within a launch."""
    receipt: str = ""
    """What the backend says of itself: versions, threads, the memory format in use."""


class Sample(Line):
    """One timed step."""

    kind: Literal["sample"] = "sample"
    case: str
    backend: str
    launch: Count
    round: Count
    ns: Nanoseconds


class Verified(Line):
    """What verification found on the first result of the worker and, on fresh data, after the last sample."""

    before: Verdict | None = None
    after: Verdict | None = None
    error_ratio: float | None = None
    """The worst error over its bound; right is below 1."""
    error_multiple: float | None = None
    """The error of the step's gradients over that of torch float32, both to float64."""
    message: str | None = None
    """What was wrong, where; None if nothing was."""

    @property
    def holds(self) -> bool:
        """Right before and after: only then may the times enter a table."""
        return self.before == "HOLDS" and self.after == "HOLDS"


class Measurement(Launch):
    """One case on one backend in one launch, with all its samples."""

    kind: Literal["measurement"] = "measurement"  # type: ignore[assignment]  # a measurement has all keys of its launch
    samples_ns: list[Nanoseconds]
    round: list[Count]
    warmup_ns: list[Nanoseconds] = []
    verified: Verified = Verified()
    peak_bytes: Count | None = None
    """Of the device, where there is one; else of the process."""
    details: dict[str, Any] = {}
    """Of a device: its clocks and what held them back; of cuDNN: the plans that it chose, and how they compute."""
    error: str | None = None
    """Why there is no time: the worker crashed, hung, ran out of memory, or the backend lacks a block."""
    interrupted: bool = False
    """The run ended before this measurement was complete; set by the reader, never written."""

    @model_validator(mode="after")
    def _one_round_per_sample(self) -> Self:
        if len(self.round) != len(self.samples_ns):
            raise ValueError(f"{len(self.samples_ns)} samples_ns, but {len(self.round)} values in round")
        return self


class BlockVerdict(Line):
    """What `mcnbench check` concluded on one property of one block."""

    kind: Literal["verdict"] = "verdict"
    case: str
    block: str
    backend: str
    dtype: str
    property: str
    verdict: Verdict
    examples: Count
    worst_ratio: float | None = None
    """The worst error over its bound; None for a property without one."""
    error_multiple: float | None = None
    """The root mean square of error over bound, divided by that of torch float32 on the same cases."""
    message: str | None = None
    reproduce: str | None = None


class Trial(Line):
    """One trial of the gate on a slow-down of known size."""

    kind: Literal["trial"] = "trial"
    case: str
    backend: str
    trial: int
    slowdown: float
    """The extra work in every step of head, as a fraction of it; 0 for identical code."""
    decision: Literal["REGRESSED", "IMPROVED", "SAME", "AMBIGUOUS"]
    reason: str = ""
    effect: float | None
    """log(time of head / time of base); None if the machine was too busy for any."""
    standard_error: float | None
    replicates: int
    launches: int
    seconds: float
    median_ns: dict[str, int | None]
    """Of all steps of "base" and of "head"."""
    load: float
    """The machine's load average of the last minute."""


class Agreement(Line):
    """What `mcnbench agree` found of two backends, or of one and the oracle ("float64"), in one block and direction."""

    kind: Literal["agreement"] = "agreement"
    case: str
    block: str
    direction: Literal["forward", "backward"]
    dtype: str
    backend: str
    other: str
    verdict: Literal["AGREE", "DIFFER", "UNSUPPORTED", "ERROR"]
    """DIFFER: by more than two right results can, or one and float64."""
    examples: Count = 0
    """Cases that both computed."""
    refused: Count = 0
    """Cases that one of them refused."""
    worst_ratio: float | None = None
    """The largest difference over the sum of both bounds; of the oracle the bound is 0."""
    median_ratio: float | None = None
    """The median over the cases of a case's largest."""
    worst_bits: float | None = None
    """They agree in b bits where |a - b| <= 2^-b of the largest magnitude of the float64 result."""
    median_bits: float | None = None
    equal: Count = 0
    """Cases in which they are the same bit for bit; the oracle's result is rounded to the dtype."""
    quantity: str | None = None
    """Of the worst difference: "y", "dx", ..."""
    message: str | None = None
    reproduce: str | None = None
    """The case of the worst difference."""


class Semantic(Line):
    """What a backend's own operation does where frameworks mean different things, found by asking it."""

    kind: Literal["semantic"] = "semantic"
    probe: str
    question: str
    backend: str
    receipt: str
    answer: str
    reason: str | None = None
    """Why there is no answer."""
    dialects: list[str] = []
    """Those that say the same."""
    reproduce: str
    """The case."""


class StepAgreement(Line):
    """A whole step of a network on a backend and on another, or in float64, from the same parameters."""

    kind: Literal["step"] = "step"
    case: str
    network: str
    backend: str
    other: str
    batch: Count
    verdict: Literal["AGREE", "DIFFER", "UNSUPPORTED", "ERROR"]
    loss: float | None = None
    """The relative difference of the losses."""
    gradient: float | None = None
    """The largest relative difference, in the 2-norm, of a parameter's gradient."""
    parameter: str | None = None
    """Whose gradient that is."""
    message: str | None = None


class Trajectory(Line):
    """Training on a backend beside another, or float64, from the same parameters on the same batches."""

    kind: Literal["trajectory"] = "trajectory"
    case: str
    network: str
    backend: str
    other: str
    distance: list[float]
    """After each step |a - b| / |b| of all parameters, in the 2-norm."""
    accuracy: float
    """Of the backend after the last step, on images that were not trained on; its share that is right."""
    other_accuracy: float


class End(Line):
    """The last line."""

    kind: Literal["end"] = "end"
    finished: str
    status: Literal["complete", "interrupted"]


KINDS: dict[str, type[Line]] = {
    "run": Run,
    "resume": Resume,
    "limit": Limit,
    "launch": Launch,
    "sample": Sample,
    "measurement": Measurement,
    "verdict": BlockVerdict,
    "trial": Trial,
    "agreement": Agreement,
    "semantic": Semantic,
    "step": StepAgreement,
    "trajectory": Trajectory,
    "end": End,
}
