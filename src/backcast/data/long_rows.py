"""Tables with one row a step: put together by id, sorted by time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from backcast.data.cells import first_no_number, numbers
from backcast.data.frames import Table
from backcast.data.reading import Reading, features, label_column, require
from backcast.data.table_rows import plain
from backcast.data.writer import RowWriter
from backcast.errors import InputError


class LongRows:
    """Reads a long table. Ids, times and labels are in memory (24 bytes a step), the features in a temporary file.

    Sequences come in ascending id, numerically where all ids are numbers; steps in ascending time.
    """

    def __init__(self, table: Table, reading: Reading, folder: str | None = None) -> None:
        if reading.id is None and "id" not in table.names:
            raise InputError(
                f"{table.name}: --time says one row a step; name the column of the sequences by --id"
            )
        self.table, self.kind, self.folder = table, reading.kind, folder
        self.id = require(reading.id or "id", "--id", table.names, table.name)
        self.time = require(reading.time or "", "--time", table.names, table.name)
        self.label = label_column(reading, table.names, table.name)
        self.features = features(reading, table.names, (self.id, self.time, self.label), table.name)
        self._words: dict[str, int] | None = None
        self._begun, self._whole = False, True

    def dtype(self) -> np.dtype[Any]:
        """In which the numbers are kept."""
        return np.dtype(np.float64)

    def read(self, writer: RowWriter) -> None:
        """Raises InputError for a time that is missing or stands twice, and for a sequence with two labels."""
        known: dict[Any, int] = {}
        labels: list[Any] = []
        owners, times = [], []
        columns = list(dict.fromkeys([self.id, self.time, *filter(None, [self.label]), *self.features]))
        with tempfile.TemporaryFile(dir=self.folder) as store:
            count = 0
            for frame in self.table.frames(columns):
                ids = plain(frame.columns[self.id])
                owner = np.empty(frame.rows, np.int64)
                given = [None] * frame.rows if self.label is None else plain(frame.columns[self.label])
                for i, (one, label) in enumerate(zip(ids, given, strict=True)):
                    if one is None or one == "":
                        raise InputError(f"{self.table.name}: {frame.place(i)} has no id")
                    number = known.setdefault(one, len(known))
                    owner[i] = number
                    if number == len(labels):
                        labels.append(label)
                    elif label not in (None, "", labels[number]):
                        if labels[number] not in (None, ""):
                            raise InputError(
                                f"{self.table.name}: {frame.place(i)} gives the sequence {one!r} the label {label!r}, "
                                f"rows before it {labels[number]!r}"
                            )
                        labels[number] = label
                owners.append(owner)
                times.append(_times(frame.columns[self.time], self.table.name, frame.place))
                store.write(self._values(frame.columns, frame.rows, frame.place).data)
                count += frame.rows
            if not count:
                raise InputError(f"{self.table.name}: there are no rows in it")
            self._write(writer, store, list(known), labels, np.concatenate(owners), np.concatenate(times))

    def _write(
        self,
        writer: RowWriter,
        store: BinaryIO,
        ids: list[Any],
        labels: list[Any],
        owners: NDArray[np.int64],
        times: NDArray[Any],
    ) -> None:
        order = np.lexsort((times, owners))
        owner, time = owners[order], times[order]
        twice = np.flatnonzero((owner[1:] == owner[:-1]) & (time[1:] == time[:-1]))
        if len(twice):
            first, second = sorted(order[twice[0] : twice[0] + 2].tolist())
            raise InputError(
                f"{self.table.name}: the sequence {ids[owner[twice[0]]]!r} has two steps of one time, "
                f"in rows {first} and {second} (counted from 0)"
            )
        store.flush()
        values = np.memmap(store, np.float64, "r", shape=(len(order), len(self.features)))
        borders = np.flatnonzero(np.diff(owner, prepend=-1, append=-1))
        words = None if self._words is None else list(self._words)
        for sequence in _ascending(ids, owner[borders[:-1]]):
            part = order[borders[sequence] : borders[sequence + 1]]
            number = owner[borders[sequence]]
            elements: Any = values[part]
            if words is not None:
                elements = [words[int(code)] for code in elements[:, 0]]
            elif len(self.features) == 1:
                elements = self._one(elements[:, 0])
            writer.add(elements, labels[number], ids[number], f"the sequence {ids[number]!r}")

    def _one(self, values: NDArray[np.float64]) -> NDArray[Any]:
        """A single feature of whole numbers is one of integers, as it would be in a list."""
        return values.astype(np.int64) if self._whole else values

    def _values(
        self, columns: dict[str, Any], count: int, place: Callable[[int], str]
    ) -> NDArray[np.float64]:
        """(count, features) as float64; words as their numbers."""
        found = np.empty((count, len(self.features)), np.float64)
        for i, name in enumerate(self.features):
            column = columns[name]
            values = _floats(column)
            if values is None and not self._begun and len(self.features) == 1 and self.kind != "real":
                self._words = {}
            self._begun = True
            if self._words is not None:
                cells = plain(column)
                empty = next((row for row, cell in enumerate(cells) if cell in (None, "")), None)
                if empty is not None:
                    raise InputError(f"{self.table.name}: {place(empty)}: the cell of `{name}` is empty")
                found[:, 0] = [self._words.setdefault(str(cell), len(self._words)) for cell in cells]
                continue
            if values is None:
                words = [str(cell) for cell in plain(column)]
                row = first_no_number(words)
                raise InputError(
                    f"{self.table.name}: {place(row)}: `{name}` is {words[row][:40]!r}, not a number; "
                    "--x chooses the features"
                )
            self._whole &= values.dtype.kind in "iu"
            found[:, i] = values
        return found


def _floats(column: Any) -> NDArray[Any] | None:
    """A column as numbers, missing ones as NaN; None where it holds something else."""
    if isinstance(column, (pa.Array, pa.ChunkedArray)):
        if pa.types.is_integer(column.type) and not column.null_count:
            return column.to_numpy(zero_copy_only=False)
        if (
            pa.types.is_integer(column.type)
            or pa.types.is_floating(column.type)
            or pa.types.is_null(column.type)
        ):
            return column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        column = plain(column)
    if all(
        isinstance(cell, (int, float)) and not isinstance(cell, bool) for cell in column if cell is not None
    ):
        return np.array([np.nan if cell is None else cell for cell in column])
    return numbers(["" if cell is None else str(cell) for cell in column])


def _times(column: Any, table: str, place: Callable[[int], str]) -> NDArray[Any]:
    """Numbers, or dates and times as microseconds."""
    is_date = isinstance(column, pa.Array) and (
        pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)
    )
    values = (
        column.cast(pa.timestamp("us")).cast(pa.int64()).to_numpy(zero_copy_only=False)
        if is_date
        else _floats(column)
    )
    if values is None:
        words = [str(cell) for cell in plain(column)]
        values = _dates(words)
        if values is None:
            row = next(i for i, word in enumerate(words) if _dates([word]) is None)
            raise InputError(
                f"{table}: {place(row)} has the time {words[row][:40]!r}; a number, or a date and time as "
                "2026-01-31 12:00:00, is needed"
            )
    if not np.isfinite(values).all():
        raise InputError(f"{table}: {place(int(np.argmin(np.isfinite(values))))} has no time")
    return values


def _dates(words: list[str]) -> NDArray[np.int64] | None:
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return pa.array(words).cast(kind).cast(pa.int64()).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:
            continue
    return None


def _ascending(ids: list[Any], owners: NDArray[np.int64]) -> Sequence[int]:
    """The order of the sequences by their ids."""
    names = [ids[owner] for owner in owners]
    values = numbers([str(name) for name in names])
    if values is not None and np.isfinite(values.astype(np.float64)).all():
        return np.argsort(values, kind="stable").tolist()
    return sorted(range(len(names)), key=lambda i: str(names[i]))
