"""From rows as the user has them to batches as the network reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from backcast.batch import Batch
from backcast.data.sequences import (
    Kind,
    Sequences,
    alike,
    describe_elements,
    describe_kind,
    read_as,
    require_columns,
)
from backcast.data.values import release
from backcast.errors import InputError

BATCH_BYTES = 32 << 20  # a batch that would be larger is read from disk piece by piece
PIECE = 1 << 20  # steps of a row that statistics take at a time


@dataclass(frozen=True)
class Preprocessing:
    """What is done to every row before the network reads it. Saved with the model.

    kind              what the elements are
    channels          numbers in an element
    mean, std         of the training rows, one per channel (real vectors); a constant channel has std 1
    columns           the columns of the training rows' table where they are channels or steps, else none
    vocabulary        the symbols of the training rows, in order; all others are read as one more, "unknown"
    permutation       the order in which the steps are read, or None
    permutation_name  the name of that order
    """

    kind: Kind
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    vocabulary: tuple[Any, ...] = ()
    permutation: tuple[int, ...] | None = None
    permutation_name: str | None = None
    columns: tuple[str, ...] = ()

    @staticmethod
    def fit(rows: Sequences) -> Preprocessing:
        """Statistics of the training rows. Raises InputError where values are missing, or a channel has none."""
        require_no_missing(rows)
        order = rows.permutation
        permutation = None if order is None else tuple(order.order.tolist())
        name = None if order is None else order.name
        if rows.is_symbols:
            vocabulary = tuple(rows.symbols[number] for number in np.flatnonzero(count_symbols(rows)))
            return Preprocessing(rows.kind, 1, (), (), vocabulary, permutation, name, rows.columns)
        mean, std = _statistics(rows)
        return Preprocessing("real", rows.channels, mean, std, (), permutation, name, rows.columns)

    @property
    def symbols(self) -> int:
        """The number of symbols that the network reads, including the unknown one; 0 for real vectors."""
        return 0 if self.kind == "real" else len(self.vocabulary) + 1

    @property
    def reads(self) -> str:
        """The `--kind` to read other data with."""
        return read_as(self.kind)

    @property
    def permutation_checksum(self) -> str | None:
        """SHA-256 of the permutation, as little-endian 32-bit numbers: tells one pMNIST from another."""
        if self.permutation is None:
            return None
        return hashlib.sha256(np.array(self.permutation, "<i4").tobytes()).hexdigest()

    def check(self, rows: Sequences) -> None:
        """Raises InputError where `rows` are not what the model reads."""
        if not alike(self.kind, rows.kind) or (not self.symbols and self.channels != rows.channels):
            raise InputError(
                f"{rows.name}: it holds {describe_elements(rows)}, but the model reads "
                f"{describe_kind(self.kind, self.channels)}"
            )
        require_columns(self.columns, rows)
        require_no_missing(rows)
        if self.permutation is not None:
            wrong = np.flatnonzero(rows.lengths != len(self.permutation))
            if len(wrong):
                raise InputError(
                    f"{rows.name}: row {wrong[0]} has {rows.lengths[wrong[0]]} steps, but the model reads "
                    f"{len(self.permutation)} steps in the order '{self.permutation_name}'"
                )
        if rows.permutation is not None and tuple(rows.permutation.order.tolist()) != self.permutation:
            raise InputError(
                f"{rows.name}: is to be read in the order '{rows.permutation.name}', but the model was trained on "
                f"{self.permutation_name or 'the plain order'}"
            )

    def unknown(self, rows: Sequences) -> tuple[int, list[Any]]:
        """How many elements of `rows` are symbols that the training rows did not have, and which symbols those are."""
        if not self.symbols or rows.symbols == self.vocabulary:
            return 0, []
        counts = count_symbols(rows)
        new = np.flatnonzero((self.codes(rows) == len(self.vocabulary)) & (counts > 0))
        return int(counts[new].sum()), [rows.symbols[number] for number in new]

    def codes(self, rows: Sequences) -> NDArray[np.int64]:
        """The number in the vocabulary of each of the rows' symbols; for unknown ones, the vocabulary's length."""
        return self.numbers(rows.symbols, alien=self.kind != rows.kind)

    def numbers(self, names: Iterable[Any], alien: bool = False) -> NDArray[np.int64]:
        """The numbers of symbols; `alien`: they may be words where the model has numbers, or the reverse."""
        if alien:
            names = map(_as_whole if self.kind == "integers" else str, names)
        number = self._number
        return np.array([number.get(name, len(number)) for name in names], np.int64)

    @cached_property
    def _number(self) -> dict[Any, int]:
        return {name: i for i, name in enumerate(self.vocabulary)}

    def standardise(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Real vectors (..., C) in the user's units, standardised for the network."""
        # Infinite in 32 bits, and cut to the largest number when a batch is made.
        with np.errstate(over="ignore"):
            found: NDArray[np.float32] = ((x - np.array(self.mean)) / np.array(self.std)).astype(np.float32)
        return found

    def batch(self, rows: Sequences, which: NDArray[np.int64], device: torch.device | str = "cpu") -> Batch:
        """The rows numbered `which`, padded with zeros to the longest of them; read from disk where that is much.

        Real vectors become float32, standardised, with missing values set to the mean; symbols become int64.
        """
        reader = RowReader(self, rows, which, torch.device(device))
        labels = torch.from_numpy(rows.labels[which]).to(device)
        x = reader if reader.bytes > BATCH_BYTES else reader.read(0, reader.shape[1])
        more = [
            None if column is None else torch.from_numpy(column[which].astype(np.float32)).to(device)
            for column in (rows.targets, rows.weights)
        ]
        return Batch(x, rows.lengths[which], labels, which, *more)

    def batches(self, rows: Sequences, size: int, device: torch.device | str = "cpu") -> Iterator[Batch]:
        """All rows in order, `size` at a time."""
        for start in range(0, len(rows), size):
            yield self.batch(rows, np.arange(start, min(start + size, len(rows))), device)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "permutation_sha256": self.permutation_checksum}

    @staticmethod
    def from_json(saved: dict[str, Any]) -> Preprocessing:
        order = saved["permutation"]
        return Preprocessing(
            saved["kind"],
            saved["channels"],
            tuple(saved["mean"]),
            tuple(saved["std"]),
            tuple(saved["vocabulary"]),
            None if order is None else tuple(order),
            saved["permutation_name"],
            tuple(saved["columns"]),
        )


class RowReader:
    """Some rows as the network reads them: a `batch.Reader`. Nothing is kept between two calls."""

    def __init__(
        self, preprocessing: Preprocessing, rows: Sequences, which: NDArray[np.int64], device: torch.device
    ) -> None:
        self.preprocessing, self.rows, self.which, self.device = preprocessing, rows, which, device
        self.lengths = rows.lengths[which]
        longest = int(self.lengths.max())
        symbols = bool(preprocessing.symbols)
        self.shape: tuple[int, ...] = (len(which), longest) + (() if symbols else (preprocessing.channels,))
        self.bytes = int(np.prod(self.shape)) * (8 if symbols else 4)
        self._codes = None
        if symbols and (rows.symbols != preprocessing.vocabulary or rows.kind != preprocessing.kind):
            self._codes = preprocessing.codes(rows)
        permutation = preprocessing.permutation
        self._order = None if permutation is None else np.array(permutation)

    def read(self, start: int, stop: int) -> torch.Tensor:
        """Steps start .. stop-1 of all rows, (B, stop-start[, C]); zeros after their ends."""
        x = np.zeros((len(self.which), stop - start, *self.shape[2:]), self._raw_type())
        for place, i in enumerate(self.which):
            end = min(stop, int(self.lengths[place]))
            if end > start:
                x[place, : end - start] = self._steps(int(i), start, end)
        release(self.rows.values)
        return self._finished(x, np.arange(start, stop) < self.lengths[:, None])

    def gather(self, positions: NDArray[np.int64]) -> torch.Tensor:
        """The elements at `positions` (B, m) of each row: (B, m[, C]); zeros after their ends."""
        x = np.zeros((*positions.shape, *self.shape[2:]), self._raw_type())
        inside = positions < self.lengths[:, None]
        for place, i in enumerate(self.which):
            within = np.where(inside[place], positions[place], 0)
            low, high = int(within.min()), int(within.max()) + 1
            if high - low <= 4 * len(within):  # close together: one read, which suits a mapped file better
                x[place] = self._steps(int(i), low, high)[within - low]
            else:
                order = within if self._order is None else self._order[within]
                x[place] = self.rows.values[int(self.rows.starts[i]) + order]
        release(self.rows.values)
        return self._finished(x, inside)

    def _steps(self, i: int, start: int, stop: int) -> NDArray[Any]:
        if self._order is None:
            return self.rows.steps(i, start, stop)
        return self.rows.row(i)[self._order[start:stop]]

    def _raw_type(self) -> type[np.generic]:
        return np.int64 if self.preprocessing.symbols else np.float64

    def _finished(self, x: NDArray[Any], inside: NDArray[np.bool_]) -> torch.Tensor:
        if self.preprocessing.symbols:
            if self._codes is not None:
                x = self._codes[x]
            return torch.from_numpy(np.where(inside, x, 0)).to(self.device)
        x = self.preprocessing.standardise(x)
        np.nan_to_num(x, copy=False)
        x *= inside[:, :, None]
        return torch.from_numpy(x).to(self.device)


def _as_whole(word: Any) -> Any:
    """The whole number that a word of digits stands for, leading zeros or not; anything else as it is."""
    return int(word) if isinstance(word, str) and word.isdecimal() and len(word) < 18 else word


def count_symbols(rows: Sequences) -> NDArray[np.int64]:
    """How often each of the rows' symbols occurs in them."""
    counts = np.zeros(len(rows.symbols), np.int64)
    for piece in pieces(rows):
        counts += np.bincount(piece, minlength=len(counts))
    return counts


def pieces(rows: Sequences) -> Iterator[NDArray[Any]]:
    """All elements of all rows, at most `PIECE` steps of a row at a time."""
    seen = 0
    for i, length in enumerate(rows.lengths.tolist()):
        for start in range(0, length, PIECE):
            stop = min(start + PIECE, length)
            yield rows.steps(i, start, stop)
            seen += stop - start
            if seen >= PIECE:
                release(rows.values)
                seen = 0
    release(rows.values)


def _statistics(rows: Sequences) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel; missing values do not count.

    Raises InputError for a channel without any value, or with values too large.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # refused below, where it matters
        mean, std = _mean_and_deviation(rows)
    too_large = np.flatnonzero(~np.isfinite(std))
    if len(too_large):
        raise InputError(
            f"{rows.name}: {rows.channel(too_large[0])} holds numbers too large to have a spread; do such stand for missing ones? "
            "Make them NaN, or leave them out"
        )
    std = np.where(std > 1e-12 * np.abs(mean), std, 1.0)
    return tuple(mean.tolist()), tuple(std.tolist())


def _mean_and_deviation(rows: Sequences) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    present = np.zeros(rows.channels)
    total = np.zeros(rows.channels)
    for piece in pieces(rows):
        total = total + np.nansum(piece, axis=0, dtype=np.float64)
        present += (~np.isnan(piece)).sum(axis=0) if piece.dtype.kind == "f" else len(piece)
    if not present.all():
        channel = rows.channel(int(present.argmin()))
        raise InputError(
            f"{rows.name}: {channel} has no value in any row; leave it out (--x chooses columns)"
        )
    mean = total / present
    # About the mean, in a second pass: the difference of two large sums would lose a small spread.
    spread = np.zeros(rows.channels)
    for piece in pieces(rows):
        spread = spread + np.nansum(np.square(piece - mean), axis=0)
    std = np.sqrt(spread / present)
    return mean, std


def varying(rows: Sequences, fitted: Preprocessing) -> NDArray[np.bool_]:
    """(C,) The channels that vary in the rows that `fitted` is of: it says std 1 of a constant one, and of some others."""
    std = np.array(fitted.std)
    if not (std == 1.0).any():
        return std != 1.0
    low, high = np.full_like(std, np.inf), np.full_like(std, -np.inf)
    for piece in pieces(rows):
        low, high = np.fmin(low, np.fmin.reduce(piece)), np.fmax(high, np.fmax.reduce(piece))
    return (std != 1.0) | (low < high)


def require_no_missing(rows: Sequences) -> None:
    if rows.missing is not None:
        total, *place = rows.missing
        if ends_missing(rows):
            raise InputError(
                f"{rows.name}: {rows.place(*place)} is missing, and all that are missing ({total} values) stand at the ends "
                "of rows; if they only fill rows up, `lengths` in an .npz (or a list of arrays in Python) says where rows end, "
                "else --fill-missing takes the last known value"
            )
        raise InputError(
            f"{rows.name}: {rows.place(*place)} is missing ({total} values in all are NaN); "
            "--fill-missing takes the last known value, or fill them first"
        )


def ends_missing(rows: Sequences) -> bool:
    """Whether missing values only fill rows up: behind a step that misses one there is none that has any."""
    for i in range(len(rows)):
        missing = np.isnan(rows.row(i))
        end = int(np.append(missing.any(axis=1), True).argmax())
        if not end or not missing[end:].all():
            return False
    return True
