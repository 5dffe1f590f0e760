"""Reads a run file. `mcnbench.runfile` writes it; its lines are described in `reports.schema`.

A launch without its measurement was interrupted: the reader makes an unverified measurement of its samples. A last line
that is cut off is reported, and everything before it kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from reports.schema import (
    KINDS,
    SCHEMA,
    Agreement,
    BlockVerdict,
    End,
    Launch,
    Limit,
    Line,
    Measurement,
    Resume,
    Run,
    Sample,
    Semantic,
    StepAgreement,
    Trajectory,
    Trial,
)

Kind = TypeVar("Kind", bound=Line)


class RunFileError(ValueError):
    """The file cannot be read as a run file: one sentence with the file, the line and the key."""


@dataclass(frozen=True)
class RunFile:
    """What a run file holds."""

    path: Path
    run: Run
    measurements: tuple[Measurement, ...]
    """In the order of the file; the interrupted ones, made of samples, come last."""
    verdicts: tuple[BlockVerdict, ...]
    limits: tuple[Limit, ...]
    status: Literal["complete", "interrupted"]
    notes: tuple[str, ...]
    """What a reader should be told: a last line that was cut off, launches that were interrupted, resumptions."""
    trials: tuple[Trial, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    semantics: tuple[Semantic, ...] = ()
    steps: tuple[StepAgreement, ...] = ()
    trajectories: tuple[Trajectory, ...] = ()

    @property
    def limit(self) -> float | None:
        """The best matrix-product rate measured in the run, in floating-point operations per second."""
        return max((limit.flops_per_second for limit in self.limits), default=None)


def read(path: Path | str) -> RunFile:
    """Reads a run file; raises RunFileError with the line and key of what it cannot read."""
    path = Path(path)
    text, notes = _text(path)
    lines = text.split("\n")
    last_line = lines.pop()  # "" after a complete last line
    cut = False
    parsed = [_parse(path, number, line) for number, line in enumerate(lines, start=1)]
    if last_line:
        cut = bool(parsed) and not is_object(last_line)
        if cut:
            notes.append(f"line {len(lines) + 1} is cut off, as after a kill; everything before it was read")
        else:
            parsed.append(_parse(path, len(lines) + 1, last_line))
    if not parsed:
        raise RunFileError(f"run file '{path}' is empty; wanted a line of kind 'run' first")
    run, *rest = parsed
    if not isinstance(run, Run):
        raise RunFileError(f"run file '{path}', line 1: wanted kind 'run' first, got '{getattr(run, 'kind', '?')}'")
    if any(isinstance(line, Run) for line in rest):
        number = next(i for i, line in enumerate(rest, start=2) if isinstance(line, Run))
        raise RunFileError(f"run file '{path}', line {number}: a second line of kind 'run'; a file holds one run")
    measured = _of(Measurement, rest)
    interrupted = _interrupted(path, rest, measured)
    if interrupted:
        names = ", ".join(f"{m.case} on {m.backend}" for m in interrupted)
        notes.append(f"interrupted, so with samples that were not verified: {names}")
    resumed = len(_of(Resume, rest))
    if resumed:
        notes.append(f"resumed {resumed} time{'s' * (resumed > 1)}")
    last = parsed[-1]
    return RunFile(
        path,
        run,
        (*measured, *interrupted),
        _of(BlockVerdict, rest),
        _of(Limit, rest),
        last.status if isinstance(last, End) and not cut else "interrupted",
        tuple(notes),
        _of(Trial, rest),
        _of(Agreement, rest),
        _of(Semantic, rest),
        _of(StepAgreement, rest),
        _of(Trajectory, rest),
    )


def _of(kind: type[Kind], lines: Sequence[Line]) -> tuple[Kind, ...]:
    """The lines of that kind, in their order."""
    return tuple(line for line in lines if isinstance(line, kind))


def _text(path: Path) -> tuple[str, list[str]]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise RunFileError(f"cannot read run file '{path}': {error.strerror}") from error
    try:
        return raw.decode("utf-8"), []
    except UnicodeDecodeError as error:
        complete, _, cut = raw.rpartition(b"\n")
        if error.start > len(complete):  # a character of the last line was cut in two
            return complete.decode("utf-8") + "\n" + cut.decode("utf-8", "replace"), []
        number = raw[: error.start].count(b"\n") + 1
        raise RunFileError(f"run file '{path}', line {number}: not UTF-8") from error


def parse_json(text: str, where: str) -> Any:
    """The text's content; raises RunFileError, beginning with `where`, for what no reader could use."""
    try:
        content = json.loads(text)
        if "\\ud" in text.lower():  # the escape of half a surrogate pair is JSON, but no text that can be written again
            json.dumps(content, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise RunFileError(f"{where}: not JSON ({error.msg} at column {error.colno})") from error
    except UnicodeEncodeError as error:
        raise RunFileError(f"{where}: half a surrogate pair, which is no character") from error
    except (ValueError, RecursionError) as error:
        raise RunFileError(f"{where}: a number with too many digits, or brackets nested too deep") from error
    return content


def is_object(text: str) -> bool:
    """Whether the text is one complete JSON object, so not a line that was cut off."""
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _parse(path: Path, number: int, text: str) -> Line:
    where = f"run file '{path}', line {number}"
    content = parse_json(text, where)
    if not isinstance(content, dict) or "kind" not in content:
        raise RunFileError(f"{where}: wanted a JSON object with the key 'kind'")
    if not isinstance(content["kind"], str) or content["kind"] not in KINDS:
        raise RunFileError(
            f"{where}, key 'kind': unknown kind {str(content['kind'])[:40]!r}; known: {', '.join(KINDS)}"
        )
    if content["kind"] == "run" and content.get("schema") != SCHEMA:
        given = content.get("schema")
        raise RunFileError(
            f"{where}, key 'schema': this mcnbench reads schema {SCHEMA}, the file is of schema {given!r}; "
            "read it with the version of mcnbench that wrote it"
        )
    try:
        return KINDS[content["kind"]].model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])[:80]
        named = f", key '{key}'" if key else ""
        raise RunFileError(f"{where}{named}: {first['msg']}") from error


def _interrupted(path: Path, lines: list[Line], measured: Sequence[Measurement]) -> list[Measurement]:
    """Launches without a measurement, with the samples that they have."""
    open_launches = {(m.case, m.backend, m.launch): m for m in lines if type(m) is Launch}
    samples: dict[tuple[str, str, int], list[Sample]] = {key: [] for key in open_launches}
    for number, line in enumerate(lines, start=2):
        if isinstance(line, Sample):
            key = line.case, line.backend, line.launch
            if key not in samples:
                raise RunFileError(
                    f"run file '{path}', line {number}: a sample of {key}, whose launch was not announced"
                )
            samples[key].append(line)
    for m in measured:
        open_launches.pop((m.case, m.backend, m.launch), None)
    return [
        Measurement(
            **launch.model_dump(exclude={"kind"}),
            samples_ns=[sample.ns for sample in samples[key]],
            round=[sample.round for sample in samples[key]],
            interrupted=True,
        )
        for key, launch in open_launches.items()
    ]
