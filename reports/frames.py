"""Run files as pandas tables in long form: one row per sample, per verdict, per run.

Columns of `samples` (one row per timed step; a measurement without a time has one row, whose `seconds` are NaN):

| column | meaning |
|---|---|
| run, experiment, started, status | the file, what was run, when (UTC, ISO 8601), "complete" or "interrupted" |
| machine | one line that names the processor or the GPU |
| case, network, backend, device, dtype | what was measured; `case` starts with the experiment |
| batch, images | images per step, images per sample |
| threads, workers | threads of the backend; processes or devices that shared the batch |
| launch, round | the visit to the case and the round in it; backends are paired by both |
| seconds | of one sample |
| flops | arithmetic per sample, floating-point operations (a multiply-add counts 2) |
| limit | the machine's matrix-product rate in the same run, floating-point operations per second; NaN if not measured |
| peak_bytes | the worker's peak memory in bytes; NaN if not recorded |
| before, after | verdicts of the verification before and after the timed loop; None where there was none |
| error_ratio | the worst error over its bound; right is below 1 |
| error_multiple | the error of the gradients over that of torch float32, both to float64 |
| state | "ok" (verified before and after), "wrong", "unverified", "failed", "interrupted", "running" (not verified) |
| | "not measured" (never tried) or "foreign" (another tool's); only "ok" and "foreign" have numbers in tables |
| reason | why it is not ok |
| receipt | what the backend says of itself |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from reports import others, runfile, schema
from reports.others import Foreign
from reports.runfile import RunFile
from reports.schema import Measurement

KEY = ["machine", "case", "network", "device", "dtype", "batch", "threads", "workers"]
"""What two measurements must share to be compared."""


def read(paths: Iterable[Path | str]) -> list[RunFile]:
    """The files in the order of their start: run files (.jsonl), results of pytest-benchmark and asv (.json).

    Raises runfile.RunFileError for one that cannot be read.
    """
    files = [others.read(path) if path.suffix == ".json" else runfile.read(path) for path in map(Path, paths)]
    return sorted(files, key=lambda file: (file.run.started, str(file.path)))


def samples(files: Sequence[RunFile], running: bool = False) -> pd.DataFrame:
    """All samples of the files in long form; the columns are those of the module's docstring. With `running` the last
    file is still being written."""
    rows, times, rounds = [], [], []
    for file, name in zip(files, names(files), strict=True):
        machine = machine_name(file)
        for i, m in enumerate(file.measurements):
            state, reason = _state(m)
            if state == "unverified" and isinstance(file, Foreign):
                state, reason = "foreign", ""
            elif state == "interrupted" and running and file is files[-1]:
                state, reason = "running", f"{len(m.samples_ns)} samples so far, not verified yet"
            rows.append(
                {
                    "run": name,
                    "experiment": file.run.experiment,
                    "started": file.run.started,
                    "status": file.status,
                    "machine": machine,
                    **m.model_dump(
                        include={
                            "case", "network", "backend", "device", "dtype", "batch", "images", "threads", "workers",
                            "launch", "flops", "receipt",
                        }
                    ),
                    "limit": _limit(file, m),
                    "peak_bytes": np.nan if m.peak_bytes is None else m.peak_bytes,
                    "before": m.verified.before,
                    "after": m.verified.after,
                    "error_ratio": _number(m.verified.error_ratio),
                    "error_multiple": _number(m.verified.error_multiple),
                    "state": state,
                    "reason": reason,
                }
            )  # fmt: skip
            taken = file.seconds[i] if isinstance(file, Foreign) else np.array(m.samples_ns, np.float64) * 1e-9
            times.append(np.asarray(taken if len(taken) else [np.nan], np.float64))
            rounds.append(np.arange(len(times[-1])) if isinstance(file, Foreign) else np.asarray(m.round or [-1]))
    frame = pd.DataFrame(rows, columns=COLUMNS)
    for column in TEXT:
        frame[column] = frame[column].astype("category")
    frame = frame.loc[np.repeat(frame.index, [len(t) for t in times])].reset_index(drop=True)
    frame["seconds"] = np.concatenate(times) if times else np.empty(0)
    frame["round"] = np.concatenate(rounds) if rounds else np.empty(0, np.int64)
    return frame


def names(files: Sequence[RunFile]) -> list[str]:
    """What each file is called: its name without the ending, or its path where two names are the same."""
    stems = [file.path.stem for file in files]
    count = Counter(stems)
    return [stem if count[stem] == 1 else str(file.path) for file, stem in zip(files, stems, strict=True)]


def verdicts(files: Sequence[RunFile]) -> pd.DataFrame:
    """All verdicts of `mcnbench check` in the files, one row each: run, started, status, machine, and the fields of
    `schema.BlockVerdict` (case, block, backend, dtype, property, verdict, examples, worst_ratio, message ...)."""
    rows = [
        {"run": name, "started": file.run.started, "status": file.status, "machine": machine_name(file)}
        | verdict.model_dump(exclude={"kind"})
        for file, name in zip(files, names(files), strict=True)
        for verdict in file.verdicts
    ]
    about = ["run", "started", "status", "machine"]
    return pd.DataFrame(rows, columns=[*about, *(key for key in schema.BlockVerdict.model_fields if key != "kind")])


TEXT = [
    "run", "experiment", "started", "status", "machine", "case", "network", "backend", "device", "dtype",
    "before", "after", "state", "reason", "receipt",
]  # fmt: skip
COLUMNS = [
    "run", "experiment", "started", "status", "machine", "case", "network", "backend", "device", "dtype", "batch",
    "images", "threads", "workers", "launch", "round", "seconds", "flops", "limit", "peak_bytes", "before", "after",
    "error_ratio", "error_multiple", "state", "reason", "receipt",
]  # fmt: skip


def _number(value: float | None) -> float:
    return np.nan if value is None else value


NOT_MEASURED = "not measured: "
"""How the error of a measurement begins that was never tried, such as for want of time."""


def _state(m: Measurement) -> tuple[str, str]:
    """A measurement's state and the reason if it is not "ok"."""
    if m.error is not None:
        why = m.error.removeprefix(NOT_MEASURED)
        return ("failed", m.error) if why == m.error else ("not measured", why)
    if m.interrupted:
        return "interrupted", "the run ended before its result was verified"
    wrong = [verdict for verdict in (m.verified.before, m.verified.after) if verdict not in (None, "HOLDS")]
    if wrong:
        return "wrong", f"{wrong[0]}{f': {m.verified.message}' if m.verified.message else ''}"
    if not m.verified.holds:
        return "unverified", m.verified.message or "not verified before and after"
    if not m.samples_ns:
        return "failed", "no sample was taken"
    return "ok", ""


def _limit(file: RunFile, m: Measurement) -> float:
    """The matrix-product rate that holds for a measurement: same device, dtype and threads."""
    rates = [
        limit.flops_per_second
        for limit in file.limits
        if (limit.device, limit.dtype, limit.threads) == (m.device, m.dtype, m.threads)
    ]
    return max(rates, default=np.nan)


def machine_name(file: RunFile) -> str:
    """The machine in one line, of whatever the run recorded of it."""
    machine = file.run.machine
    name = next(
        (machine[key] for key in ("gpu", "cpu", "host") if isinstance(machine.get(key), str)), "unknown machine"
    )
    cores = machine.get("cores_allowed")
    return f"{name}, {cores} cores" if isinstance(cores, int) else str(name)
