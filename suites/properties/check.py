"""What `mcnbench check` does: runs the suite through pytest, with the backend in workers, and shows what it found."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import click
import pytest
from rich.progress import Progress

from mcnbench import output_file, runfile
from mcnbench.case import parse
from mcnbench.errors import NothingDone
from mcnbench.verdict import BAD, Verdict
from reports import schema
from suites.progress import progress_bar
from suites.properties import engine, table
from suites.properties.conftest import POOL
from suites.properties.pool import Pool, Request, selected, start


@dataclass(frozen=True)
class Settings:
    """What was asked for; empty tuples mean all."""

    backend: str = "numpy"
    blocks: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ("float32", "float64")
    examples: int = engine.EXAMPLES
    seed: int = 0
    workers: int = 2
    case_seconds: float = 20.0
    out: Path | None = None
    json: Path | None = None
    junit: Path | None = None


@dataclass
class Found:
    """The plugin through which pytest is given the workers; verdicts arrive as they are reached."""

    pool: Pool
    settings: Settings
    writer: runfile.Writer
    progress: Progress
    verdicts: list[Verdict] = field(default_factory=list)
    task: int = 0

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[POOL] = self.pool

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.task = self.progress.add_task("", total=len(session.items))

    def arrived(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)
        self.writer.write(verdict.to_line())
        self.progress.update(self.progress.task_ids[0], advance=1, description=f"{verdict.block} {verdict.property}")


def check(settings: Settings) -> int:
    """Tries what was asked for, prints the table and the dossiers, and returns the exit code of the command."""
    began = monotonic()
    selected(settings.blocks, settings.properties, settings.dtypes, settings.examples, settings.seed)
    pool = start(settings.backend, settings.workers, settings.case_seconds)
    try:
        _refuse_nothing(pool, settings)
        path = settings.out or runfile.default_path("check")
        with runfile.Writer.create(path, _first_line(settings, pool)) as writer, progress_bar() as progress:
            found = Found(pool, settings, writer, progress)
            pool.on_verdict = found.arrived
            status = pytest.main(_arguments(settings), plugins=[found])
        if status == pytest.ExitCode.INTERRUPTED:
            raise click.Abort
        if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            raise RuntimeError(f"pytest ended with {status!r}, which is a fault of mcnbench")
    finally:
        pool.close()
    return _conclude(found.verdicts, settings, path, monotonic() - began, pool.receipt)


def replay(settings: Settings, line: str) -> int:
    """Tries every property that the case suits, on that case alone."""
    began = monotonic()
    case = parse(line)
    names = [p for p in engine.applicable(case) if not settings.properties or p in settings.properties]
    if not names:
        raise NothingDone(f"no property{' of those asked for' if settings.properties else ''} suits the case '{case}'")
    pool = start(settings.backend, 1, settings.case_seconds, quiet=False)
    try:
        futures = pool.submit([Request(case.block, p, case.dtype, case=str(case)) for p in names])
        verdicts = [future.result() for future in futures.values()]
    finally:
        pool.close()
    path = settings.out
    if path:
        with runfile.Writer.create(path, _first_line(settings, pool)) as writer:
            for verdict in verdicts:
                writer.write(verdict.to_line())
    return _conclude(verdicts, settings, path, monotonic() - began, pool.receipt)


def _refuse_nothing(pool: Pool, settings: Settings) -> None:
    if not pool.blocks:
        raise NothingDone(
            f"backend '{settings.backend}' has none of the blocks, so nothing was checked; it needs functions with the "
            "names of blocks, such as conv2d or relu"
        )
    if settings.blocks and not set(settings.blocks) & set(pool.blocks):
        raise NothingDone(
            f"backend '{settings.backend}' has no {' and no '.join(settings.blocks)}, so nothing was checked; "
            f"it has {', '.join(pool.blocks)}"
        )


def _arguments(settings: Settings) -> list[str]:
    given = {"--block": settings.blocks, "--property": settings.properties, "--dtype": settings.dtypes}
    arguments = [
        str(Path(__file__).parent / "test_properties.py"),
        f"--rootdir={Path(__file__).parent}",
        "-c",
        os.devnull,
    ]
    arguments += ["-p", "no:cacheprovider", "-p", "no:terminal", "-p", "no:xdist", "-p", "no:benchmark"]
    arguments += ["--import-mode=importlib", f"--backend={settings.backend}", f"--workers={settings.workers}"]
    arguments += [f"--examples={settings.examples}", f"--seed={settings.seed}"]
    arguments += [f"{option}={value}" for option, values in given.items() for value in values]
    return [*arguments, f"--junitxml={settings.junit}"] if settings.junit else arguments


def _first_line(settings: Settings, pool: Pool) -> schema.Run:
    asked = {"backend": settings.backend, "examples": settings.examples, "seed": settings.seed}
    return runfile.first_line("check", asked, {settings.backend: pool.receipt})


def _conclude(verdicts: Sequence[Verdict], settings: Settings, path: Path | None, seconds: float, receipt: str) -> int:
    scripts = _write_scripts(verdicts, path)
    table.show(verdicts, scripts, f"{settings.backend} ({receipt})", seconds, path)
    if settings.json:
        output_file.write_json(settings.json, _content(verdicts, settings, scripts))
    if any(verdict.verdict in BAD for verdict in verdicts):
        return 1
    if all(verdict.verdict == "UNSUPPORTED" for verdict in verdicts):
        raise NothingDone(
            f"backend '{settings.backend}' supports nothing of what was asked for, so nothing was checked"
        )
    return 0


def _write_scripts(verdicts: Iterable[Verdict], path: Path | None) -> dict[str, Path]:
    """The scripts that show violations, in a folder beside the run file; by the verdict's name."""
    if path is None:
        return {}
    folder = path.with_suffix("")
    written = {}
    for verdict in verdicts:
        if verdict.script:
            folder.mkdir(parents=True, exist_ok=True)
            written[verdict.name] = folder / f"{verdict.name}.py"
            written[verdict.name].write_text(verdict.script)
    return written


def _content(verdicts: Iterable[Verdict], settings: Settings, scripts: dict[str, Path]) -> dict[str, Any]:
    lines = []
    for verdict in verdicts:
        entry = asdict(verdict)
        entry["script"] = str(scripts[verdict.name]) if verdict.name in scripts else None
        lines.append(entry)
    return {"backend": settings.backend, "examples": settings.examples, "seed": settings.seed, "verdicts": lines}
