"""What `mcnbench agree` does: the same cases on several backends, what each pair differs by, and the run file of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Any

from mcnbench import backends, network, output_file, runfile
from mcnbench.case import DTYPES, Case, parse
from mcnbench.errors import BadInput, NothingDone, unknown
from reports import schema
from suites.agreement import blocks, networks, semantics, semantics_table, table
from suites.agreement.cases import drawn
from suites.agreement.process import Process
from suites.progress import progress_bar
from suites.properties import strategies

EXAMPLES = 20


@dataclass(frozen=True)
class Settings:
    """What was asked for; empty tuples mean all."""

    backends: tuple[str, ...]
    blocks: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ("float32",)
    examples: int = EXAMPLES
    seed: int = 0
    out: Path | None = None
    json: Path | None = None
    parts: tuple[str, ...] = ("blocks", "semantics")
    probes: tuple[str, ...] = ()
    """Of the questions on semantics only these."""
    networks: tuple[str, ...] = ()
    train: int = 0
    """Steps of training on digits, of each of the networks."""
    against: Path | None = None
    """A run file whose answers on semantics are compared with."""


def agree(settings: Settings) -> int:
    """Compares what was asked for, prints tables and findings, and returns the exit code of the command."""
    _refuse(settings)
    cases = {
        (block, dtype): drawn(block, dtype, settings.examples, settings.seed)
        for block in (settings.blocks or strategies.names())
        for dtype in settings.dtypes
        if "blocks" in settings.parts
    }
    return _run(settings, cases, settings.out or runfile.default_path("agree"))


def replay(settings: Settings, line: str) -> int:
    """The one case of that line."""
    _refuse(settings)
    case = parse(line)
    try:
        _ = case.output_shape
    except ValueError as error:
        raise BadInput(f"the sizes of the case do not fit: {error}") from error
    return _run(replace(settings, parts=("blocks",)), {(case.block, case.dtype): [case]}, settings.out)


def _refuse(settings: Settings) -> None:
    semantics.chosen(settings.probes)
    if len(settings.backends) < 2 and settings.parts != ("semantics",):
        raise BadInput("wanted at least two backends to compare, such as: mcnbench agree numpy torch jax")
    for kind, given, known in (("block", settings.blocks, strategies.names()), ("dtype", settings.dtypes, DTYPES)):
        for name in given:
            if name not in known:
                raise unknown(kind, name, known)
    for name in settings.networks:
        network.load(name)
        if settings.train:
            networks.refuse_untrainable(name)
    missing = [name for name in ("safetensors", "sklearn") if settings.networks and not find_spec(name)]
    if missing:
        raise BadInput(f"networks are compared with {' and '.join(missing)}: pip install 'mcnbench[frameworks]'")
    if settings.train and not settings.networks:
        raise BadInput("--train says for how many steps a network is trained: give it with --network lenet-5")
    for kind, names in (("backend", settings.backends), ("block", settings.blocks), ("dtype", settings.dtypes)):
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise BadInput(f"{kind} '{twice[0]}' is named twice; name each once")


def _run(settings: Settings, cases: dict[tuple[str, str], list[Case]], path: Path | None) -> int:
    if path:
        runfile.refuse_existing(path)
    before = runfile.read(settings.against).semantics if settings.against else ()
    if settings.against and not before:
        raise BadInput(f"run file '{settings.against}' holds no answers on semantics to compare with")
    began = monotonic()
    lines: list[schema.Agreement] = []
    overheads: list[float] = []
    with one_thread(), started(settings.backends) as processes, progress_bar() as progress:
        receipts = {process.backend: process.hello["receipt"] for process in processes}
        probes = semantics.chosen(settings.probes) if "semantics" in settings.parts else []
        whole = len(settings.networks) * (1 + settings.train)
        task = progress.add_task("", total=sum(map(len, cases.values())) + len(probes) + whole)
        with _writer(settings, path, receipts) as writer:
            for (block, dtype), some in cases.items():
                progress.update(task, description=block)
                tally = blocks.run(processes, block, dtype, some, lambda: progress.advance(task))
                overheads += tally.overheads
                for line in tally.lines(settings.backends):
                    lines.append(line)
                    if writer:
                        writer.write(line)
            progress.update(task, description="semantics")
            answers = semantics.run(processes, probes, lambda: progress.advance(task))
            steps: list[schema.StepAgreement] = []
            trained: list[schema.Trajectory] = []
            for name in settings.networks:
                progress.update(task, description=name)
                steps += networks.compare_step(processes, name, settings.seed)
                progress.advance(task)
                if settings.train:
                    advance = partial(progress.advance, task)
                    trained += networks.compare_training(processes, name, settings.train, settings.seed, advance)
            for other in (*answers, *steps, *trained):
                if writer:
                    writer.write(other)
    if settings.json:
        parts: dict[str, Sequence[schema.Line]] = {
            "agreements": lines,
            "semantics": answers,
            "steps": steps,
            "trajectories": trained,
        }
        output_file.write_json(settings.json, _content(parts, settings, receipts))
    table.show(lines, settings.backends, receipts, path)
    if steps:
        table.show_networks(steps, trained)
    changed = []
    if answers:
        semantics_table.show(table.console(), answers)
    if before:
        changed = semantics.changes(before, answers)
        semantics_table.show_changes(table.console(), changed, semantics.shared(before, answers))
    counts = {"case": sum(map(len, cases.values())), "question": len(probes), "network": len(settings.networks)}
    said = ", ".join(f"{count:,} {what}{'s' * (count != 1)}" for what, count in counts.items() if count)
    said += f" in {monotonic() - began:.0f} s"
    if overheads:
        said += f"; {1000 * median(overheads):.1f} ms of a case, in the median, were not the backends'"
    table.say(said)
    return int(bool(changed)) or _conclude([*lines, *steps], bool(answers))


def _conclude(lines: Sequence[schema.Agreement | schema.StepAgreement], answered: bool) -> int:
    words = {line.verdict for line in lines}
    if words <= {"UNSUPPORTED"} and not answered:
        raise NothingDone("no two of these backends computed what was asked for, so nothing was compared")
    return int(bool(words & {"DIFFER", "ERROR"}))


@contextmanager
def one_thread() -> Iterator[None]:
    """For the oracle: its maps are too small to share, and threads would wait for one another."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def started(names: Sequence[str]) -> Iterator[list[Process]]:
    """A process for each backend; raises BadInput, with the extra to install, for one that cannot run here."""
    for name in names:
        backends.refuse_missing(name)
    processes = [Process(name) for name in names]
    try:
        with ThreadPoolExecutor(len(processes)) as pool:
            list(pool.map(Process.start, processes))
        yield processes
    finally:
        for process in processes:
            process.end()


@contextmanager
def _writer(settings: Settings, path: Path | None, receipts: dict[str, str]) -> Iterator[runfile.Writer | None]:
    if path is None:
        yield None
        return
    asked = {"backends": list(settings.backends), "examples": settings.examples, "seed": settings.seed}
    with runfile.Writer.create(path, runfile.first_line("agree", asked, receipts)) as writer:
        yield writer


def _content(
    parts: Mapping[str, Sequence[schema.Line]], settings: Settings, receipts: dict[str, str]
) -> dict[str, Any]:
    return {
        "backends": receipts,
        "examples": settings.examples,
        "seed": settings.seed,
        **{key: [x.model_dump(mode="json", exclude={"kind"}) for x in lines] for key, lines in parts.items()},
    }
