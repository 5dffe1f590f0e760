"""Writes a report into a folder: for each part a table (Markdown, CSV, LaTeX) and figures (PNG, SVG, PDF, their data as
CSV), and everything together as report.md and as one HTML page."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from reports import figures, text
from reports.parts import Part


def check(folder: Path) -> None:
    """Raises ValueError with one sentence if a report cannot be written there: a new or an empty folder is wanted."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"cannot write a report to '{folder}': it is a file; give a new folder with --out")
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"cannot write a report to '{folder}': it is not empty; give a new folder with --out")


def write(parts: Sequence[Part], page: str, folder: Path) -> list[Path]:
    """Writes all files of a report and returns their paths; all of them or none. Raises ValueError as `check` does."""
    check(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise ValueError(f"cannot write a report to '{folder}': {error.strerror}; give another --out") from error
    try:
        new.chmod(0o755)
        files = contents(parts) | {"report.md": as_markdown(parts).encode(), "index.html": page.encode()}
        for name, content in files.items():
            (new / name).write_bytes(content)
        if folder.exists():
            folder.rmdir()
        new.rename(folder)
    except OSError as error:
        raise ValueError(f"cannot write a report to '{folder}': {error.strerror}; give another --out") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return [folder / name for name in files]


def contents(parts: Sequence[Part]) -> dict[str, bytes]:
    """The files of the parts, by name."""
    files: dict[str, bytes] = {}
    for part in parts:
        files[f"{part.key}.md"] = (text.as_markdown(part.table) + "\n").encode()
        files[f"{part.key}.csv"] = text.as_csv(part.table).encode()
        files[f"{part.key}.tex"] = (text.as_latex(part.table, caption(part)) + "\n").encode()
        for drawing in part.drawings:
            name = f"{part.key}-{drawing.key}"
            figure = drawing.draw()
            for format in figures.NO_DATES:
                files[f"{name}.{format}"] = figures.save(figure, format)
            files[f"{name}.csv"] = text.as_csv(drawing.data).encode()
    return files


def caption(part: Part) -> str:
    """The part's title with what is the same for all rows of its table."""
    same = text.shared(part.table)
    return f"{part.title}: {same}" if same else part.title


def as_markdown(parts: Sequence[Part]) -> str:
    """The whole report as one Markdown document, with the figures of `contents` beside it."""
    lines: list[str] = []
    for part in parts:
        lines += [f"## {text.markdown(caption(part))}", "", text.as_markdown(part.table), ""]
        lines += [f"- {text.markdown(sentence)}" for sentence in (*part.problems, *part.legend)]
        lines += [""]
        for drawing in part.drawings:
            lines += [f"![{text.markdown(drawing.words)}]({part.key}-{drawing.key}.svg)", ""]
        if part.commands:
            lines += ["Measured by:", "", *(f"    {text.clean(command)}" for command in part.commands), ""]
    return "\n".join(lines).rstrip("\n") + "\n"
