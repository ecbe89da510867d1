"""Files of rows, by their endings; several tables of one form are read one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backcast.data.forms.arrays import read_npz
from backcast.data.forms.folders import FORMS
from backcast.data.forms.frames import TABLE_SUFFIXES, Frame, Table, open_table, table_suffix
from backcast.data.forms.long_rows import LongRows
from backcast.data.forms.table_rows import TableRows
from backcast.data.forms.ts_files import read_ts
from backcast.data.reading import Reading
from backcast.data.sequences import Sequences, some
from backcast.data.store.cache import cache_folder, import_rows, require_unchanged, sign
from backcast.data.store.writer import RowWriter
from backcast.errors import InputError

FILE_SUFFIXES = (*TABLE_SUFFIXES, ".npz", ".npy", ".ts")


def read_files(files: Sequence[Path], reading: Reading, name: str | None = None) -> Sequences:
    """The rows of one file, or of several tables of the same form. Raises InputError, naming file and place."""
    first = files[0]
    if table_suffix(first) is not None:
        return read_tables(files, reading, name)
    if len(files) > 1:
        raise InputError(
            f"{first.parent}: {first.name} and {files[1].name} are both there; name the one to read"
        )
    suffix = first.suffix.lower()
    if suffix in (".npz", ".npy"):
        return read_npz(first, reading)
    if suffix == ".ts":
        return import_rows(
            str(first), files, {"form": "ts"}, lambda writer: read_ts(first, writer),
            kind="real" if reading.kind == "auto" else reading.kind, fill=reading.fill_missing, from_text=True,
        )  # fmt: skip
    if suffix in FORMS:
        raise InputError(f"{first}: a {suffix} file is one row; put it into a folder, and name the folder")
    raise InputError(
        f"{first}: the ending {first.suffix or '(none)'} is not known; known are {', '.join(FILE_SUFFIXES)} "
        "(tables also with .gz), and folders"
    )


def read_tables(
    files: Sequence[Path], reading: Reading, name: str | None = None, class_names: Sequence[Any] | None = None
) -> Sequences:
    """The rows of tables, which must have the same columns.

    class_names  what the numbers in the label column stand for, where the files do not say
    """
    before = {file: sign(file) for file in files}
    table = _Tables(
        [open_table(file, reading.header, reading.chooses) for file in files],
        name or str(files[0]),
        class_names,
    )
    reader: TableRows | LongRows
    if reading.time is not None:
        folder = cache_folder()
        with suppress(OSError):  # `import_rows` says why it cannot be used
            folder.mkdir(parents=True, exist_ok=True)
        reader = LongRows(table, reading, str(folder) if folder.is_dir() else None)
    else:
        reader = TableRows(table, reading)
    options = {"form": table_suffix(files[0]), **asdict(reading), "class_names": class_names}

    def read(writer: RowWriter) -> None:
        for file, opened in before.items():  # the reader goes by the header that it saw then
            require_unchanged(file, opened)
        reader.read(writer)

    def picture() -> Any:
        return reader.picture() if isinstance(reader, TableRows) else None

    return import_rows(
        table.name, files, options, read, kind=reading.kind, dtype=reader.dtype(),
        fill=reading.fill_missing, from_text=table.from_text, picture=picture, columns=reader.named(),
    )  # fmt: skip


class _Tables:
    """Several tables, read as one."""

    def __init__(self, tables: list[Table], name: str, class_names: Sequence[Any] | None) -> None:
        self.tables, self.name, self._class_names = tables, name, class_names
        self.names = tables[0].names
        self.from_text = tables[0].from_text
        for table in tables[1:]:
            if set(table.names) != set(self.names):
                raise InputError(
                    f"{table.name}: has the columns {', '.join(table.names)}; {tables[0].name} has {', '.join(self.names)}"
                )

    def class_names(self, column: str) -> Sequence[Any] | None:
        if self._class_names:
            return self._class_names
        first = self.tables[0].class_names(column)
        for table in self.tables[1:]:
            if (names := table.class_names(column)) != first:
                raise InputError(
                    f"{table.name}: the numbers of `{column}` stand for {_words(names)}, in {self.tables[0].name} for {_words(first)}; "
                    "write the names themselves"
                )
        return first

    def frames(self, columns: Sequence[str]) -> Iterator[Frame]:
        for table in self.tables:
            for frame in table.frames(columns):
                if frame.rows:
                    yield frame if len(self.tables) == 1 else _told_apart(frame, Path(table.name).name)


def _words(names: Sequence[Any] | None) -> str:
    return some(tuple(names)) if names else "themselves"


def _told_apart(frame: Frame, file: str) -> Frame:
    return frame._replace(place=lambda i: f"{file}, {frame.place(i)}")
