"""Data that were imported once: flat values and offsets in a folder, mapped into memory when they are used.

Files are named by what they hold (SHA-256 of the source's contents and of how it was to be read), so that a changed
file is imported anew and a copied one is not. `BACKCAST_CACHE` names the place; `backcast cache` lists and cleans it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from filelock import FileLock

from backcast.data.sequences import Missing, Picture, Sequences
from backcast.data.writer import RowWriter, Written, values_checksum
from backcast.errors import InputError
from backcast.files import write_json

FORMAT = 1
SETTLED = 2_000_000_000  # nanoseconds after which a file's times tell a change
VALUES, ROWS, META = "values.bin", "rows.arrow", "meta.json"


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
) -> Sequences:
    """The rows that `read` hands to a writer, from the cache where they are there already.

    files     all that `read` reads; their contents, and `options`, are the key
    picture   asked once the rows have been read

    Raises InputError for what cannot be read, and where the cache cannot be written. An import that is
    cut short leaves nothing; two processes wait for each other.
    """
    parts = [FORMAT, [_checksum(file) for file in files], options, kind, np.dtype(dtype).str, fill, from_text]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]
    folder = cache_folder() / key
    with _usable_cache():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            found = _open(folder, name)
            if found is None:
                _remove(folder)
                part = folder.with_suffix(f".part-{os.getpid()}")
                _remove(part)
                try:
                    part.mkdir()
                    _import(
                        part, name, [str(file) for file in files], read, kind, dtype, fill, from_text, picture
                    )
                    os.replace(part, folder)
                finally:
                    _remove(part)
                found = _open(folder, name)
            else:
                os.utime(folder / META)
    assert found is not None
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
    return _sequences(name, written, _shaped(np.frombuffer(sink.getbuffer(), written.dtype), written))


@dataclass(frozen=True)
class Entry:
    """An imported data set in the cache."""

    folder: Path
    sources: list[str]
    rows: int
    size: int  # bytes
    used: float  # seconds since the epoch


def entries() -> list[Entry]:
    """What is in the cache, the last used first."""
    found = []
    for meta in cache_folder().glob("*/" + META):
        try:
            saved = json.loads(meta.read_text())
            size = sum(file.stat().st_size for file in meta.parent.iterdir())
            found.append(Entry(meta.parent, saved["sources"], saved["rows"], size, meta.stat().st_mtime))
        except (OSError, ValueError, KeyError):
            continue
    return sorted(found, key=lambda entry: -entry.used)


def clean(older_than_days: float = 0.0) -> tuple[int, int]:
    """Removes what was not used for so many days, and what broken imports left: entries and bytes.

    A process that is reading an entry keeps it until it ends (on Linux and macOS).
    """
    before = time.time() - older_than_days * 86_400
    removed = size = 0
    for entry in entries():
        if entry.used <= before:
            with FileLock(entry.folder.with_suffix(".lock")):
                _remove(entry.folder)
            removed, size = removed + 1, size + entry.size
    for rest in (*cache_folder().glob("*.part-*"), cache_folder() / "checksums"):
        if rest.exists() and rest.stat().st_mtime <= before:
            _remove(rest)
    return removed, size


def _import(
    folder: Path,
    name: str,
    sources: list[str],
    read: Callable[[RowWriter], None],
    kind: str,
    dtype: Any,
    fill: bool,
    from_text: bool,
    picture: Callable[[], Picture | None],
) -> None:
    with (folder / VALUES).open("w+b", buffering=1 << 20) as sink:
        writer = RowWriter(sink, name, kind, dtype, fill, from_text)
        read(writer)
        written = writer.finish()
    ids = written.ids.tolist()
    ids = ids if written.ids.dtype.kind == "i" else [str(one) for one in ids]
    table = pa.table({"length": written.lengths, "label": written.labels, "id": ids})
    with pa.OSFile(str(folder / ROWS), "wb") as file, pa.ipc.new_file(file, table.schema) as out:
        out.write_table(table)
    shown = picture()
    values = np.memmap(folder / VALUES, written.dtype, "r")
    meta = {
        "format": FORMAT,
        "sources": sources,
        "rows": len(written.lengths),
        "kind": written.kind,
        "dtype": written.dtype.str,
        "channels": written.channels,
        "classes": written.classes,
        "symbols": written.symbols,
        "missing": written.missing,
        "picture": None if shown is None else [shown.height, shown.width],
        "checksum": values_checksum(_shaped(values, written)),
    }
    write_json(folder / META, meta)


def _open(folder: Path, name: str) -> Sequences | None:
    """The rows in `folder`; None where there are none, or they are not whole."""
    try:
        saved = json.loads((folder / META).read_text(encoding="utf-8"))
        with pa.memory_map(str(folder / ROWS)) as file:
            table = pa.ipc.open_file(file).read_all()
        ids = (
            table["id"].to_numpy()
            if pa.types.is_integer(table["id"].type)
            else np.array(table["id"].to_pylist(), object)
        )
        written = Written(
            kind=saved["kind"],
            dtype=np.dtype(saved["dtype"]),
            channels=saved["channels"],
            lengths=table["length"].to_numpy().copy(),
            labels=table["label"].to_numpy().copy(),
            classes=tuple(saved["classes"]),
            ids=ids.copy(),
            symbols=tuple(saved["symbols"]),
            missing=None if saved["missing"] is None else Missing(*saved["missing"]),
        )
        size = int(written.lengths.sum()) * written.channels * written.dtype.itemsize
        if saved["format"] != FORMAT or (folder / VALUES).stat().st_size != size:
            return None
        values = _shaped(np.memmap(folder / VALUES, written.dtype, "r"), written)
        shown = None if saved["picture"] is None else Picture(*saved["picture"])
        return _sequences(name, written, values, shown, saved["checksum"])
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return None


def _shaped(values: np.ndarray, written: Written) -> np.ndarray:
    return values.reshape(-1, written.channels) if written.kind == "real" else values


def _sequences(
    name: str,
    written: Written,
    values: np.ndarray,
    picture: Picture | None = None,
    checksum: str | None = None,
) -> Sequences:
    return Sequences(
        name=name,
        kind=written.kind,
        values=values,
        starts=np.concatenate([[0], np.cumsum(written.lengths)[:-1]]).astype(np.int64),
        lengths=written.lengths,
        labels=written.labels,
        classes=written.classes,
        ids=written.ids,
        symbols=written.symbols,
        missing=written.missing,
        picture=picture,
        checksum=checksum,
    )


def _checksum(file: Path) -> str:
    """SHA-256 of a file; taken once for a file that stays as it is (place, size, times)."""
    try:
        stat = file.stat()
        sign = [str(file.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        changed = max(stat.st_mtime_ns, stat.st_ctime_ns)
        known = cache_folder() / "checksums" / hashlib.sha256(repr(sign).encode()).hexdigest()[:32]
        try:
            return known.read_text()
        except (OSError, ValueError):
            pass
        settled = time.time_ns() - changed > SETTLED
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from None
    if not settled:  # changed again at once, it could have the same size and times
        return digest
    with _usable_cache():
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
        raise InputError(
            f"{cache_folder()}: imported data cannot be kept there ({error.strerror or error}); "
            "make room, or name another folder in BACKCAST_CACHE"
        ) from None


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
