"""Progress of a measurement, on a terminal; silent anywhere else."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Bar:
    """How many turns are over, and whose turn it is. Lines printed to a terminal meanwhile appear above it."""

    def __init__(self, title: str, turns: int) -> None:
        self._bar = Progress(
            BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"),
            console=Console(stderr=True), disable=not sys.stderr.isatty(), redirect_stdout=sys.stdout.isatty(),
        )  # fmt: skip
        self._task = self._bar.add_task(title, total=turns)
        self._begun = False

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._bar.update(self._task, advance=int(self._begun), description="")
        self._bar.stop()

    def turn(self, name: str) -> None:
        """The previous turn is over, and it is the turn of `name`."""
        self._bar.update(self._task, advance=int(self._begun), description=name)
        self._begun = True
