"""Writes run files: JSON Lines, each line flushed as it is measured, so that a killed run keeps all that was finished.

`reports.schema` describes the lines and `reports.runfile` reads them, which reports use without the harness; `read` is
that reader with the harness's error.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

from mcnbench import machine
from mcnbench.errors import BadInput
from reports import runfile as reader
from reports import schema


def read(path: Path | str) -> reader.RunFile:
    """What the run file holds; raises BadInput with the line and key of what cannot be read."""
    try:
        return reader.read(path)
    except reader.RunFileError as error:
        raise BadInput(str(error)) from error


def first_line(
    experiment: str, settings: dict[str, Any], receipts: Mapping[str, str] = {}, about: Mapping[str, Any] = {}
) -> schema.Run:
    """The first line of this command's run file, with backends' receipts and what else is known about the machine."""
    return schema.Run(
        experiment=experiment,
        command=command(),
        started=now(),
        machine={**machine.describe(), **about},
        versions={**machine.versions(), **receipts},
        git=machine.git(),
        settings=settings,
    )


def command() -> str:
    """The command as it was called, to be called again."""
    return shlex.join(["mcnbench", *sys.argv[1:]])


def now() -> str:
    """The time as run files hold it: UTC, ISO 8601, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def default_path(experiment: str) -> Path:
    """runs/<experiment>-<UTC time>.jsonl"""
    return Path("runs") / f"{experiment}-{datetime.now(UTC).strftime('%Y%m%dT%H%M%SZ')}.jsonl"


def refuse_existing(path: Path) -> None:
    """Raises BadInput if there is something at the path already, so that it cannot be written over."""
    if path.exists():
        raise BadInput(
            f"'{path}' exists already; give another path with --out, or go on with that run by mcnbench run --resume"
        )


class Writer:
    """An open run file. Use it as a context manager; leaving it by an exception closes the file as interrupted."""

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        self.path = path
        self._stream = stream
        self._ended = False

    @classmethod
    def create(cls, path: Path, run: schema.Run) -> Self:
        """A new file with its first line; raises BadInput if the path exists or cannot be written."""
        refuse_existing(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = path.open("xb")
        except OSError as error:
            raise BadInput(f"cannot write '{path}': {error.strerror}; give another path with --out") from error
        writer = cls(path, stream)
        writer.write(run)
        return writer

    @classmethod
    def resume(cls, path: Path, command: str) -> Self:
        """The file of an interrupted run, to append to. What is left of a line that was cut off is removed."""
        try:
            stream = path.open("r+b")
        except OSError as error:
            raise BadInput(f"cannot write '{path}': {error.strerror}") from error
        content = stream.read()
        complete, newline, cut = content.rpartition(b"\n")
        if cut and not reader.is_object(cut.decode("utf-8", "replace")):
            stream.truncate(len(complete) + len(newline))
            cut = b""
        stream.seek(0, os.SEEK_END)
        if cut:
            stream.write(b"\n")
        writer = cls(path, stream)
        writer.write(schema.Resume(started=now(), command=command))
        return writer

    def write(self, line: schema.Line) -> None:
        """Appends one line. A sample is only handed to the operating system, which keeps it when this process is
        killed; every other line is also put on the disk, which takes milliseconds."""
        text = line.model_dump_json(by_alias=True, exclude={"interrupted"}) + "\n"
        try:
            self._stream.write(text.encode())
            self._stream.flush()
            if not isinstance(line, schema.Sample):
                os.fsync(self._stream.fileno())
        except OSError as error:
            raise BadInput(f"cannot write '{self.path}': {error.strerror}; what it holds so far can be read") from error

    def end(self, status: Literal["complete", "interrupted"]) -> None:
        """Writes the last line."""
        self.write(schema.End(finished=now(), status=status))
        self._ended = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._ended:
            self.end("complete" if kind is None else "interrupted")
        self._stream.close()
