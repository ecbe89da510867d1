"""Sequences from arrays: NumPy in memory, `.npz` and `.npy` files."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backcast.data.sequences import Sequences
from backcast.errors import InputError

MOST_SYMBOLS = 65_536


def from_arrays(
    x: ArrayLike,
    y: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    ids: ArrayLike | None = None,
    *,
    name: str = "x",
    kind: str = "auto",
    missing_label: str | None = None,
) -> Sequences:
    """Rows from an array, checked.

    x        (n, T) or (n, T, C): floats, integers or booleans
    y        (n,) labels of any type; None: no row has one
    lengths  (n,) steps of each row, 1 .. T; None: all T
    ids      (n,); None: 0 .. n-1
    kind     `real` vectors, `symbols` (whole numbers from 0, (n, T)), or `auto`: symbols where x is an
             (n, T) array of non-negative integers
    missing_label  the value in y that stands for "no label", as text ("nan" for not-a-number)

    Raises InputError, naming row and step, for anything that does not fit.
    """
    values = np.asarray(x)
    if values.dtype.kind not in "fiub":
        raise InputError(f"{name}: x has the type {values.dtype}; it must hold numbers")
    if values.ndim not in (2, 3):
        raise InputError(
            f"{name}: x has the shape {values.shape}; it must be (rows, steps) or (rows, steps, channels)"
        )
    if not len(values):
        raise InputError(f"{name}: there are no rows in it")
    if not values.shape[1] or (values.ndim == 3 and not values.shape[2]):
        raise InputError(f"{name}: x has the shape {values.shape}; rows need at least one step of one number")
    count, steps = values.shape[:2]
    row_lengths = _lengths(lengths, count, steps, name)
    symbols = kind == "symbols" or (
        kind == "auto" and values.ndim == 2 and values.dtype.kind in "iu" and int(values.min()) >= 0
    )
    if symbols:
        values = _symbols(values, row_lengths, name)
    else:
        values = values.reshape(count, steps, -1)
        if values.dtype.kind == "f":
            values = values.astype(np.float32) if values.dtype == np.float16 else values
            check_finite(values, row_lengths, name)
        elif values.dtype != np.uint8:
            values = values.astype(np.float32)
    labels, classes = read_labels(y, count, name, missing_label)
    return Sequences(
        name=name,
        values=values.reshape(count * steps, *values.shape[2:]),
        starts=np.arange(count, dtype=np.int64) * steps,
        lengths=row_lengths,
        labels=labels,
        classes=classes,
        ids=_ids(ids, count, name),
    )


def read_npz(
    path: Path, *, kind: str = "auto", missing_label: str | None = None, labels: bool = True
) -> Sequences:
    """`.npz` with `x`, and optionally `y`, `lengths` and `ids`; `.npy` with x alone. See `from_arrays`.

    Pickled objects are refused: nothing that is loaded can run code.
    """
    name = str(path)
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            arrays = (
                {"x": loaded}
                if isinstance(loaded, np.ndarray)
                else {key: loaded[key] for key in loaded.files}
            )
    except ValueError as error:
        if "pickle" in str(error):
            raise InputError(
                f"{name}: it holds Python objects, which are not loaded; save plain arrays"
            ) from None
        raise InputError(f"{name}: cannot be read as .npz: {error}") from None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, KeyError) as error:
        raise InputError(f"{name}: cannot be read as .npz: {error}") from None
    if "x" not in arrays:
        found = ", ".join(arrays) or "nothing"
        raise InputError(
            f"{name}: there is no array `x` in it (it holds {found}); save it as np.savez(file, x=..., y=...)"
        )
    return from_arrays(
        arrays["x"], arrays.get("y") if labels else None, arrays.get("lengths"), arrays.get("ids"),
        name=name, kind=kind, missing_label=missing_label,
    )  # fmt: skip


def check_finite(values: NDArray[Any], lengths: NDArray[np.int64], name: str) -> None:
    """Raises InputError at the first NaN or infinity of (n, T, C) that lies within its row."""
    for row, length in enumerate(lengths):
        bad = ~np.isfinite(values[row, :length])
        if bad.any():
            step, channel = np.argwhere(bad)[0]
            raise InputError(
                f"{name}: row {row}, step {step}, channel {channel} is {values[row, step, channel]}; "
                "fill or drop such values first"
            )


def read_labels(
    y: ArrayLike | None, count: int, name: str, missing_label: str | None
) -> tuple[NDArray[np.int64], tuple[Any, ...]]:
    """Labels as numbers into the sorted classes, and the classes."""
    if y is None:
        return np.full(count, -1, np.int64), ()
    labels = np.asarray(y)
    if labels.shape != (count,):
        raise InputError(
            f"{name}: y has the shape {labels.shape}; there are {count} rows, so it must be ({count},)"
        )
    if labels.dtype.kind not in "iubfU":
        raise InputError(f"{name}: y has the type {labels.dtype}; labels are numbers, booleans or strings")
    missing = np.zeros(count, bool)
    if missing_label is not None:
        missing = _equals_text(labels, missing_label)
    if labels.dtype.kind == "f":
        bad = ~np.isfinite(labels) & ~missing
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise InputError(
                f"{name}: row {row} has the label {labels[row]}; if that means 'no label', say --missing-label nan"
            )
        if (labels[~missing] == np.round(labels[~missing])).all():
            labels = np.where(missing, 0, labels).astype(np.int64)
    classes, numbers = np.unique(labels[~missing], return_inverse=True)
    result = np.full(count, -1, np.int64)
    result[~missing] = numbers
    return result, tuple(classes.tolist())


def _equals_text(labels: NDArray[Any], text: str) -> NDArray[np.bool_]:
    """Which labels are the value written as `text`."""
    if labels.dtype.kind == "U":
        return labels == text
    try:
        value = float(text)
    except ValueError:
        raise InputError(
            f"--missing-label {text}: the labels are numbers, so this must be one, or nan"
        ) from None
    numbers = labels.astype(np.float64)
    return np.isnan(numbers) if np.isnan(value) else numbers == value


def _symbols(values: NDArray[Any], lengths: NDArray[np.int64], name: str) -> NDArray[Any]:
    if values.ndim != 2:
        raise InputError(f"{name}: symbols come as (rows, steps), but x has the shape {values.shape}")
    inside = np.arange(values.shape[1]) < lengths[:, None]
    bad = inside & ((values < 0) | (values >= MOST_SYMBOLS) | (values != np.floor(values)))
    if bad.any():
        row, step = np.argwhere(bad)[0]
        raise InputError(
            f"{name}: row {row}, step {step} is {values[row, step]}; symbols are whole numbers from 0 to {MOST_SYMBOLS - 1}"
        )
    return np.where(inside, values, 0).astype(np.int64)


def _lengths(lengths: ArrayLike | None, count: int, steps: int, name: str) -> NDArray[np.int64]:
    if lengths is None:
        return np.full(count, steps, np.int64)
    given = np.asarray(lengths)
    if given.shape != (count,) or given.dtype.kind not in "iu":
        raise InputError(
            f"{name}: lengths must be {count} whole numbers, one a row; it is {given.dtype} {given.shape}"
        )
    bad = np.flatnonzero((given < 1) | (given > steps))
    if len(bad):
        raise InputError(
            f"{name}: row {bad[0]} has the length {given[bad[0]]}; it must lie between 1 and {steps}"
        )
    return given.astype(np.int64)


def _ids(ids: ArrayLike | None, count: int, name: str) -> NDArray[Any]:
    if ids is None:
        return np.arange(count)
    given = np.asarray(ids)
    if given.shape != (count,):
        raise InputError(f"{name}: ids has the shape {given.shape}; there are {count} rows")
    if given.dtype.kind not in "iuU":
        raise InputError(f"{name}: ids have the type {given.dtype}; they must be whole numbers or strings")
    unique, first, counts = np.unique(given, return_index=True, return_counts=True)
    if len(unique) < count:
        row = int(first[counts > 1][0])
        raise InputError(
            f"{name}: the id {given[row]!r} stands more than once (first in row {row}); ids must differ"
        )
    return given
