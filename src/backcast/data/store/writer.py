"""The writer to which every reader hands its rows: it turns them into flat values, one row after the other.

Only the current row is in memory; values go to a file (or a buffer), labels and ids are kept. What the elements are
is decided by the first row and by `kind`; a later row that differs is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from backcast.data.sequences import Kind, Missing
from backcast.data.store.labels import WHOLE, encode_ids, encode_labels
from backcast.data.values import Joined, release
from backcast.errors import InputError

MOST_SYMBOLS = 65_536
CHUNK = 1 << 20  # numbers at a time
Elements = NDArray[Any] | str | bytes | list[str]


class Written(NamedTuple):
    """What `RowWriter.finish` found; the values themselves are in the sink."""

    kind: Kind
    dtype: np.dtype[Any]
    channels: int
    lengths: NDArray[np.int64]
    labels: NDArray[np.int64]
    classes: tuple[Any, ...]
    ids: NDArray[Any]
    symbols: tuple[Any, ...]
    missing: Missing | None


class RowWriter:
    """Collects rows.

    sink      where the values go, open for reading and writing in binary
    name      of the data set, for messages
    kind      `auto`, `real`, `symbols`, `characters` or `bytes`: what the user says the elements are
    dtype     of the numbers in the sink
    fill      a missing value becomes the one before it in its row and channel (those at a row's start stay missing)
    from_text labels and ids were read from text
    """

    def __init__(
        self,
        sink: BinaryIO,
        name: str,
        kind: str = "auto",
        dtype: Any = np.float64,
        fill: bool = False,
        from_text: bool = False,
    ) -> None:
        self.sink, self.name, self.kind, self.fill, self.from_text = sink, name, kind, fill, from_text
        self.dtype = np.dtype(dtype)
        self.form = ""  # numbers, names, points or bytes
        self.channels = 0
        self.lengths: list[int] = []
        self.labels: list[Any] = []
        self.ids: list[Any] | None = None
        self.places: list[str] = []  # of the rows that have ids
        self._flat = self._whole = True
        self._smallest, self._largest = np.inf, -np.inf
        self._names: dict[str, int] = {}
        self._missing: Missing | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    def add(self, elements: Elements, label: Any = None, id: Any = None, place: str | None = None) -> None:
        """Adds a row: numbers (T,) or (T, C), a text, bytes, or a list of words. Raises InputError, naming `place`."""
        place = place or f"row {len(self)}"
        form = self._form(elements, place)
        if not self.form:
            self.form = form
        elif form != self.form:
            raise InputError(
                f"{self.name}: {place} holds {_FORMS[form]}, the rows before it {_FORMS[self.form]}; "
                "all rows must be of one kind"
            )
        if isinstance(elements, np.ndarray) and not elements.ndim:
            raise InputError(f"{self.name}: {place} is a single number; a row is (T,) or (T, C)")
        if not len(elements):
            raise InputError(f"{self.name}: {place} is empty; a row needs at least one step")
        flat: NDArray[Any] | None = None
        if form == "numbers":
            self._write_numbers(np.asanyarray(elements), place)
        elif form == "names":
            words = cast(list[str], elements)
            flat = np.array([self._names.setdefault(word, len(self._names)) for word in words], np.uint32)
            if len(self._names) > MOST_SYMBOLS:
                raise InputError(
                    f"{self.name}: {place} brings the {MOST_SYMBOLS + 1}th different word; {MOST_SYMBOLS} are the most"
                )
        elif form == "points":
            assert isinstance(elements, str)
            flat = np.frombuffer(elements.encode("utf-32-le", "surrogatepass"), "<u4")
        else:
            text = elements.encode("utf-8", "surrogatepass") if isinstance(elements, str) else elements
            flat = np.frombuffer(text, np.uint8)  # type: ignore[arg-type]
        if (id is not None) != (self.ids is not None) and len(self):
            raise InputError(
                f"{self.name}: {place} has {'an' if id is not None else 'no'} id, unlike those before it"
            )
        if flat is not None:
            self.sink.write(np.ascontiguousarray(flat).data)
        self.lengths.append(len(elements) if flat is None else len(flat))
        self.labels.append(label)
        if id is not None:
            self.ids = self.ids or []
            self.ids.append(id)
            self.places.append(place)

    def finish(self) -> Written:
        """Decides what the elements are and numbers symbols without gaps. Raises InputError where there was no row."""
        if not self.lengths:
            raise InputError(f"{self.name}: there are no rows in it")
        lengths = np.array(self.lengths, np.int64)
        labels, classes = encode_labels(self.labels, self.name, self.from_text)
        ids = encode_ids(self.ids, len(lengths), self.name, self.from_text, self.places)
        symbols: tuple[Any, ...] = ()
        kind: Kind = "real"
        dtype, channels = self.dtype, self.channels
        if self.form == "numbers":
            whole = self._whole and self._flat and self._smallest >= 0 and self._largest < MOST_SYMBOLS
            if self.kind == "symbols" or (self.kind == "auto" and whole):
                kind = "integers"
                present = self._distinct(dtype)
                symbols = tuple(int(number) for number in present)
                dtype = self._rewrite(dtype, present)
        elif self.form == "points":
            kind = "characters"
            present = self._distinct(np.dtype(np.uint32))
            symbols = tuple(chr(number) for number in present)
            dtype = self._rewrite(np.dtype(np.uint32), present)
        elif self.form == "bytes":
            kind, dtype, symbols = "bytes", np.dtype(np.uint8), tuple(range(256))
        else:
            whole = self.from_text and all(map(WHOLE.fullmatch, self._names))
            names = sorted(self._names, key=int if whole else None)
            kind = "integers" if whole else "categories"
            symbols = tuple(map(int, names) if whole else names)
            order = np.empty(len(names), np.int64)
            order[[self._names[name] for name in names]] = np.arange(len(names))
            dtype = self._rewrite(np.dtype(np.uint32), None, order)
        if len(symbols) > MOST_SYMBOLS:
            raise InputError(
                f"{self.name}: it holds {len(symbols)} different symbols, {MOST_SYMBOLS} are the most; "
                "if these are measurements, say --kind real"
            )
        return Written(kind, dtype, channels or 1, lengths, labels, classes, ids, symbols, self._missing)

    def _form(self, elements: Elements, place: str) -> str:
        if isinstance(elements, str):
            if self.kind in ("real", "symbols"):
                raise InputError(
                    f"{self.name}: {place} is a text, which is read as characters or bytes, not --kind {self.kind}"
                )
            return "bytes" if self.kind == "bytes" else "points"
        if isinstance(elements, bytes):
            if self.kind not in ("auto", "bytes"):
                raise InputError(
                    f"{self.name}: {place} holds raw bytes, which --kind {self.kind} does not read; --kind bytes does, and --kind "
                    "characters reads the files of a folder as texts"
                )
            return "bytes"
        if self.kind in ("characters", "bytes"):
            raise InputError(f"{self.name}: {place} is no text; --kind {self.kind} reads texts")
        if isinstance(elements, list):
            if self.kind == "real":
                raise InputError(f"{self.name}: {place} holds words, not numbers ({elements[0]!r})")
            return "names"
        return "numbers"

    def _write_numbers(self, values: NDArray[Any], place: str) -> None:
        """Checks and writes a row piece by piece, so that it may be a mapped file larger than memory."""
        if values.dtype.kind not in "fiub" or values.ndim not in (1, 2):
            raise InputError(
                f"{self.name}: {place} holds {values.dtype} {values.shape}; it must hold numbers (T,) or (T, C)"
            )
        self._flat &= values.ndim == 1
        channels = 1 if values.ndim == 1 else values.shape[1]
        if not self.channels:
            self.channels = channels
        if channels != self.channels or not channels:
            raise InputError(
                f"{self.name}: {place} has {channels} numbers a step, the rows before it {self.channels}"
            )
        if self.kind == "symbols" and channels > 1:
            raise InputError(f"{self.name}: {place} has {channels} numbers a step; symbols come one a step")
        values = values.reshape(len(values), channels)
        last = np.full((1, channels), np.nan)
        for start in range(0, len(values), CHUNK):
            piece = self._checked(values[start : start + CHUNK], place, start, last)
            self.sink.write(np.ascontiguousarray(piece).data)
            last = piece[-1:]
            release(values)

    def _checked(self, values: NDArray[Any], place: str, start: int, last: NDArray[Any]) -> NDArray[Any]:
        """Part of a row, from step `start`, in the writer's type; `last` (1, C) is the step before it."""
        if values.dtype.itemsize > 8:
            values = values.astype(np.float64)  # what it loses, no network could read
        if values.dtype.kind == "f":
            self._whole = False
            if not np.isfinite(values).all():
                values = self._not_finite(values, place, start, last)
        elif values.dtype.kind == "b":
            self._whole = False
        else:
            self._smallest = min(self._smallest, int(values.min()))
            self._largest = max(self._largest, int(values.max()))
        if self.kind == "symbols":
            self._require_symbols(values[:, 0], place, start)
        if not np.can_cast(values.dtype, self.dtype):
            raise InputError(
                f"{self.name}: {place} holds {values.dtype}, the rows before it {self.dtype}, which has no place for all "
                "of its values (whole numbers have none for missing ones); save all rows in one type"
            )
        return values.astype(self.dtype, copy=False)

    def _not_finite(self, values: NDArray[Any], place: str, start: int, last: NDArray[Any]) -> NDArray[Any]:
        """Refuses infinities; counts missing values, or fills them if asked."""
        bad = np.isinf(values)
        if bad.any():
            step, channel = map(int, np.argwhere(bad)[0])
            raise InputError(
                f"{self.name}: {place}, step {start + step}, channel {channel} is {values[step, channel]}; drop such values first"
            )
        if self.fill:
            values = np.concatenate([last.astype(values.dtype), values])
            known = np.where(~np.isnan(values), np.arange(len(values))[:, None], 0)
            return np.take_along_axis(values, np.maximum.accumulate(known, axis=0), axis=0)[1:]
        missing = np.isnan(values)
        step, channel = map(int, np.argwhere(missing)[0])
        first = self._missing or Missing(0, len(self), start + step, channel)
        self._missing = first._replace(total=first.total + int(missing.sum()))
        return values

    def _require_symbols(self, values: NDArray[Any], place: str, start: int) -> None:
        if values.dtype.kind == "b":
            return
        bad = ~((values >= 0) & (values < MOST_SYMBOLS) & (values == np.floor(values)))
        if bad.any():
            step = int(bad.argmax())
            raise InputError(
                f"{self.name}: {place}, step {start + step} is {values[step]}; "
                f"symbols are whole numbers from 0 to {MOST_SYMBOLS - 1}"
            )

    def _chunks(self, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
        self.sink.seek(0)
        while content := self.sink.read(CHUNK * dtype.itemsize):
            yield np.frombuffer(content, dtype)

    def _distinct(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        found = np.zeros(0, dtype)
        for chunk in self._chunks(dtype):
            found = np.union1d(found, chunk)
            if len(found) > MOST_SYMBOLS:
                break  # refused by `finish`
        return found

    def _rewrite(
        self, dtype: np.dtype[Any], present: NDArray[Any] | None, table: NDArray[np.int64] | None = None
    ) -> np.dtype[Any]:
        """Replaces every number by its place in `present`, or by `table[number]`; in place, in the smallest type."""
        count = len(table if present is None else present)  # type: ignore[arg-type]
        small = np.dtype(np.uint8 if count <= 256 else np.uint16)
        if count > MOST_SYMBOLS or small.itemsize > dtype.itemsize:
            small = dtype  # refused by `finish`, or already small
        read = written = 0
        while True:
            self.sink.seek(read)
            content = self.sink.read(CHUNK * dtype.itemsize)
            if not content:
                break
            read += len(content)
            chunk = np.frombuffer(content, dtype)
            codes = np.searchsorted(present, chunk) if present is not None else table[chunk]  # type: ignore[index]
            self.sink.seek(written)
            written += self.sink.write(codes.astype(small).data)
        self.sink.truncate(written)
        return small


def values_checksum(values: Any) -> str:
    """SHA-256 of flat values, (N, C) or (N,), with their type; read piece by piece."""
    if isinstance(values, Joined):
        return " ".join(map(values_checksum, values.parts))
    digest = hashlib.sha256(str(values.dtype).encode())
    for start in range(0, len(values), CHUNK):
        digest.update(np.ascontiguousarray(values[start : start + CHUNK]).data)
        release(values)
    return digest.hexdigest()


_FORMS = {"numbers": "numbers", "names": "words", "points": "text", "bytes": "bytes"}
