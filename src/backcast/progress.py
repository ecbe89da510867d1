"""Progress on a terminal: what is running, how fast, how much longer. Silent anywhere else."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class _Rate(ProgressColumn):
    """Steps per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} steps/s" if task.speed else "– steps/s")


class TrainingProgress:
    """A bar over both phases, on standard error if that is a terminal."""

    def __init__(self, title: str) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn(),
            console=Console(stderr=True), disable=not sys.stderr.isatty(), speed_estimate_period=120,
        )  # fmt: skip
        self._title = title
        self._task = self._bar.add_task(title, total=None)
        self._before = 0

    def __enter__(self) -> TrainingProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def total(self, total: int, done: int, before: int | None = None) -> None:
        """`before` of the `done` steps were made in an earlier session, and do not count for the speed; None: all."""
        before = done if before is None else before
        # Past `update`, which would take them for steps that were just made.
        self._bar.tasks[0].completed += before - self._before
        self._before = before
        self._bar.update(self._task, total=total, completed=done)

    def advance(self, description: str) -> None:
        self._bar.update(self._task, advance=1, description=f"{self._title} {description}")
