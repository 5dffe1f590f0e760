"""What a run says while it runs, on standard error: a bar with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from mcnbench.duration import written


class Report:
    """Says what is being done and how much time is left of `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[left]} left"),
                console=self._console,
            )
            self._task = self._bar.add_task("", total=seconds, left=written(seconds))

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, markup=False)

    def doing(self, text: str, left: float) -> None:
        """What is being done now, with `left` seconds until the end: the bar's text. Nothing where there is no bar."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=text, completed=self._seconds - left, left=written(left))

    def done(self, text: str, left: float) -> None:
        """A line that stays, about something finished."""
        self.say(text if self._bar else f"{text}  ({written(left)} left)")

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()
        sys.stderr.flush()
