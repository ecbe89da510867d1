"""Sequences from arrays: NumPy in memory, `.npz` and `.npy` files."""

from __future__ import annotations

import lzma
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backcast.data.forms.frames import BOMB_BYTES, BOMB_RATIO
from backcast.data.reading import Reading
from backcast.data.sequences import Sequences
from backcast.data.store.cache import import_rows, require_unchanged, sign
from backcast.data.store.stored import memory_rows
from backcast.data.store.writer import RowWriter
from backcast.data.values import release
from backcast.errors import InputError, nearest, python_words

CHUNK_BYTES = 16 << 20
SMALL = ("y", "lengths", "ids")


def from_arrays(
    x: ArrayLike,
    y: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    ids: ArrayLike | None = None,
    *,
    name: str = "x",
    kind: str = "auto",
    missing_label: str | None = None,
    fill_missing: bool = False,
) -> Sequences:
    """Rows from an array, checked.

    x        (n, T) or (n, T, C): floats, integers or booleans
    y        (n,) labels of any type; None: no row has one
    lengths  (n,) steps of each row, 1 .. T; None: all T
    ids      (n,); None: 0 .. n-1
    kind     `real` vectors, `symbols` (whole numbers from 0, (n, T)), or `auto`: symbols where x is an
             (n, T) array of integers from 0 below 65,536
    missing_label  the value in y that stands for "no label", as text; NaN always does
    fill_missing   NaN becomes the value before it

    Raises InputError, naming row and step, for anything that does not fit.
    """
    with python_words():
        Reading(kind=kind)  # refuses an unknown one
    values = _array(x, name)
    shape = _checked_shape(values.shape, values.dtype, name)
    plan = _Plan(shape, y, lengths, ids, name)

    def read(writer: RowWriter) -> None:
        plan.write(writer, [values])

    rows = memory_rows(name, read, kind=kind, dtype=stored(values.dtype), fill=fill_missing)
    return rows if missing_label is None else rows.without_class(missing_label)


def read_npz(path: Path, reading: Reading) -> Sequences:
    """`.npz` with `x`, and optionally `y`, `lengths` and `ids`; `.npy` with `x` only. See `from_arrays`.

    Read piece by piece into the cache. Pickled objects are refused: loading a file never runs code.
    """
    name, before = str(path), sign(path)
    with _arrays(path) as arrays:
        shape = _checked_shape(arrays["x"].shape, arrays["x"].dtype, name)
        dtype = stored(arrays["x"].dtype)
        small = {key: arrays[key].column(shape[0]) for key in SMALL if key in arrays}
        plan = _Plan(
            shape, small.get("y") if reading.labels else None, small.get("lengths"), small.get("ids"), name
        )

        def read(writer: RowWriter) -> None:
            plan.write(writer, arrays["x"].chunks())
            require_unchanged(path, before)  # what is open may be the file of before

        return import_rows(
            name,
            [path],
            {"form": "npz", "labels": reading.labels},
            read,
            kind=reading.kind,
            dtype=dtype,
            fill=reading.fill_missing,
        )


def _array(values: ArrayLike, name: str) -> NDArray[Any]:
    """An array. Lists of mixed types keep them: NumPy would make 1 and "a" two strings."""
    try:
        found = np.asarray(values)
        if found.dtype.kind == "U" and not hasattr(values, "__array__"):
            found = np.asarray(values, dtype=object)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{name} is no array: {' '.join(str(error).split())[:150]}") from None
    require_unmasked(values, name)
    return found


def require_unmasked(values: Any, name: str) -> None:
    """Raises InputError for an array with masked values, which NumPy would read as if they were not."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise InputError(f"{name} is masked; say what the masked values are, for instance x.filled(np.nan)")


class _Plan:
    """What comes with x, checked: lengths, labels and ids."""

    def __init__(
        self,
        shape: tuple[int, ...],
        y: ArrayLike | None,
        lengths: ArrayLike | None,
        ids: ArrayLike | None,
        name: str,
    ) -> None:
        count, steps = shape[:2]
        self.shape, self.name = shape, name
        self.lengths = _lengths(lengths, count, steps, name)
        self.labels: list[Any] = [None] * count
        if y is not None:
            labels = _array(y, f"{name}: y")
            if labels.shape != (count,):
                raise InputError(
                    f"{name}: y has the shape {labels.shape}; there are {count} rows, so it must be ({count},)"
                )
            if labels.dtype.kind not in "iubfUO":
                raise InputError(
                    f"{name}: y has the type {labels.dtype}; labels are numbers, booleans or strings"
                )
            self.labels = labels.tolist()
        self.ids: list[Any] | None = None
        if ids is not None:
            given = _array(ids, f"{name}: ids")
            if given.shape != (count,):
                raise InputError(f"{name}: ids has the shape {given.shape}; there are {count} rows")
            if given.dtype.kind not in "iuUO":
                raise InputError(
                    f"{name}: ids have the type {given.dtype}; they must be whole numbers or strings"
                )
            self.ids = given.tolist()

    def write(self, writer: RowWriter, chunks: Any) -> None:
        """Hands the rows of `chunks`, consecutive arrays (m, T[, C]), to the writer."""
        row = 0
        for chunk in chunks:
            for values in chunk:
                writer.add(
                    values[: self.lengths[row]], self.labels[row], None if self.ids is None else self.ids[row]
                )
                row += 1


class _Member:
    """An array in a file, read from its beginning to its end, once (a mapped .npy any number of times)."""

    def __init__(self, file: BinaryIO, name: str, size: int, path: Path | None = None) -> None:
        self.file, self.name, self.path = file, name, path
        try:
            version = np.lib.format.read_magic(file)
            header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, self.fortran, self.dtype = header(file)
            self.shape = tuple(map(int, shape))  # it may say True
        except Exception as error:  # Python's parser raises all kinds of errors for damaged headers
            raise InputError(f"{name}: cannot be read: {' '.join(str(error).split())[:150]}") from None
        if self.dtype.hasobject:
            raise InputError(f"{name}: it holds Python objects, which are not loaded; save plain arrays")
        self.begin = file.tell()
        count = math.prod(self.shape)
        if min(self.shape, default=0) < 0:
            raise InputError(f"{name}: its header says {self.shape}; the file is damaged")
        if count * self.dtype.itemsize != size - self.begin:
            raise InputError(
                f"{name}: its header says {self.shape} of {self.dtype}, which is {count * self.dtype.itemsize} bytes, "
                f"but there are {size - self.begin}; the file is damaged"
            )

    def column(self, count: int) -> NDArray[Any]:
        """(count,): one value per row. Raises InputError for any other shape, before it is read."""
        if self.shape != (count,):
            raise InputError(
                f"{self.name} has the shape {self.shape}; there are {count} rows, so it must be ({count},)"
            )
        return self.whole()

    def whole(self) -> NDArray[Any]:
        content = self.file.read()
        array = np.frombuffer(content, self.dtype)
        return array.reshape(self.shape, order="F" if self.fortran else "C")

    def mapped(self) -> NDArray[Any]:
        """The array of a file that holds only that array, memory-mapped."""
        assert self.path is not None
        if self.fortran:
            return np.memmap(self.path, self.dtype, "r", self.begin, self.shape, order="F")
        return np.memmap(self.path, self.dtype, "r", self.begin, self.shape)

    def chunks(self) -> Iterator[NDArray[Any]]:
        row_bytes = max(1, int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize)
        at_a_time = max(1, CHUNK_BYTES // row_bytes)
        if self.path is not None:
            whole = self.mapped()
            for first in range(0, self.shape[0], at_a_time):
                yield whole[first : first + at_a_time]
                release(whole)
            return
        if self.fortran:  # the rows are not contiguous
            yield self.whole()
            return
        for first in range(0, self.shape[0], at_a_time):
            count = min(at_a_time, self.shape[0] - first)
            content = self.file.read(count * row_bytes)
            if len(content) < count * row_bytes:
                raise InputError(
                    f"{self.name}: ends in row {first + len(content) // row_bytes}; the file is cut"
                )
            yield np.frombuffer(content, self.dtype).reshape(count, *self.shape[1:])
        self.file.read(1)  # at the end of a zip member its checksum is checked


@contextmanager
def _arrays(path: Path) -> Iterator[dict[str, _Member]]:
    name = str(path)
    try:
        with path.open("rb") as file:
            if path.suffix.lower() == ".npy":
                yield {"x": _Member(file, name, path.stat().st_size, path)}
                return
            with zipfile.ZipFile(file) as archive:
                yield _members(archive, name)
    except InputError:
        raise
    except (
        OSError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        ValueError,
        OverflowError,
        MemoryError,
        struct.error,
        lzma.LZMAError,
    ) as error:
        raise InputError(
            f"{name}: cannot be read as {path.suffix}: {' '.join(str(error).split())[:150]}"
        ) from None


def _members(archive: zipfile.ZipFile, name: str) -> dict[str, _Member]:
    members = {}
    for info in archive.infolist():
        key = info.filename.removesuffix(".npy")
        if key not in ("x", *SMALL) or not info.filename.endswith(".npy"):
            continue
        if key in members:
            raise InputError(f"{name}: the array `{key}` stands twice in it")
        if info.file_size > max(BOMB_BYTES, BOMB_RATIO * info.compress_size):
            raise InputError(
                f"{name}: `{key}` expands more than {BOMB_RATIO} times, to {info.file_size >> 20} MB; "
                "if that is right, save it with np.savez"
            )
        members[key] = _Member(archive.open(info), f"{name}: `{key}`", info.file_size)  # type: ignore[arg-type]
    if "x" not in members:
        found = ", ".join(member.removesuffix(".npy") for member in archive.namelist()[:12]) or "nothing"
        raise InputError(
            f"{name}: there is no array `x` in it (it holds {found}); save it as np.savez(file, x=..., y=...)"
        )
    absent = [key for key in SMALL if key not in members]
    for key in (member.removesuffix(".npy") for member in archive.namelist()):
        if key not in members and (meant := nearest(key.lower(), absent, 0.6)):
            raise InputError(f"{name}: holds an array `{key}`, which is not read{meant}")
    return members


def _checked_shape(shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> tuple[int, ...]:
    if dtype.kind not in "fiub":
        raise InputError(f"{name}: x has the type {dtype}; it must hold numbers")
    if len(shape) not in (2, 3):
        raise InputError(
            f"{name}: x has the shape {shape}; it must be (rows, steps) or (rows, steps, channels)"
        )
    if not shape[0]:
        raise InputError(f"{name}: there are no rows in it")
    if not all(shape[1:]):
        raise InputError(f"{name}: x has the shape {shape}; rows need at least one step of one number")
    return shape


def stored(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type in which values are kept: their own, except for halves, more than doubles, booleans and other byte orders."""
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind == "f" and dtype.itemsize not in (4, 8):
        return np.dtype(np.float32 if dtype.itemsize == 2 else np.float64)
    return dtype.newbyteorder("=")


def _lengths(lengths: ArrayLike | None, count: int, steps: int, name: str) -> NDArray[np.int64]:
    if lengths is None:
        return np.full(count, steps, np.int64)
    given = _array(lengths, f"{name}: lengths")
    if given.shape != (count,) or given.dtype.kind not in "iu":
        raise InputError(
            f"{name}: lengths must be {count} whole numbers, one per row; it is {given.dtype} {given.shape}"
        )
    bad = np.flatnonzero((given < 1) | (given > steps))
    if len(bad):
        raise InputError(
            f"{name}: row {bad[0]} has the length {given[bad[0]]}; it must lie between 1 and {steps}"
        )
    return given.astype(np.int64)


def read_array(path: Path) -> NDArray[Any]:
    """One `.npy` file as one row, (T,) or (T, C), memory-mapped. Raises InputError for anything else."""
    with _arrays(path) as arrays:
        member = arrays["x"]
        if member.dtype.kind not in "fiub" or len(member.shape) not in (1, 2) or not all(member.shape):
            raise InputError(
                f"{path}: holds {member.dtype} {member.shape}; one row is numbers (T,) or (T, C)"
            )
        return member.mapped()
