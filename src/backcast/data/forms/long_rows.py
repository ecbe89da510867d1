"""Tables with one row per step: grouped into sequences by id, sorted by time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from backcast.data.forms.cells import dates, first_no_number, have_decimal_commas, numbers, shown
from backcast.data.forms.frames import Frame, Table
from backcast.data.forms.table_rows import counted, named_labels, names_of, plain
from backcast.data.reading import Reading, features, label_column, require
from backcast.data.store.labels import is_missing
from backcast.data.store.writer import MOST_SYMBOLS, RowWriter
from backcast.errors import InputError

EXACT = 2**53  # whole numbers below it are themselves as float64


class LongRows:
    """Reads a long table. Ids, times and labels are in memory (about 40 bytes per step), features in a temporary file.

    Sequences come in ascending order of id, numerically where all ids are numbers; steps in ascending order of time.
    """

    def __init__(self, table: Table, reading: Reading, folder: str | None = None) -> None:
        if reading.id is None and "id" not in table.names:
            raise InputError(
                f"{table.name}: --time says one row per step; name the column of the sequences by --id"
            )
        self.table, self.kind, self.folder = table, reading.kind, folder
        self.needs_labels = reading.labels
        self.id = require(reading.id or "id", "--id", table.names, table.name)
        self.time = require(reading.time or "", "--time", table.names, table.name)
        self.label = label_column(reading, table.names, table.name)
        self.features = features(reading, table.names, (self.id, self.time, self.label), table.name)
        as_words = reading.kind == "symbols" and len(self.features) == 1
        self._words: dict[str, int] | None = {} if as_words else None
        self._begun, self._whole = False, True
        self._time_kind = ""

    def named(self) -> tuple[str, ...]:
        """See `Sequences.columns`."""
        return self.features

    def dtype(self) -> np.dtype[Any]:
        """The type in which the numbers are kept."""
        return np.dtype(np.float64)

    def read(self, writer: RowWriter) -> None:
        """All rows. Raises InputError for a time that is missing or occurs twice, and a sequence with two labels."""
        names = self.table.class_names(self.label) if self.label is not None and self.needs_labels else None
        known: dict[Any, int] = {}
        labels: list[Any] = []
        owners, times = [], []
        columns = list(dict.fromkeys([self.id, self.time, *filter(None, [self.label]), *self.features]))
        with tempfile.TemporaryFile(dir=self.folder) as store:
            count = 0
            for frame in self.table.frames(columns):
                ids = names_of(frame.columns[self.id], self.table)
                owner = np.empty(frame.rows, np.int64)
                given = [None] * frame.rows
                if self.label is not None and self.needs_labels:
                    given = named_labels(frame.columns[self.label], names, self.table, frame.place)
                for i, (one, label) in enumerate(zip(ids, given, strict=True)):
                    if one is None or one == "":
                        raise InputError(f"{self.table.name}: {frame.place(i)} has no id")
                    if not isinstance(one, (int, str)) or isinstance(one, bool):
                        raise InputError(
                            f"{self.table.name}: {frame.place(i)} has the id {shown(one)}; "
                            "ids must be whole numbers or strings"
                        )
                    number = known.setdefault(one, len(known))
                    owner[i] = number
                    if number == len(labels):
                        labels.append(label)
                    elif is_missing(labels[number]):
                        labels[number] = label
                    elif not is_missing(label) and label != labels[number]:
                        raise InputError(
                            f"{self.table.name}: {frame.place(i)} gives the sequence {shown(one)} the label "
                            f"{shown(label)}, rows before it {shown(labels[number])}"
                        )
                owners.append(owner)
                times.append(self._times(frame))
                store.write(self._values(frame.columns, frame.rows, frame.place).data)
                count += frame.rows
            if not count:
                raise InputError(f"{self.table.name}: there are no rows in it")
            self._write(writer, store, list(known), labels, _joined(owners), _joined(times))

    def _write(
        self,
        writer: RowWriter,
        store: BinaryIO,
        ids: list[Any],
        labels: list[Any],
        owner: NDArray[np.int64],
        time: NDArray[Any],
    ) -> None:
        order = np.lexsort((time, owner))
        owner, time = owner[order], time[order]
        twice = np.flatnonzero((owner[1:] == owner[:-1]) & (time[1:] == time[:-1]))
        if len(twice):
            first, second = sorted(order[twice[0] : twice[0] + 2].tolist())
            raise InputError(
                f"{self.table.name}: the sequence {shown(ids[owner[twice[0]]])} has two steps of one time, "
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
            writer.add(elements, labels[number], ids[number], f"the sequence {shown(ids[number])}")

    def _one(self, values: NDArray[np.float64]) -> NDArray[Any]:
        """A single feature, as integers if all its numbers are whole, as in a list."""
        return values.astype(np.int64) if self._whole else values

    def _times(self, frame: Frame) -> NDArray[Any]:
        """Numbers, or dates and times in units of their own; of the same kind in all frames."""
        column, table, place = frame.columns[self.time], self.table.name, frame.place
        kind = "number"
        values: NDArray[Any] | None
        if isinstance(column, pa.Array) and (
            pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)
        ):
            kind = str(column.type)
            integers = pa.int32() if pa.types.is_date32(column.type) else pa.int64()
            values = column.cast(integers).to_numpy(zero_copy_only=False)
        else:
            values = _floats(column, table)
        if values is None:
            words = [word.strip() for word in _words(column, table)]
            kind, values = dates(words)
            if values is None:
                zoned = [dates([word])[1] is not None for word in words]
                row = zoned.index(False) if False in zoned else 0
                hint = "" if False in zoned else ", and a time zone in all rows or in none"
                raise InputError(
                    f"{table}: {place(row)} has the time {words[row][:40]!r}; a number, or a date and time as "
                    f"2026-01-31 12:00:00 (with microseconds at most), is needed{hint}"
                )
        if not np.isfinite(values).all():
            raise InputError(f"{table}: {place(int(np.argmin(np.isfinite(values))))} has no time")
        if kind != (self._time_kind or kind):
            raise InputError(
                f"{table}: {place(0)} and those behind it have times of another kind than those before it "
                f"({kind}, {self._time_kind})"
            )
        self._time_kind = kind
        return values

    def _values(
        self, columns: dict[str, Any], count: int, place: Callable[[int], str]
    ) -> NDArray[np.float64]:
        """(count, features) as float64; words as their numbers."""
        found = np.empty((count, len(self.features)), np.float64)
        for i, name in enumerate(self.features):
            column = counted(columns[name])
            nested = _first_nested(column)
            if nested is not None:
                raise InputError(
                    f"{self.table.name}: {place(nested)}: `{name}` holds a list; with --time a row is one step"
                )
            values = _floats(column, self.table.name)
            may_be_words = not self._begun and len(self.features) == 1 and self.kind != "real"
            if values is None and may_be_words and not have_decimal_commas(_words(column, self.table.name)):
                self._words = {}
            self._begun = True
            if self._words is not None:
                cells = plain(column, self.table.name)
                empty = next(
                    (row for row, cell in enumerate(cells) if cell is None or cell == "" or cell != cell),
                    None,
                )
                if empty is not None:
                    raise InputError(f"{self.table.name}: {place(empty)}: the cell of `{name}` is empty")
                found[:, 0] = [self._words.setdefault(str(cell), len(self._words)) for cell in cells]
                if len(self._words) > MOST_SYMBOLS:
                    raise InputError(
                        f"{self.table.name}: `{name}` holds more than {MOST_SYMBOLS} different words"
                    )
                continue
            if values is None:
                words = _words(column, self.table.name)
                row = first_no_number(words)
                hint = "--x chooses the features, --kind symbols reads words"
                if len(self.features) > 1:
                    hint = f"words beside numbers are not read: make 0/1 columns of `{name}`, or leave it out with --x"
                raise InputError(
                    f"{self.table.name}: {place(row)}: `{name}` is {words[row][:40]!r}, not a number; {hint}"
                )
            self._whole &= values.dtype.kind in "iu" and int(abs(values).max()) < EXACT
            found[:, i] = values
        return found


def _first_nested(column: Any) -> int | None:
    """The first row that holds a list or an object instead of a value."""
    if isinstance(column, (pa.Array, pa.ChunkedArray)):
        return 0 if pa.types.is_nested(column.type) else None
    return next((row for row, cell in enumerate(column) if isinstance(cell, (list, dict))), None)


def _floats(column: Any, table: str) -> NDArray[Any] | None:
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
        column = plain(column, table)
    if all(
        isinstance(cell, (int, float)) and not isinstance(cell, bool) for cell in column if cell is not None
    ):
        values = np.array([np.nan if cell is None else cell for cell in column])
        if values.dtype != object:  # whole numbers beyond 64 bits continue as words
            return values
    return numbers(_words(column, table))


def _words(column: Any, table: str) -> list[str]:
    return ["" if cell is None else str(cell) for cell in plain(column, table)]


def _joined(pieces: list[NDArray[Any]]) -> NDArray[Any]:
    """All pieces in one array; `pieces` is emptied, so that such large arrays are not kept twice."""
    whole = np.concatenate(pieces)
    pieces.clear()
    return whole


def _ascending(ids: list[Any], owners: NDArray[np.int64]) -> Sequence[int]:
    """The order of the sequences by their ids."""
    names = [ids[owner] for owner in owners]
    values = numbers([str(name) for name in names])
    if values is not None and np.isfinite(values.astype(np.float64)).all():
        return np.argsort(values, kind="stable").tolist()
    return sorted(range(len(names)), key=lambda i: str(names[i]))
