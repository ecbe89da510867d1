"""What commands do with the process and the terminal: lines to standard error, signals, settings of the whole process."""

from __future__ import annotations

import argparse
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any

from backcast import process

_format_warning = warnings.formatwarning


def say(line: str) -> None:
    """One line beside the command's output."""
    print(f"backcast: {line}", file=sys.stderr)


def print_table(lines: dict[str, str]) -> None:
    """Two columns to standard output."""
    width = max(map(len, lines))
    for name, text in lines.items():
        print(f"{name:<{width}}  {text}")


def prepare_process(arguments: argparse.Namespace) -> None:
    """To be called before torch is imported: settings of the whole process, if it is ours and not that of a caller of `main`."""
    if not arguments.own_process:
        return
    process.prepare()
    from backcast.kernel import KernelWarning

    def format_warning(message: Warning | str, category: type[Warning], *place: Any) -> str:
        if category is KernelWarning:
            return f"backcast: {message}\n"
        return _format_warning(message, category, *place)

    warnings.formatwarning = format_warning  # type: ignore[assignment]


def stop_on_signals() -> Callable[[], bool]:
    """Ctrl-C and SIGTERM end the run at its next step, with a checkpoint; a second one ends it at once."""
    asked: list[int] = []

    def note(number: int, frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        say("stopping at the next step (once more to stop at once)")

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    return lambda: bool(asked)
