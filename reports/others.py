"""Reads what other tools measured, so that their numbers stand beside ours: results of pytest-benchmark and of asv;
what `mcnbench compare --json` concluded, and what became of planted faults (`mcnbench faults --json`).

The first two become run files whose measurements are marked as foreign: nothing of ours verified them. The samples of
pytest-benchmark are read if they were saved (`--benchmark-save-data`), else the median alone; what `extra_info` says of
backend, network, batch, device, dtype, threads, images and flops is used. Of asv the timings of every parameter
combination are read, in seconds; its other kinds of benchmark are named in a note. `reports.export` is the way back.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reports.runfile import RunFile, RunFileError, parse_json
from reports.schema import Measurement, Run


@dataclass(frozen=True)
class Foreign(RunFile):
    """The results of another tool; the times of measurement i are `seconds[i]`, not its `samples_ns`."""

    seconds: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Comparisons(RunFile):
    """What `mcnbench compare --json` wrote: case, backend, quantity, verdict, reason, change, low and high of each."""

    rows: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Planted(RunFile):
    """What `mcnbench faults --json` wrote: of each fault its name (fault), what it is, whether it was KILLED (word), by
    which property in which dtype with which verdict, after how many examples and seconds, and the message. The run's
    settings are the backend, examples and seed, and the seconds that all of it took."""

    rows: tuple[dict[str, Any], ...] = ()


def read(path: Path) -> RunFile:
    """The results of another tool; raises RunFileError with one sentence for what cannot be read."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise RunFileError(f"cannot read '{path}': {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RunFileError(f"'{path}': not UTF-8") from error
    content = parse_json(text, f"'{path}'")
    if isinstance(content, dict):
        try:
            if "machine_info" in content and "benchmarks" in content:
                return _pytest_benchmark(path, content)
            if "result_columns" in content and "results" in content:
                return _asv(path, content)
            if "faults" in content and "seed" in content:
                return _planted(path, content)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
            kinds = {"results": "asv", "faults": "mcnbench faults"}
            kind = next((kind for key, kind in kinds.items() if key in content), "pytest-benchmark")
            raise RunFileError(
                f"'{path}': cannot be read as a result of {kind}: {type(error).__name__} {error}"
            ) from error
    if isinstance(content, list) and content and all(_is_comparison(row) for row in content):
        run = Run(experiment="compare", command="", started="", machine={}, versions={}, git={})
        return Comparisons(path, run, (), (), (), "complete", (), rows=tuple(content))
    raise RunFileError(
        f"'{path}': neither a run file (.jsonl) nor a result of pytest-benchmark, asv, mcnbench compare or mcnbench "
        "faults (.json)"
    )


def _is_comparison(row: Any) -> bool:
    words, numbers = ("case", "backend", "quantity", "verdict", "reason"), ("change", "low", "high")
    return (
        isinstance(row, dict)
        and row.keys() == {*words, *numbers}
        and all(isinstance(row[key], str) for key in words)
        and all(row[key] is None or isinstance(row[key], int | float) for key in numbers)
    )


FAULT: dict[str, type | tuple[type, ...]] = {
    "fault": str, "what": str, "word": str, "property": str, "dtype": str, "verdict": str,
    "examples": int, "seconds": (int, float), "message": str,
}  # fmt: skip


def _planted(path: Path, content: dict[str, Any]) -> Planted:
    rows = [{key: row[key] for key in FAULT} for row in content["faults"]]
    for row in rows:
        for key, kind in FAULT.items():
            if not isinstance(row[key], kind):
                raise ValueError(f"{key} of {row['fault']} is {row[key]!r}")
    settings = {
        "backend": str(content["backend"]), "examples": int(content["examples"]), "seed": int(content["seed"]),
        "seconds": float(content["seconds"]),
    }  # fmt: skip
    run = Run(
        experiment="faults",
        command=str(content["command"]),
        started=str(content["started"]),
        machine={},
        versions={},
        git={},
        settings=settings,
    )
    return Planted(path, run, (), (), (), "complete", (), rows=tuple(rows))


def _pytest_benchmark(path: Path, content: dict[str, Any]) -> Foreign:
    machine = content["machine_info"]
    cpu = machine.get("cpu") or {}
    run = Run(
        experiment="pytest-benchmark",
        command="",
        started=_utc(datetime.fromisoformat(content["datetime"])),
        machine={"cpu": cpu.get("brand_raw") or machine.get("processor") or machine.get("machine", "unknown machine")}
        | {key: value for key, value in machine.items() if key != "cpu"},
        versions={
            "python": str(machine.get("python_version", "")),
            "pytest-benchmark": str(content.get("version", "")),
        },
        git=content.get("commit_info") or {},
    )
    measurements, times, notes = [], [], []
    for benchmark in content["benchmarks"]:
        name, stats = str(benchmark["fullname"]), benchmark.get("stats")
        if not stats:
            notes.append(f"{name} has no statistics: it did not run")
            continue
        samples = stats.get("data") or [stats["median"]]
        measurements.append(_measurement(name, benchmark.get("extra_info") or {}))
        times.append(_times(name, samples))
    return Foreign(path, run, tuple(measurements), (), (), "complete", tuple(notes), seconds=tuple(times))


def _asv(path: Path, content: dict[str, Any]) -> Foreign:
    machine = content.get("params") or {}
    run = Run(
        experiment="asv",
        command="",
        started=_utc(datetime.fromtimestamp(content["date"] / 1000, UTC)),
        machine={"cpu": machine.get("cpu") or machine.get("machine") or "unknown machine"} | machine,
        versions={"python": str(content.get("python", ""))} | {k: str(v) for k, v in content["requirements"].items()},
        git={"commit": content["commit_hash"]},
    )
    measurements, times, notes = [], [], []
    for name, values in content["results"].items():
        row = dict(zip(content["result_columns"], values, strict=False))
        if not name.rpartition(".")[2].startswith("time"):
            notes.append(f"{name} is not a timing")
            continue
        for case, seconds, failed in _asv_cases(name, row):
            measurements.append(_measurement(case, {}, failed))
            times.append(_times(case, seconds))
    return Foreign(path, run, tuple(measurements), (), (), "complete", tuple(notes), seconds=tuple(times))


def _asv_cases(name: str, row: dict[str, Any]) -> Iterator[tuple[str, list[float], str | None]]:
    """Each parameter combination of a benchmark: its name, its samples or median in seconds, why it has none."""
    results, samples = row["result"], row.get("samples")
    if results is None:
        yield name, [], "failed"
        return
    combinations = list(itertools.product(*(row.get("params") or [])))
    for i, (values, result) in enumerate(zip(combinations, results, strict=True)):
        case = f"{name}({', '.join(map(str, values))})" if values else name
        taken = samples[i] if samples and samples[i] else None
        yield case, taken or ([] if result is None else [result]), None if result is not None else "failed"


def _measurement(case: str, info: dict[str, Any], error: str | None = None) -> Measurement:
    return Measurement(
        case=case,
        network=str(info.get("network", "")),
        backend=str(info.get("backend", "")),
        device=str(info.get("device", "")),
        batch=int(info.get("batch", info.get("images", 0))),
        dtype=str(info.get("dtype", "")),
        threads=int(info.get("threads", 0)),
        images=int(info.get("images", 0)),
        flops=int(info.get("flops", 0)),
        launch=0,
        samples_ns=[],
        round=[],
        error=error,
    )


def _times(name: str, samples: list[Any]) -> tuple[float, ...]:
    times = tuple(float(value) for value in samples)
    if not all(0 < time < 1e9 for time in times):
        raise ValueError(f"{name} has a time that is not positive and finite")
    return times


def _utc(time: datetime) -> str:
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
