"""The options that results were made with, read back from their commands: a document names those, not the last call's."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import NoReturn

from backcast.paper.experiment import RunResult
from backcast.paper.options import add_options
from backcast.paper.planning import Request


def as_made(request: Request, results: Iterable[RunResult], note: str | None) -> Request:
    """The request with the data, the device and so on that the last of these results was made with, if there is one.

    note   in place of the notes of all of them
    """
    made = _known(results)
    if made:
        last = made[-1]
        request = replace(
            request, data_dir=last.data_dir, device=last.device, jobs=last.jobs, memory=last.memory
        )
    return replace(request, note=note if note is not None else joined(options.note for options in made))


def last_note(results: Iterable[RunResult]) -> str | None:
    """The note of the last result that has one."""
    return next((options.note for options in reversed(_known(results)) if options.note), None)


def joined(notes: Iterable[str | None]) -> str | None:
    """Each note once, as one text, without those that are part of another; None where there is none."""
    each = list(dict.fromkeys(note for note in notes if note))
    whole = [note for note in each if not any(note != other and note in other for other in each)]
    return " ".join(whole) or None


def _known(results: Iterable[RunResult]) -> list[argparse.Namespace]:
    """The options of the results' commands, in order, as far as this version knows them."""
    return [options for result in results if (options := _options(result.command)) is not None]


@cache
def _options(command: str) -> argparse.Namespace | None:
    """The options of a `backcast reproduce` command; None where it is not one that this version knows."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    add_options(parser)
    try:
        return parser.parse_args(shlex.split(command)[2:])
    except ValueError:
        return None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)
