"""The cache of imported data: one folder of files per import (`stored`), mapped into memory when used.

Folders are named by what they hold (SHA-256 of the source's contents and of how it was to be read), so that a changed
file is imported again and a copied one is not. `BACKCAST_CACHE` names the place; `cache_entries` lists and cleans it.

    KEY/            a whole import: it gets this name once all of it is written
    KEY.part-PID/   one under way; its process holds the lock, so if nobody does, the process was killed
    KEY.lock        only avoids doing work twice; what is read is right without it, too
    checksums/      of source files, reused while a file is unchanged
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
from backcast.data.store.stored import FORMAT, META, open_rows, write_rows
from backcast.data.store.writer import RowWriter
from backcast.errors import InputError
from backcast.files import cache_home, file_checksum

CHECKSUMS = "checksums"
SETTLED = 2_000_000_000  # nanoseconds; a later change of a file this old shows in its times


def cache_folder() -> Path:
    """Where imported data are kept: `BACKCAST_CACHE`, else `backcast/data` in the user's cache folder.

    Raises InputError where that takes a home and this user has none.
    """
    own = os.environ.get("BACKCAST_CACHE")
    try:
        return Path(own).expanduser() if own else cache_home() / "backcast" / "data"
    except RuntimeError:
        raise InputError(
            "this user has no home to keep imported data in; name a folder in BACKCAST_CACHE, by its whole path"
        ) from None


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
    """The rows that `read` hands to a writer, from the cache where it has them already.

    files     all that `read` reads; their contents, and `options`, are the key
    picture   asked once the rows have been read
    columns   see `Sequences.columns`

    Raises InputError for what cannot be read or changes meanwhile, and where the cache cannot be written. An unfinished
    import leaves nothing that is used; a process waits for another that is importing the same data.
    """
    signs = {file: sign(file) for file in files}
    checksums = [_checksum(file, now) for file, now in signs.items()]
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
                for file, before in signs.items():
                    require_unchanged(file, before)
                _rename(part, folder)
            finally:
                with suppress(OSError):  # report what went wrong first; `clean` sees to the rest
                    remove(part)
            found = _use(folder, name)
    if found is None:
        raise InputError(
            f"{folder}: was written but cannot be read back; name another folder in BACKCAST_CACHE"
        )
    return found


def _use(folder: Path, name: str) -> Sequences | None:
    """The rows in `folder`, which count as used now; None where there are none, or they are not whole."""
    found = open_rows(folder, name)
    if found is not None:
        with suppress(OSError):  # somebody else's, or read-only: good enough to read
            os.utime(folder / META)
    return found


def _rename(part: Path, folder: Path) -> None:
    """Names a whole import; if another process was faster (locks may fail on network disks), its import is used."""
    try:
        os.replace(part, folder)
    except OSError:
        if not (folder / META).exists():
            raise


class Sign(NamedTuple):
    """What changes with a file's content, except for changes in quick succession: file times are too coarse."""

    place: str
    size: int
    modified: int  # nanoseconds
    changed: int
    inode: int


def sign(file: Path) -> Sign:
    """A file as it is now. Raises InputError."""
    try:
        stat = file.stat()
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from None
    return Sign(str(file.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)


def require_unchanged(file: Path, before: Sign) -> None:
    """Raises InputError where `file` is no longer what it was `before`."""
    if sign(file) != before:
        raise InputError(f"{file}: was changed while it was read; try again once it is whole")


def _checksum(file: Path, sign: Sign) -> str:
    """SHA-256 of a file, computed once as long as it does not change. Raises InputError."""
    known = cache_folder() / CHECKSUMS / hashlib.sha256(repr([*sign]).encode()).hexdigest()[:32]
    try:
        with suppress(OSError, ValueError):
            if re.fullmatch("[0-9a-f]{64}", noted := known.read_text("ascii")):
                return noted
        settled = time.time_ns() - max(sign.modified, sign.changed) > SETTLED
        digest = file_checksum(file)
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from None
    if not settled:  # if changed again right away, it could have the same size and times
        return digest
    with suppress(OSError):  # a note only saves time
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
