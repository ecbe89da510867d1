"""Files that the user asks for: a place is checked before any work, and a file written whole or refused in one line."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

from backcast.errors import InputError, RunError
from backcast.files import write_atomically

STANDARD_OUTPUT = Path("-")
"""What commands that write a file take in its place."""


def require_place(path: Path, name: str, endings: tuple[str, ...] = ()) -> None:
    """Raises InputError where no file can be written to `path`: before any work is done. `name` begins the message.

    endings   those that the file may have; empty: any
    """
    folder = path.resolve().parent
    if endings and path.suffix.lower() not in endings:
        raise InputError(f"{name}: the ending must be one of {', '.join(endings)}")
    if path.is_dir():
        raise InputError(f"{name}: is a folder; say the name of a file")
    if path.exists() and not path.is_file():
        return  # a pipe, a terminal
    if not folder.is_dir():
        raise InputError(f"{name}: there is no folder {folder} to write it into")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{name}: {folder} cannot be written: {error.strerror}") from None


def write_or_refuse(path: Path, content: bytes, name: str) -> None:
    """As `write_atomically`. `name` begins the message of the InputError where it cannot be written, of the RunError where the disk is full."""
    try:
        write_atomically(path, content)
    except OSError as error:
        kind = RunError if error.errno == errno.ENOSPC else InputError
        raise kind(f"{name}: cannot be written: {error.strerror}") from None
