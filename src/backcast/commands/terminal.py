"""What commands do with the process and the terminal: lines to standard error, signals, settings of the whole process."""

from __future__ import annotations

import argparse
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
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
    """Ctrl-C, SIGTERM and a closing terminal end the run at its next step, with a checkpoint.

    A second Ctrl-C or SIGTERM ends it at once; a closing terminal sends SIGHUP twice.
    """
    asked: list[int] = []

    def note(number: int, frame: object) -> None:
        if not asked:
            asked.append(number)
            with suppress(OSError):  # the terminal may be gone
                say("stopping at the next step (once more to stop at once)")
        elif number in (signal.SIGINT, signal.SIGTERM):
            raise KeyboardInterrupt

    for number in process.ending_signals():
        signal.signal(number, note)
    return lambda: bool(asked)
