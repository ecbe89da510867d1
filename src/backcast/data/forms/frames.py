"""Tables as pieces of columns: CSV, TSV, Parquet, JSON lines, Arrow, gzip'd or not; and tables in memory."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from backcast.errors import InputError

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".arrow", ".feather")
LONGEST_LINE = 32 << 20  # bytes; a longer row belongs in another form
ROWS_AT_A_TIME = 4096
BYTES_AT_A_TIME = 16 << 20
BOMB_BYTES, BOMB_RATIO = 1 << 30, 200
NAMING_LINES = 101  # of JSON lines, in which every key must occur
STREAM_END = b"\xff\xff\xff\xff\0\0\0\0"


class Frame(NamedTuple):
    """Some rows of a table: `columns[name][i]` is a Python or Arrow value; `place(i)` says where row i is."""

    columns: dict[str, Any]
    rows: int
    place: Callable[[int], str]


class Table(Protocol):
    """What every form of a table offers."""

    name: str
    names: list[str]
    from_text: bool

    def frames(self, columns: Sequence[str]) -> Iterator[Frame]:
        """All rows in order, some at a time, with these columns only."""

    def class_names(self, column: str) -> Sequence[Any] | None:
        """The names for a column of class numbers, where the file has them (the Hub's do)."""


def open_table(path: Path, header: bool = True, chooses: Callable[[str], bool] = lambda name: False) -> Table:
    """A table, by its ending. Raises InputError for a damaged one, now or while it is read.

    chooses  whether a column that appears late in JSON lines would be read (`Reading.chooses`), and so is refused
    """
    suffix = table_suffix(path)
    if suffix in (".csv", ".tsv"):
        return _Delimited(path, "\t" if suffix == ".tsv" else ",", header)
    if suffix in (".jsonl", ".ndjson"):
        return _JSONLines(path, chooses)
    return _Parquet(path) if suffix == ".parquet" else _Arrow(path)


def require_distinct(names: Sequence[str], table: str, hint: str = "") -> None:
    """Raises InputError where two columns have one name."""
    double = next((name for name, count in Counter(names).items() if count > 1), None)
    if double is not None:
        raise InputError(f"{table}: the column `{double}` stands twice in it{hint}")


def table_suffix(path: Path) -> str | None:
    """The ending that says what table it is, without .gz; None where it is no table."""
    packed = _is_packed(path)
    suffix = (Path(path.stem).suffix if packed else path.suffix).lower()
    return suffix if suffix in (TABLE_SUFFIXES[:4] if packed else TABLE_SUFFIXES) else None


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 text, numbered from 1. Raises InputError, naming the line, for what is no text."""
    number = size = 0
    try:
        compressed = path.stat().st_size if _is_packed(path) else 0
        with _open_binary(path) as file:
            while content := file.readline(LONGEST_LINE + 1):
                number += 1
                size += len(content)
                if len(content) > LONGEST_LINE:
                    raise InputError(
                        f"{path}: line {number} is longer than {LONGEST_LINE >> 20} MB; write so long a row as one row per step "
                        "(--id, --time), as .npy or as Parquet"
                    )
                if compressed and size > max(BOMB_BYTES, BOMB_RATIO * compressed):
                    raise InputError(
                        f"{path}: expands more than {BOMB_RATIO} times; unpack it first if that is right"
                    )
                if b"\0" in content:
                    raise InputError(
                        f"{path}: line {number} holds a NUL byte; it is not text, or not saved as UTF-8"
                    )
                try:
                    yield number, content.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise InputError(
                        f"{path}: line {number}, byte {error.start + 1} is not UTF-8; save the file as UTF-8"
                    ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _open_binary(path: Path) -> BinaryIO:
    return gzip.open(path, "rb") if _is_packed(path) else path.open("rb")  # type: ignore[return-value]


def _line_frames(
    rows: Iterator[tuple[int, Any, int]], at_a_time: int, cells: Callable[[list[Any]], dict[str, list[Any]]]
) -> Iterator[Frame]:
    """Rows of a text (line number, row, characters), some at a time; `cells` makes columns of them."""
    taken: list[Any] = []
    numbers: list[int] = []
    size = 0
    for number, row, length in rows:
        taken.append(row)
        numbers.append(number)
        size += length
        if len(taken) == at_a_time or size > BYTES_AT_A_TIME:
            yield _line_frame(cells(taken), numbers)
            taken, numbers, size = [], [], 0
    if taken:
        yield _line_frame(cells(taken), numbers)


def _line_frame(cells: dict[str, list[Any]], numbers: list[int]) -> Frame:
    return Frame(cells, len(numbers), lambda i: f"line {numbers[i]}")


class _Delimited:
    """CSV and TSV. Fields may be quoted; every row must have as many as the first."""

    from_text = True

    def __init__(self, path: Path, delimiter: str, header: bool) -> None:
        self.path, self.name, self.delimiter, self.header = path, str(path), delimiter, header
        first = next(self._records(), None)
        if first is None:
            raise InputError(f"{path}: is empty")
        fields = first[1]
        self.names = (
            [field.strip() for field in fields] if header else [str(i + 1) for i in range(len(fields))]
        )
        other = next((mark for mark in ";\t,|" if header and len(fields) == 1 and mark in fields[0]), None)
        if other is not None:
            raise InputError(
                f"{path}: its columns are separated by {other!r}; save it with commas as .csv or with tabs as .tsv, and "
                "numbers with decimal points"
            )
        require_distinct(self.names, self.name, " (line 1); if the first row is no header, say --no-header")

    def class_names(self, column: str) -> list[str] | None:
        return None

    def frames(self, columns: Sequence[str]) -> Iterator[Frame]:
        at = {name: i for i, name in enumerate(self.names)}
        wanted = [(name, at[name]) for name in columns]
        return _line_frames(
            self._rows(), ROWS_AT_A_TIME, lambda rows: {name: [row[i] for row in rows] for name, i in wanted}
        )

    def _rows(self) -> Iterator[tuple[int, list[str], int]]:
        records = self._records()
        if self.header:
            next(records, None)
        for number, fields in records:
            if len(fields) != len(self.names):
                raise InputError(
                    f"{self.path}: line {number} has {len(fields)} fields, the first line has {len(self.names)}"
                )
            yield number, fields, sum(map(len, fields))

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        with _field_limit():
            number = begun = 0  # the last line, and the one in which the record began
            size = 0  # its characters so far

            def numbered() -> Iterator[str]:
                nonlocal number, size
                for at, line in lines(self.path):
                    number = at
                    size += len(line)
                    if size > LONGEST_LINE:
                        raise InputError(
                            f"{self.path}: line {begun}: its quoted fields are longer than {LONGEST_LINE >> 20} MB; "
                            "is a quote not closed?"
                        )
                    yield line

            reader = csv.reader(numbered(), delimiter=self.delimiter, strict=True)
            while True:
                begun, size = number + 1, 0
                try:
                    fields = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    reason = f"cannot be read: {error}"
                    if "unexpected end" in str(error):
                        reason = "opens a quote that is not closed"
                    elif "new-line character" in str(error):
                        reason = "ends in CR alone, as old Macs wrote; save the file with LF or CR LF"
                    raise InputError(f"{self.path}: line {begun} {reason}") from None
                if fields:
                    yield begun, fields


@contextmanager
def _field_limit() -> Iterator[None]:
    """Lifts csv's limit of 131,072 characters per field, too few for a sequence; it is global, so it is restored."""
    before = csv.field_size_limit(LONGEST_LINE)
    try:
        yield
    finally:
        csv.field_size_limit(before)


class _JSONLines:
    """One object per line."""

    from_text = False

    def __init__(self, path: Path, chooses: Callable[[str], bool]) -> None:
        self.path, self.name, self.chooses = path, str(path), chooses
        self.known: dict[str, None] = {}
        for _, record, _ in islice(self._records(), NAMING_LINES):
            self.known.update(dict.fromkeys(record))
        self.names = list(self.known)
        if not self.names:
            raise InputError(f"{path}: is empty")

    def class_names(self, column: str) -> list[str] | None:
        return None

    def frames(self, columns: Sequence[str]) -> Iterator[Frame]:
        return _line_frames(
            self._rows(), 256, lambda rows: {name: [row.get(name) for row in rows] for name in columns}
        )

    def _rows(self) -> Iterator[tuple[int, dict[str, Any], int]]:
        for number, record, length in self._records():
            late = next((key for key in record.keys() - self.known.keys() if self.chooses(key)), None)
            if late is not None:
                raise InputError(
                    f"{self.path}: line {number} has `{late}`, which is not in the first {NAMING_LINES} lines; "
                    "give one of them, too, such a key (null, where there is nothing)"
                )
            yield number, record, length

    def _records(self) -> Iterator[tuple[int, dict[str, Any], int]]:
        """The line's number, its object, and its length in characters."""
        for number, line in lines(self.path):
            if not line.strip():
                continue
            try:
                record = json.loads(line, object_pairs_hook=_object)
                if "\\ud" in line.lower():  # half a surrogate pair is text that cannot be written anywhere
                    json.dumps(record, ensure_ascii=False).encode()
            except (ValueError, RecursionError) as error:
                raise InputError(f"{self.path}: line {number} is not JSON: {str(error)[:80]}") from None
            if not isinstance(record, dict):
                raise InputError(
                    f"{self.path}: line {number} is no JSON object; one {{…}} a line is expected"
                )
            yield number, record, len(line)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in it")
    return found


class _Batches:
    """What Arrow hands out in batches, each with the columns asked for."""

    from_text = False

    def __init__(self, schema: pa.Schema, name: str) -> None:
        self.schema, self.name = schema, name
        self.names = list(schema.names)  # which need not be UTF-8 in a damaged file
        require_distinct(self.names, name)

    def class_names(self, column: str) -> list[str] | None:
        """Class names from the Hugging Face Hub's features, kept in the schema's metadata."""
        try:
            saved = json.loads((self.schema.metadata or {})[b"huggingface"])
            return [str(name) for name in saved["info"]["features"][column]["names"]]
        except (KeyError, TypeError, ValueError, RecursionError):
            return None

    def frames(self, columns: Sequence[str]) -> Iterator[Frame]:
        done = 0
        for batch in self._batches(list(columns)):
            if len(batch):
                yield _arrow_frame(batch, done)
            done += len(batch)

    def _batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        raise NotImplementedError


class ArrowTable(_Batches):
    """A table in memory, also from pandas and `datasets`."""

    def __init__(self, table: pa.Table, name: str) -> None:
        super().__init__(table.schema, name)
        self.table = table

    def _batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        yield from self.table.select(columns).to_batches(max_chunksize=ROWS_AT_A_TIME)


class _Parquet(_Batches):
    def __init__(self, path: Path) -> None:
        self.path = path
        with _arrow_errors(path, "Parquet"), self._opened() as file:
            super().__init__(file.schema_arrow, str(path))

    def _batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        with _arrow_errors(self.path, "Parquet"), self._opened() as file:
            meta = file.metadata
            # Not the sizes of columns: asked for one of a damaged file, pyarrow aborts the process.
            size = max((meta.row_group(i).total_byte_size for i in range(meta.num_row_groups)), default=0)
            rows = max((meta.row_group(i).num_rows for i in range(meta.num_row_groups)), default=1)
            at_a_time = max(1, min(ROWS_AT_A_TIME, BYTES_AT_A_TIME * rows // max(size, 1)))
            for batch in file.iter_batches(batch_size=at_a_time, columns=columns):
                batch.validate(full=True)  # texts of a damaged file need not be UTF-8
                yield batch

    def _opened(self) -> pq.ParquetFile:
        """The file, open only while it is read: there may be more files than a process may hold open."""
        return pq.ParquetFile(self.path, page_checksum_verification=True)


class _Arrow(_Batches):
    """Arrow's IPC files (Feather) and streams, memory-mapped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _arrow_errors(path, "Arrow"), self._opened() as (schema, _):
            super().__init__(schema, str(path))

    def _batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        with _arrow_errors(self.path, "Arrow"), self._opened() as (_, batches):
            for batch in batches:
                batch = batch.select(columns)
                batch.validate(full=True)  # offsets of a damaged file could point outside its memory
                # One batch may be the whole file, and what is read of it becomes Python's objects.
                for start in range(0, len(batch), ROWS_AT_A_TIME):
                    yield batch.slice(start, ROWS_AT_A_TIME)

    @contextmanager
    def _opened(self) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
        with pa.memory_map(str(self.path)) as file:
            try:
                reader = pa.ipc.open_file(file)
                batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
            except pa.ArrowInvalid:
                file.seek(max(0, file.size() - len(STREAM_END)))
                whole = file.read() == STREAM_END
                file.seek(0)
                reader = pa.ipc.open_stream(file)
                if not whole:
                    raise InputError(f"{self.path}: ends before the mark of its end; it was cut") from None
                batches = iter(reader)
            yield reader.schema, batches


def _arrow_frame(batch: pa.RecordBatch, done: int) -> Frame:
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    return Frame(columns, len(batch), lambda i: f"row {done + i}")


@contextmanager
def _arrow_errors(path: Path, form: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except (
        OSError,
        ValueError,
        KeyError,
        IndexError,
        NotImplementedError,
        OverflowError,
        MemoryError,
        pa.ArrowException,
    ) as error:
        raise InputError(f"{path}: cannot be read as {form}: {' '.join(str(error).split())[:200]}") from None
