"""The two ways in which backcast refuses to continue, checks that many need, and phrases that messages use."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

LONGEST = 1000  # characters of a message


class InputError(ValueError):
    """The user's input or options do not fit; the command prints it as one line and exits with 2.

    The message says what is wrong, where, and what to do about it. It is one line of bounded length, whatever names
    and cells of the input it quotes.
    """

    def __init__(self, message: str) -> None:
        line = message if len(message) <= LONGEST else f"{message[: LONGEST - 300]} … {message[-300:]}"
        super().__init__(
            "".join(one if one.isprintable() else " " if one.isspace() else "\ufffd" for one in line)
        )


class RunError(RuntimeError):
    """A run that began well cannot go on (a loss that is not finite, a full disk); exit status 1.

    The last good checkpoint of a run is kept, and the message says what to do.
    """


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this says that memory ran out: Python's own, or torch's, which on a CPU is a RuntimeError."""
    words = ("out of memory", "can't allocate memory")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)


def require_count(name: str, value: Any) -> int:
    """`value` as an int. Raises InputError unless it is a whole number from 1."""
    try:
        count = operator.index(value)
    except TypeError:
        count = 0
    if count < 1 or isinstance(value, bool):
        raise InputError(f"{name} must be a whole number from 1, not {value!r}")
    return count


def plural(count: int, noun: str) -> str:
    """The noun as it stands behind `count`."""
    return noun if count == 1 else f"{noun}s"


def nearest(word: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """'; did you mean X?' if a known word is close, else nothing; `cutoff` is from 0, all, to 1, the same."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f"; did you mean '{near[0]}'?" if near else ""


@contextmanager
def python_words() -> Iterator[None]:
    """For callers from Python: turns flags in the command's messages into parameters, `--fill-missing` into `fill_missing`."""
    try:
        yield
    except InputError as error:
        raise InputError(in_python(str(error))) from None


def in_python(message: str) -> str:
    """One of the command's messages with parameters in place of flags."""
    message = re.sub(r"--no-([a-z][a-z-]*)", r"--\1=False", message)
    return re.sub(r"--([a-z][a-z-]*)", lambda flag: flag[1].replace("-", "_"), message)
