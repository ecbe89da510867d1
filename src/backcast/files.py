"""Files that are either whole or not there."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that `path` is either the old one or the whole new one, never anything else.

    A link is followed; what is not a regular file (a pipe, a terminal) is written to directly.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(content)
        return
    path = path.resolve()
    part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")  # two may write at once
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """`value` as indented JSON, atomically."""
    write_atomically(path, (json.dumps(value, indent=1, default=str) + "\n").encode())
