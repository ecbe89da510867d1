"""Data that were imported once: a folder of files each (`stored`), mapped into memory when they are used.

Folders are named by what they hold (SHA-256 of the source's contents and of how it was to be read), so that a changed
file is imported anew and a copied one is not. `BACKCAST_CACHE` names the place; `cache_entries` lists and cleans it.

    KEY/            an import, whole: it gets this name when all of it is written
    KEY.part-PID/   one under way; whoever works on it holds the lock, so without a holder it is of a killed process
    KEY.lock        saves work that would be done twice; what is read is right without it, too
    checksums/      of files that stay as they are
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock

from backcast.data.sequences import Picture, Sequences
from backcast.data.store.stored import FORMAT, META, open_rows, sequences_of, shaped, write_rows
from backcast.data.store.writer import RowWriter
from backcast.errors import InputError

CHECKSUMS = "checksums"
SETTLED = 2_000_000_000  # nanoseconds after which a file's times tell a change


def cache_folder() -> Path:
    """Where imported data lie: `BACKCAST_CACHE`, else `backcast/data` in the user's cache folder."""
    if own := os.environ.get("BACKCAST_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "backcast" / "data"


def import_rows(
    name: str,
    files: Sequence[Path],
    options: dict[str, Any],
    read: Callable[[RowWriter], None],
    *,
    kind: str = "auto",
    dtype: Any = np.float64,
    fill: bool = False,
    from_text: bool = False,
    picture: Callable[[], Picture | None] = lambda: None,
    columns: tuple[str, ...] = (),
) -> Sequences:
    """The rows that `read` hands to a writer, from the cache where they are there already.

    files     all that `read` reads; their contents, and `options`, are the key
    picture   asked once the rows have been read
    columns   see `Sequences.columns`

    Raises InputError for what cannot be read, or changes while it is, and where the cache cannot be written. An import
    that is cut short leaves nothing that is used; two processes wait for each other.
    """
    signs = {file: _sign(file) for file in files}
    checksums = [_checksum(file, sign) for file, sign in signs.items()]
    parts = [FORMAT, checksums, options, kind, np.dtype(dtype).str, fill, from_text]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]
    folder = cache_folder() / key
    found = _use(folder, name)
    if found is not None:
        return found
    with _usable_cache():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            found = _use(folder, name)
            if found is not None:
                return found
            for broken in (folder, *folder.parent.glob(f"{key}.part-*")):
                remove(broken)
            part = folder.with_suffix(f".part-{os.getpid()}")
            try:
                part.mkdir()
                sources = [str(file) for file in files]
                write_rows(part, name, sources, read, kind, dtype, fill, from_text, picture, columns)
                for file, sign in signs.items():
                    if _sign(file) != sign:
                        raise InputError(f"{file}: was changed while it was read; try again once it is whole")
                _rename(part, folder)
            finally:
                with suppress(OSError):  # what went wrong first is what is told; `clean` sees to the rest
                    remove(part)
            found = _use(folder, name)
    if found is None:
        raise InputError(
            f"{folder}: was written but cannot be read back; name another folder in BACKCAST_CACHE"
        )
    return found


def memory_rows(
    name: str,
    read: Callable[[RowWriter], None],
    *,
    kind: str = "auto",
    dtype: Any = np.float64,
    fill: bool = False,
) -> Sequences:
    """The rows that `read` hands to a writer, in memory: for what is in memory already."""
    import io

    sink = io.BytesIO()
    writer = RowWriter(sink, name, kind, dtype, fill)
    read(writer)
    written = writer.finish()
    return sequences_of(name, written, shaped(np.frombuffer(sink.getbuffer(), written.dtype), written))


def _use(folder: Path, name: str) -> Sequences | None:
    """The rows in `folder`, which count as used now; None where they are not there, or not whole."""
    found = open_rows(folder, name)
    if found is not None:
        with suppress(OSError):  # somebody else's, or read-only: good enough to read
            os.utime(folder / META)
    return found


def _rename(part: Path, folder: Path) -> None:
    """Gives a whole import its name; where another process was faster (locks may not work on a network's disk), its is taken."""
    try:
        os.replace(part, folder)
    except OSError:
        if not (folder / META).exists():
            raise


class _Sign(NamedTuple):
    """What changes with a file's content, but for changes at once: the times are not so fine."""

    place: str
    size: int
    modified: int  # nanoseconds
    changed: int
    inode: int


def _sign(file: Path) -> _Sign:
    """Raises InputError."""
    try:
        stat = file.stat()
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from None
    return _Sign(str(file.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)


def _checksum(file: Path, sign: _Sign) -> str:
    """SHA-256 of a file; taken once for a file that stays as it is. Raises InputError."""
    known = cache_folder() / CHECKSUMS / hashlib.sha256(repr([*sign]).encode()).hexdigest()[:32]
    try:
        with suppress(OSError, ValueError):
            if re.fullmatch("[0-9a-f]{64}", noted := known.read_text("ascii")):
                return noted
        settled = time.time_ns() - max(sign.modified, sign.changed) > SETTLED
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from None
    if not settled:  # changed again at once, it could have the same size and times
        return digest
    with suppress(OSError):  # a note saves time, no more
        known.parent.mkdir(parents=True, exist_ok=True)
        part = known.with_suffix(f".{os.getpid()}")
        part.write_text(digest)
        os.replace(part, known)
    return digest


@contextmanager
def _usable_cache() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place, own = error.filename, cache_folder()
        if isinstance(place, str) and not (Path(place).is_relative_to(own) or own.is_relative_to(place)):
            raise InputError(f"{place}: cannot be read: {error.strerror}") from None
        raise InputError(
            f"{own}: imported data cannot be kept there ({error.strerror or error}); "
            "make room, or name another folder in BACKCAST_CACHE"
        ) from None


def remove(path: Path) -> None:
    """Raises OSError where it cannot."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
