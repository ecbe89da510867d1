"""Files that are either whole or not there."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any


def cache_home() -> Path:
    """The folder for what may be made again: `XDG_CACHE_HOME`, else `~/.cache`.

    Raises RuntimeError where that takes a home and this user has none, as in a container under a foreign number.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()


def file_checksum(path: Path) -> str:
    """SHA-256 of a file's content. Raises OSError."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that `path` is either the old one or the whole new one, never anything else.

    A link is followed; what is not a regular file (a pipe, a terminal) is written to directly. Raises OSError that names
    `path`.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(content)
        return
    whole = path.resolve()
    # Two may write at once.
    part = whole.with_name(f"{whole.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, whole)
    except OSError as error:
        error.filename = str(path)  # which the user named, not the part
        raise
    finally:
        with suppress(OSError):  # there is none where all went well
            part.unlink()


def json_bytes(value: Any) -> bytes:
    """`value` as indented JSON."""
    return (json.dumps(value, indent=1, default=str) + "\n").encode()


def write_json(path: Path, value: Any) -> None:
    """`value` as indented JSON, atomically. Raises OSError."""
    write_atomically(path, json_bytes(value))
