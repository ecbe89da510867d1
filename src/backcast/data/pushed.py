"""What is pushed into a stream, as the network reads it."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backcast.data.forms.arrays import require_unmasked
from backcast.data.forms.python_objects import from_torch
from backcast.data.preprocessing import Preprocessing
from backcast.data.sequences import Kind, describe_kind
from backcast.errors import InputError, plural


def read_pushed(
    preprocessing: Preprocessing, x: Any, rows: int, lengths: Any = None
) -> tuple[Tensor, NDArray[np.int64]]:
    """x for `rows` rows as the network reads it, and how many steps of each row count.

    x  real vectors: (rows, steps, C), or (rows, steps) where C is 1; an array, tensor or list, in the units of
       the training rows
       whole numbers or words as symbols: (rows, steps), an array, tensor or DataFrame, or a list or column (Series) of
       lists or arrays of different lengths
       characters: a list of texts, or one text for one row; bytes: the same, of bytes or of texts to be read as UTF-8
    lengths  (rows,) how many steps of each row count: what stands behind them is not looked at; None: all

    Returns float32 (rows, steps, C) or int64 (rows, steps), zero after a row's end. Raises InputError for what the
    model does not read: a wrong number of rows or channels, a missing value, text in place of numbers, and for lengths
    beyond a row's end.
    """
    x = from_torch(x, "x")
    require_unmasked(x, "x")
    if preprocessing.symbols:
        return _symbols(preprocessing, x, rows, lengths)
    values = _numbers(preprocessing, x)
    if values.shape[0] != rows:
        raise _wrong_rows(values.shape[0], rows)
    steps = np.full(rows, values.shape[1], np.int64)
    if lengths is not None:
        steps = _checked(lengths, steps)
        inside = np.arange(values.shape[1]) < steps[:, None]
        values = np.where(inside[:, :, None], values, preprocessing.mean)  # which becomes zero
    _require_finite(values, values)
    with np.errstate(over="ignore"):
        standard = preprocessing.standardise(values)
    _require_finite(standard, values, ", beyond what 32 bits hold")
    return torch.from_numpy(standard), steps


def _checked(lengths: Any, own: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many steps of each row count, of the `own` that it has."""
    found = np.asarray(lengths)
    if found.shape != own.shape or (found.dtype.kind not in "iu" and found.size):
        raise InputError(
            f"lengths must be {len(own)} whole numbers, one per row of x, not {found.dtype} {found.shape}"
        )
    wrong = np.flatnonzero((found < 0) | (found > own))
    if len(wrong):
        row = int(wrong[0])
        raise InputError(
            f"lengths: row {row} of x has {own[row]} {plural(own[row], 'step')}, so 0 .. {own[row]}, not {found[row]}"
        )
    return found.astype(np.int64)


def _numbers(preprocessing: Preprocessing, x: Any) -> NDArray[Any]:
    channels = preprocessing.channels
    try:
        values = np.asarray(x)
    except ValueError:
        raise InputError(
            "x: its rows differ in length; pad them to one length and say lengths=, or push them one by one"
        ) from None
    if not values.size and values.dtype.kind == "f" and values.ndim == 2:
        values = values.reshape(len(values), 0, channels)  # no step of any row, however many channels
    if values.ndim == 2 and channels == 1:
        values = values[:, :, None]
    if values.dtype.kind not in "fiub" or values.ndim != 3 or values.shape[2] != channels:
        wanted = "(rows, steps) or (rows, steps, 1)" if channels == 1 else f"(rows, steps, {channels})"
        found = "(" + ", ".join(map(str, values.shape)) + ")"
        raise InputError(
            f"x is {found} of {values.dtype}, but the model reads {describe_kind('real', channels)}: push numbers {wanted}"
        )
    return values


def _require_finite(found: NDArray[Any], values: NDArray[Any], more: str = "") -> None:
    if not np.isfinite(found).all():
        row, step, channel = map(int, np.argwhere(~np.isfinite(found))[0])
        raise InputError(
            f"x: row {row}, step {step}, channel {channel} is {values[row, step, channel]}{more}; "
            "a stream needs every value: push the last known one, or leave the step out"
        )


def _symbols(
    preprocessing: Preprocessing, x: Any, rows: int, lengths: Any
) -> tuple[Tensor, NDArray[np.int64]]:
    kind = preprocessing.kind
    if isinstance(x, str | bytes | bytearray):
        x = [x]
    if hasattr(x, "to_numpy"):
        x = x.to_numpy()
    if isinstance(x, np.ndarray):
        x = (x[:, :, 0] if x.ndim == 3 and x.shape[2] == 1 else x).tolist()
    if not isinstance(x, list | tuple):
        raise InputError(f"x is a {type(x).__name__}, but the model reads {describe_kind(kind, 1)} a row")
    if len(x) != rows:
        raise _wrong_rows(len(x), rows)
    x = [_row(kind, row, i) for i, row in enumerate(x)]
    steps = np.array([len(row) for row in x], np.int64)
    if lengths is not None:
        steps = _checked(lengths, steps)
    padded = np.zeros((rows, int(steps.max(initial=0))), np.int64)
    for i, count in enumerate(steps):
        symbols = x[i][:count]
        if not isinstance(symbols, str | bytes | bytearray):
            _require_fit(kind, symbols, i)
        padded[i, :count] = _numbered(preprocessing, symbols)
    return torch.from_numpy(padded), steps


def _numbered(preprocessing: Preprocessing, symbols: Any) -> NDArray[np.int64]:
    """The symbols' numbers; words may be numbers here and not in the training rows."""
    return preprocessing.numbers(symbols, alien=preprocessing.kind in ("integers", "categories"))


def unknown_pushed(preprocessing: Preprocessing, symbols: set[Any]) -> list[Any]:
    """Those of the symbols that the training rows did not have, in order."""
    names = sorted(symbols, key=str)
    numbers = _numbered(preprocessing, names)
    return [
        name for name, number in zip(names, numbers, strict=True) if number == len(preprocessing.vocabulary)
    ]


def _row(kind: Kind, row: Any, i: int) -> Any:
    """One row as a sequence of symbols. Raises InputError for what is none."""
    if kind == "bytes":
        row = row.encode("utf-8", "surrogatepass") if isinstance(row, str) else row
        if isinstance(row, bytes | bytearray):
            return row
    if kind == "characters" and isinstance(row, str):
        return row
    if hasattr(row, "tolist"):
        row = row.tolist()
    if not isinstance(row, list | tuple):
        raise InputError(
            f"x: row {i} is {reprlib.repr(row)}, but the model reads {describe_kind(kind, 1)}: push (rows, steps)"
        )
    return row


def _require_fit(kind: Kind, symbols: Any, i: int) -> None:
    """Raises InputError for a symbol of row `i` that the model's vocabulary cannot hold."""
    for step, symbol in enumerate(symbols):
        if not _fits(kind, symbol):
            raise InputError(
                f"x: row {i}, step {step} is {reprlib.repr(symbol)}, but the model reads {describe_kind(kind, 1)}"
            )


def _fits(kind: Kind, symbol: Any) -> bool:
    if kind == "characters":
        return isinstance(symbol, str) and len(symbol) == 1
    whole = isinstance(symbol, int | np.integer) and not isinstance(symbol, bool)
    if kind == "bytes":
        return whole and 0 <= symbol < 256
    return whole or isinstance(symbol, str)


def _wrong_rows(found: int, rows: int) -> InputError:
    return InputError(
        f"x has {found} row{'' if found == 1 else 's'}, but {rows} {'is' if rows == 1 else 'are'} read here: push one row for "
        "each stream of the session (StreamSession(model, batch_size=N)), or name the rows that are meant (rows=)"
    )
