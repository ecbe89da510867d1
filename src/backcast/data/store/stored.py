"""Imported rows: flat values, lengths, labels, ids and a description, as files in one folder or in memory."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from backcast.data.sequences import Missing, Picture, Sequences
from backcast.data.store.writer import RowWriter, Written, values_checksum
from backcast.files import file_checksum, write_json

FORMAT = 6  # goes up, too, when the same file would be read as other rows
VALUES, ROWS, META = "values.bin", "rows.arrow", "meta.json"


def write_rows(
    folder: Path,
    name: str,
    sources: list[str],
    read: Callable[[RowWriter], None],
    kind: str,
    dtype: Any,
    fill: bool,
    from_text: bool,
    picture: Callable[[], Picture | None],
    columns: tuple[str, ...],
) -> None:
    """The rows that `read` hands to a writer, as files in `folder`, which exists already; see `cache.import_rows`.

    Raises InputError for what cannot be read, OSError where the disk is full.
    """
    with (folder / VALUES).open("w+b", buffering=1 << 20) as sink:
        writer = RowWriter(sink, name, kind, dtype, fill, from_text)
        read(writer)
        written = writer.finish()
        sink.flush()
        os.fsync(sink.fileno())  # the description comes last: where it exists, so do the values
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
        "columns": columns,
        "checksum": values_checksum(_shaped(values, written)),
        "rows_sha256": file_checksum(folder / ROWS),
    }
    write_json(folder / META, meta)


def open_rows(folder: Path, name: str) -> Sequences | None:
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
        # Lengths, labels and ids; the values are too many to read for that.
        if saved["rows_sha256"] != file_checksum(folder / ROWS):
            return None
        values = _shaped(np.memmap(folder / VALUES, written.dtype, "r"), written)
        shown = None if saved["picture"] is None else Picture(*saved["picture"])
        return _sequences(name, written, values, shown, saved["checksum"], tuple(saved["columns"]))
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return None


def memory_rows(
    name: str,
    read: Callable[[RowWriter], None],
    *,
    kind: str = "auto",
    dtype: Any = np.float64,
    fill: bool = False,
) -> Sequences:
    """The rows that `read` hands to a writer, in memory: for what is in memory already."""
    sink = io.BytesIO()
    writer = RowWriter(sink, name, kind, dtype, fill)
    read(writer)
    written = writer.finish()
    return _sequences(name, written, _shaped(np.frombuffer(sink.getbuffer(), written.dtype), written))


def _shaped(values: np.ndarray, written: Written) -> np.ndarray:
    return values.reshape(-1, written.channels) if written.kind == "real" else values


def _sequences(
    name: str,
    written: Written,
    values: np.ndarray,
    picture: Picture | None = None,
    checksum: str | None = None,
    columns: tuple[str, ...] = (),
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
        columns=columns,
    )
