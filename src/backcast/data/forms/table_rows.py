"""Tables with one row per sequence: a list in a cell, a text, a picture, a sound; or one column per step (wide)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from backcast.data.forms.cells import (
    Pictures,
    Sounds,
    first_no_number,
    from_list,
    from_words,
    numbers,
    parse_list,
    shown,
)
from backcast.data.forms.frames import Table
from backcast.data.reading import Columns, Reading, choose_columns
from backcast.data.sequences import Picture
from backcast.data.store.writer import Elements, RowWriter
from backcast.errors import InputError


class TableRows:
    """Reads a table row by row into a writer. Raises InputError where it is unclear which columns to read."""

    def __init__(self, table: Table, reading: Reading) -> None:
        self.table, self.reading = table, reading
        self.columns: Columns = choose_columns(reading, table.names, table.name)
        self._pictures, self._sounds = Pictures(reading.side), Sounds()
        self._begun = False

    def dtype(self) -> np.dtype[Any]:
        """The type of stored numbers: that of pictures, sounds and floats; not of integers, which may be missing."""
        for frame in self.table.frames(self.columns.elements):
            first = next(self._elements(frame.columns, 1, frame.place), None)
            if (
                isinstance(first, np.ndarray)
                and not (self.table.from_text or self.reading.wide)
                and _typed(frame.columns, self.columns.elements)
            ):
                decoded = first.dtype.kind == "f" or self._pictures.picture or self._sounds.rate
                if decoded:
                    return np.dtype(np.float32) if first.dtype == np.float16 else first.dtype
            break
        return np.dtype(np.float64)

    def named(self) -> tuple[str, ...]:
        """See `Sequences.columns`."""
        return self.columns.elements if self.reading.wide else ()

    def picture(self) -> Picture | None:
        """The size of the pictures, once they have been read."""
        return self._pictures.picture

    def read(self, writer: RowWriter) -> None:
        """All rows, in their order."""
        names = None
        if self.columns.label is not None and self.reading.labels:
            names = self.table.class_names(self.columns.label)
        for frame in self.table.frames(self.columns.all):
            labels: list[Any] = [None] * frame.rows
            if self.columns.label is not None and self.reading.labels:
                labels = named_labels(frame.columns[self.columns.label], names, self.table, frame.place)
            ids = None if self.columns.id is None else names_of(frame.columns[self.columns.id], self.table)
            # One after the other: decoded, the pictures of a frame take many times its size.
            for i, found in enumerate(self._elements(frame.columns, frame.rows, frame.place)):
                place = frame.place(i)
                if ids is not None and ids[i] in (None, ""):
                    raise InputError(f"{self.table.name}: {place} has no id")
                writer.add(found, labels[i], None if ids is None else ids[i], place)

    def _elements(
        self, columns: dict[str, Any], count: int, place: Callable[[int], str]
    ) -> Iterator[Elements]:
        if self.reading.wide:
            yield from self._wide(columns, count, place)
            return
        parts = [cells(columns[name], self.table.name) for name in self.columns.elements]
        for i in range(count):
            found = [self._element(part[i], place(i)) for part in parts]
            yield found[0] if len(found) == 1 else self._stacked(found, place(i))

    def _element(self, cell: Any, place: str) -> Elements:
        table, kind = self.table.name, self.reading.kind
        if cell is None:
            raise InputError(
                f"{table}: {place} has no elements: the cell of `{self.columns.elements[0]}` is empty"
            )
        if isinstance(cell, np.ndarray):
            return cell
        if isinstance(cell, dict):
            return self._decoded(cell, place)
        if isinstance(cell, bytes):
            return cell
        if isinstance(cell, str):
            if self.columns.is_text or kind in ("characters", "bytes"):
                return cell
            return parse_list(cell, kind, table, place)
        if self.columns.is_text:
            raise InputError(f"{table}: {place} holds {shown(cell)}, not a text")
        return from_list(cell, kind, table, place)

    def _decoded(self, cell: dict[str, Any], place: str) -> Elements:
        content = cell.get("bytes")
        if not isinstance(content, bytes):
            raise InputError(
                f"{self.table.name}: {place} holds neither a picture nor a sound (its `bytes` are missing)"
            )
        decode = self._sounds.decode if content[:4] in (b"RIFF", b"RIFX", b"RF64") else self._pictures.decode
        return decode(content, self.table.name, place)

    def _stacked(self, found: list[Elements], place: str) -> Elements:
        for name, part in zip(self.columns.elements, found, strict=True):
            if not isinstance(part, np.ndarray) or part.ndim != 1:
                raise InputError(
                    f"{self.table.name}: {place}: `{name}` is no list of numbers, so it cannot be a channel"
                )
            if len(part) != len(found[0]):
                raise InputError(
                    f"{self.table.name}: {place}: `{name}` has {len(part)} steps, "
                    f"`{self.columns.elements[0]}` has {len(found[0])}"
                )
        return np.stack(found, axis=1)

    def _wide(self, columns: dict[str, Any], count: int, place: Callable[[int], str]) -> Iterator[Elements]:
        """Wide rows: each ends with its last cell that is not empty."""
        by_column = [plain(counted(columns[name]), self.table.name) for name in self.columns.elements]
        for i in range(count):
            row = [column[i] for column in by_column]
            while row and (row[-1] is None or row[-1] == ""):
                row.pop()
            if not row:
                raise InputError(f"{self.table.name}: {place(i)} is empty; a row needs at least one step")
            nested = next((step for step, cell in enumerate(row) if isinstance(cell, (list, dict))), None)
            if nested is not None:
                raise InputError(f"{self.table.name}: {place(i)}, step {nested} is a list, not a number")
            words = ["" if cell is None else str(cell) for cell in row]
            self._require_no_id(words, place(i))
            if all(isinstance(cell, str) for cell in row):
                yield from_words(words, self.reading.kind, self.table.name, place(i))
                continue
            found = numbers(words)
            if found is None:
                step = first_no_number(words)
                raise InputError(
                    f"{self.table.name}: {place(i)}, step {step} is {words[step][:40]!r}, not a number"
                )
            yield found

    def _require_no_id(self, words: list[str], place: str) -> None:
        """Raises InputError where the table's first row is a word, then numbers."""
        first, self._begun = not self._begun, True
        if not first or self.reading.kind == "symbols" or len(words) < 2:
            return
        if numbers(words[:1]) is None and numbers(words[1:]) is not None:
            name = self.columns.elements[0]
            raise InputError(
                f"{self.table.name}: {place}: column `{name}` holds words and the others numbers; if it is the id, "
                f"say --id {name}; --kind symbols reads all as words"
            )


def named_labels(
    column: Any, names: Sequence[Any] | None, table: Table, place: Callable[[int], str]
) -> list[Any]:
    """A column of labels; where they are numbers into `names` (-1: none), the names. Raises InputError."""
    labels = names_of(column, table)
    if names is None:
        return labels
    for i, label in enumerate(labels):
        if label is not None and not (isinstance(label, int) and -1 <= label < len(names)):
            raise InputError(
                f"{table.name}: {place(i)} has the label {shown(label)}, but there are {len(names)} classes"
            )
    return [None if label is None or label < 0 else names[label] for label in labels]


def names_of(column: Any, table: Table) -> list[Any]:
    """A column of labels or ids; blanks around what was read from text belong to the text's layout."""
    found = plain(column, table.name)
    return [name.strip() for name in found] if table.from_text else found


def plain(column: Any, table: str) -> list[Any]:
    """A column as Python numbers, booleans and texts; anything else as text."""
    if not isinstance(column, (pa.Array, pa.ChunkedArray)):
        return list(column)
    if pa.types.is_dictionary(column.type):
        column = _decoded(column)
    kind = column.type
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        column = column.cast(pa.string())  # Python has no nanoseconds, and no year after 9999
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        try:
            column = column.cast(pa.string())  # some programs write texts without marking them as such
        except pa.ArrowInvalid:
            raise InputError(f"{table}: a column of {kind} holds bytes that are no text in UTF-8") from None
    return [
        value if value is None or isinstance(value, (int, float, str, bool)) else str(value)
        for value in _objects(column, table)
    ]


def _decoded(column: Any) -> Any:
    """A dictionary's column as its values. Arrow decodes no views, which polars makes of categories."""
    kind = column.type
    if kind.value_type == pa.string_view():
        column = column.cast(pa.dictionary(kind.index_type, pa.large_string()))
    return column.dictionary_decode()


def counted(column: Any) -> Any:
    """A column with 0 and 1 for truth values."""
    if isinstance(column, (pa.Array, pa.ChunkedArray)):
        return column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column
    return [int(cell) if isinstance(cell, bool) else cell for cell in column]


def cells(column: Any, table: str) -> Any:
    """A column's cells: arrays of numbers where Arrow holds lists of them, else Python objects."""
    if not isinstance(column, pa.Array):
        return column
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = _decoded(column)
        kind = column.type
    if isinstance(column, pa.FixedShapeTensorArray) and not column.null_count:
        return list(column.to_numpy_ndarray())
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if lists and (pa.types.is_integer(kind.value_type) or pa.types.is_floating(kind.value_type)):
        return [None if not cell.is_valid else _array(cell.values) for cell in column]
    return _objects(column, table)


def _objects(column: Any, table: str) -> list[Any]:
    try:
        return column.to_pylist()
    except (ValueError, OverflowError) as error:  # a date that Python cannot represent
        raise InputError(f"{table}: a column of {column.type} cannot be read: {error}") from None


def _typed(columns: dict[str, Any], names: tuple[str, ...]) -> bool:
    """Whether Arrow has one type for all numbers; texts, lists of lists and Python lists may differ from row to row."""
    kinds = {columns[name].type if isinstance(columns[name], pa.Array) else None for name in names}
    kind = kinds.pop()
    if kinds or kind is None:
        return False
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kind = kind.value_type
    numbers = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    return numbers or pa.types.is_struct(kind)  # pictures and sounds


def _array(values: pa.Array) -> np.ndarray:
    if values.null_count and not pa.types.is_floating(values.type):
        values = values.cast(pa.float64())
    return values.to_numpy(zero_copy_only=False)
