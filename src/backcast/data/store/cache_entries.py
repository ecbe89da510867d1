"""What `backcast cache` lists and removes; see `cache` for the layout of the folder."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from backcast.data.store.cache import CHECKSUMS, cache_folder, remove
from backcast.data.store.stored import META
from backcast.errors import InputError, plural

OWN = re.compile(r"([0-9a-f]{32})(\.part-\d+|\.lock)?")
"""Our own names; nothing else in the folder is touched."""


@dataclass(frozen=True)
class Entry:
    """An imported data set in the cache."""

    folder: Path
    sources: list[str]
    rows: int
    size: int  # bytes
    used: float  # seconds since the epoch


class Cleaned(NamedTuple):
    """What `clean` removed: imports, remains of unfinished imports, and the bytes of both."""

    entries: int
    remains: int
    size: int


def entries() -> list[Entry]:
    """What is in the cache, the most recently used first."""
    found = []
    for meta in cache_folder().glob("*/" + META):
        try:
            if OWN.fullmatch(meta.parent.name) and not meta.parent.suffix:
                saved = json.loads(meta.read_text(encoding="utf-8"))
                used, sources = meta.stat().st_mtime, [str(source) for source in saved["sources"]]
                found.append(Entry(meta.parent, sources, int(saved["rows"]), _size(meta.parent), used))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(found, key=lambda entry: -entry.used)


def clean(older_than_days: float = 0.0) -> Cleaned:
    """Removes what has not been used for so many days, and what broken imports left. Raises InputError where it cannot.

    Imports under way are left alone. A process that is reading an entry keeps it until the process ends (on Linux
    and macOS).
    """
    before = time.time() - older_than_days * 86_400
    known = {entry.folder.name: entry.used for entry in entries()}
    removed = remains = size = 0
    with _removable():
        own = [match for path in _inside(cache_folder()) if (match := OWN.fullmatch(path.name))]
        for key in sorted({match[1] for match in own}):
            folder = cache_folder() / key
            if known.get(key, 0.0) > before:
                continue
            lock = folder.with_suffix(".lock")
            try:
                with FileLock(lock, timeout=0):
                    for path in (folder, *folder.parent.glob(f"{key}.part-*")):
                        if path.exists():
                            size += _size(path)
                            remove(path)
                            whole = path == folder and key in known
                            removed, remains = removed + whole, remains + (not whole)
                    with suppress(PermissionError):  # Windows keeps an open file
                        lock.unlink(missing_ok=True)
            except Timeout:
                continue
        for path in _inside(cache_folder() / CHECKSUMS):
            with suppress(FileNotFoundError):  # a note that is being written gets another name
                if path.stat().st_mtime <= before:
                    remove(path)
    return Cleaned(removed, remains, size)


def listing() -> list[str]:
    """One line per import, the most recently used first, and their total."""
    found = entries()
    lines = [
        f"{entry.rows:>11,} rows {entry.size / 1e6:>11,.1f} MB   used {_date(entry.used)}   {_named(entry.sources)}"
        for entry in found
    ]
    total = f"{imports(len(found))}, {sum(entry.size for entry in found) / 1e6:,.1f} MB in {cache_folder()}"
    unfinished = sum(_size(part) for part in cache_folder().glob("*.part-*"))
    if unfinished:
        total += f"; {unfinished / 1e6:,.1f} MB of imports that are under way or were cut short"
    return [*lines, total]


def imports(count: int) -> str:
    return f"{count:,} {plural(count, 'import')}"


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


def _named(sources: list[str]) -> str:
    more = f" and {len(sources) - 1:,} more" if len(sources) > 1 else ""
    return (sources[0] if sources else "?") + more


@contextmanager
def _removable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{error.filename or cache_folder()}: cannot be removed: {error.strerror or error}"
        ) from None


def _inside(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _size(folder: Path) -> int:
    total = 0
    with suppress(FileNotFoundError):  # another process may rename or remove it meanwhile
        for file in folder.rglob("*"):
            total += file.stat().st_size if file.is_file() else 0
    return total
