"""Writes a report into a folder: for each part a table (Markdown, CSV, LaTeX) and figures (PNG, SVG, PDF, their data as
CSV), and everything together as report.md and as one HTML page."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from reports import export, figures, frames, latex, page, parts, text
from reports.errors import ReportError
from reports.parts.part import Part
from reports.text import caption


def check(folder: Path) -> None:
    """Raises ReportError with one sentence if a report cannot be written there: a new or an empty folder is wanted."""
    if folder.exists() and not folder.is_dir():
        raise ReportError(f"cannot write a report to '{folder}': it is a file; give a new folder with --out")
    if folder.is_dir() and any(folder.iterdir()):
        raise ReportError(f"cannot write a report to '{folder}': it is not empty; give a new folder with --out")


def make(folder: Path) -> None:
    """Makes the folder, and those above it. Raises ReportError with one sentence if it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot(folder, error) from error


def write(files: Mapping[str, bytes], folder: Path) -> list[Path]:
    """Writes the files into the new folder and returns their paths; all of them or none. Raises ReportError."""
    check(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise _cannot(folder, error) from error
    try:
        new.chmod(0o755)
        for name, content in files.items():
            (new / name).write_bytes(content)
        if folder.exists():
            folder.rmdir()
        new.rename(folder)
    except OSError as error:
        raise _cannot(folder, error) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return [folder / name for name in files]


def _cannot(folder: Path, error: OSError) -> ReportError:
    return ReportError(f"cannot write a report to '{folder}': {error.strerror}; give another folder with --out")


def contents(runs: Iterable[Path]) -> dict[str, bytes]:
    """The files of a report of these runs, by name. Raises runfile.RunFileError for a run that cannot be read."""
    files = frames.read(runs)
    found = parts.parts(files)
    documents = {
        "pytest-benchmark.json": export.pytest_benchmark(files),
        "report.md": as_markdown(found),
        "index.html": page.render(found, files),
    }
    return {
        **{name: content for part in found for name, content in _part(part).items()},
        **{name: document.encode() for name, document in documents.items()},
    }


def _part(part: Part) -> dict[str, bytes]:
    files = {
        f"{part.key}.md": (text.as_markdown(part.table) + "\n").encode(),
        f"{part.key}.csv": text.as_csv(part.table).encode(),
        f"{part.key}.tex": (latex.as_latex(part.table, caption(part.title, part.table)) + "\n").encode(),
    }
    for drawing in part.drawings:
        name = f"{part.key}-{drawing.key}"
        figure = drawing.draw()
        for format in figures.FORMATS:
            files[f"{name}.{format}"] = figures.save(figure, format)
        files[f"{name}.csv"] = text.as_csv(drawing.data).encode()
    return files


def as_markdown(parts: Sequence[Part]) -> str:
    """The whole report as one Markdown document, with the figures of `contents` beside it."""
    lines: list[str] = []
    for part in parts:
        lines += [f"## {text.markdown(caption(part.title, part.table))}", "", text.as_markdown(part.table), ""]
        lines += [f"- {text.markdown(sentence)}" for sentence in (*part.problems, *part.legend)]
        lines += [""]
        for drawing in part.drawings:
            lines += [f"![{text.markdown(drawing.words)}]({part.key}-{drawing.key}.svg)", ""]
        if part.commands:
            lines += ["Measured by:", "", *(f"    {text.clean(command)}" for command in part.commands), ""]
    return "\n".join(lines).rstrip("\n") + "\n"
