"""`Sequences`: rows of any lengths over flat values, and `Splits` of them."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backcast.data.store.labels import written
from backcast.data.values import Joined
from backcast.errors import InputError, plural, require_count

Kind = Literal["real", "characters", "bytes", "integers", "categories"]
ELEMENTS: dict[Kind, str] = {
    "real": "real vectors",
    "characters": "characters",
    "bytes": "bytes",
    "integers": "whole numbers as symbols",
    "categories": "words as symbols",
}


@dataclass(frozen=True)
class Picture:
    """The rows are pictures, read line by line: height × width elements, one per step."""

    height: int
    width: int


@dataclass(frozen=True)
class Permutation:
    """A fixed order in which the steps of every row are read: position t reads step `order[t]`."""

    name: str
    order: NDArray[np.int64]


class Missing(NamedTuple):
    """Missing values (NaN): how many, and where the first one is."""

    total: int
    row: int
    step: int
    channel: int


@dataclass(frozen=True, repr=False)
class Sequences:
    """n rows. Row i is `values[starts[i] : starts[i] + lengths[i]]`.

    name         what the user calls it, for messages
    kind         what the elements are; all but `real` are symbols
    values       (N, C) real vectors, or (N,) numbers into `symbols`; in memory or mapped from a file
    starts       (n,) int64
    lengths      (n,) int64, all at least 1
    labels       (n,) int64 into `classes`; -1 where there is none
    classes      the labels' names in order: int, float, str or bool, as the user wrote them
    ids          (n,) of anything that can be printed; each row's own
    symbols      the symbols in order: str or int; none where the elements are real
    missing      the missing values, or None
    picture      how to show a row, where it is a picture
    permutation  to be applied by the model's preprocessing, not applied here (pMNIST)
    checksum     SHA-256 of what a file's rows hold, where it is known already
    columns      a table's columns that are the channels (one row per step) or the steps (one column per step), in order
    targets      (n,) float64: what a regression learns in place of a class; NaN where there is none
    weights      (n,) float64 above 0: how much a row counts in the supervised loss; None: all the same
    """

    name: str
    kind: Kind
    values: NDArray[Any] | Joined
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    labels: NDArray[np.int64]
    classes: tuple[Any, ...]
    ids: NDArray[Any]
    symbols: tuple[Any, ...] = ()
    missing: Missing | None = None
    picture: Picture | None = None
    permutation: Permutation | None = None
    checksum: str | None = None
    columns: tuple[str, ...] = ()
    targets: NDArray[np.float64] | None = None
    weights: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.starts)

    def __repr__(self) -> str:
        low, high = (int(self.lengths.min()), int(self.lengths.max())) if len(self) else (0, 0)
        steps = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        return (
            f"<Sequences {self.name!r}: {len(self):,} rows of {steps} steps; {self.kind}; "
            f"channels: {self.channels}; classes: {len(self.classes)}>"
        )

    @property
    def channels(self) -> int:
        """Numbers in an element; 1 for symbols."""
        return 1 if self.is_symbols else self.values.shape[1]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """(n,): whether the row has a label or a target. Classification and regression learn from such rows only."""
        return self.labels >= 0 if self.targets is None else ~np.isnan(self.targets)

    def class_counts(self) -> NDArray[np.int64]:
        """How many rows each of `classes` has."""
        return np.bincount(self.labels[self.labels >= 0], minlength=len(self.classes))

    @property
    def is_symbols(self) -> bool:
        return self.kind != "real"

    @property
    def channel_names(self) -> list[str]:
        """The channels as a picture calls them: a table's columns where each is a channel, else numbers."""
        if len(self.columns) == self.channels > 1:
            return [*self.columns]
        return [f"channel {number}" for number in range(self.channels)]

    def channel(self, number: int) -> str:
        """A channel as messages call it: by its column, where it has one."""
        if len(self.columns) == self.channels:
            return f"column `{self.columns[number]}`"
        return f"channel {number}"

    def called(self, row: int) -> str:
        """A row as messages call it: by its id, where that is not its number."""
        id = self.ids.item(row)
        return f"row {row}" if id == row else f"the sequence {reprlib.repr(id)}"

    def place(self, row: int, step: int, channel: int) -> str:
        """Where a number stands, as messages say it: by id and column, where there are such, else counted from 0."""
        name = self.called(row)
        if self.channels != len(self.columns) > step:  # one column per step
            return f"{name}, column `{self.columns[step]}`"
        return f"{name}, step {step}, {self.channel(channel)}"

    def row(self, i: int) -> NDArray[Any]:
        """Row i: (T, C), or (T,) numbers into `symbols`."""
        return self.steps(i, 0, int(self.lengths[i]))

    def steps(self, i: int, start: int, stop: int) -> NDArray[Any]:
        """Steps start .. stop-1 of row i, which must lie within it."""
        first = int(self.starts[i])
        return self.values[first + start : first + stop]

    def select(self, rows: NDArray[np.int64]) -> Sequences:
        """Some of the rows, in the order given; the values are not copied."""
        return replace(
            self,
            starts=self.starts[rows],
            lengths=self.lengths[rows],
            labels=self.labels[rows],
            ids=self.ids[rows],
            targets=None if self.targets is None else self.targets[rows],
            weights=None if self.weights is None else self.weights[rows],
        )._recounted()

    def cut(self, longest: int) -> Sequences:
        """The first `longest` steps of every row; the values are not copied. Raises InputError for none."""
        require_count("longest", longest)
        return replace(self, lengths=np.minimum(self.lengths, longest))._recounted()

    def _recounted(self) -> Sequences:
        """The same rows with missing values counted again, where there were any."""
        if self.missing is None:
            return self
        found: Missing | None = None
        for i in range(len(self)):
            missing = np.isnan(self.row(i))
            if missing.any():
                step, channel = map(int, np.argwhere(missing)[0])
                found = found or Missing(0, i, step, channel)
                found = found._replace(total=found.total + int(missing.sum()))
        return replace(self, missing=found)

    def without_labels(self) -> Sequences:
        """The same rows, none with a label, a target or a weight."""
        return replace(self, labels=np.full(len(self), -1, np.int64), targets=None, weights=None)

    def relabel(self, classes: tuple[Any, ...]) -> Sequences:
        """The same rows with labels that point into `classes`; names written alike match, and 1 matches 1.0.

        Raises InputError for a row whose label is not among them.
        """
        if self.classes == classes:
            return self
        alike = {written(name): number for number, name in enumerate(classes)}
        known = {str(name): number for number, name in enumerate(classes)}
        found = [known.get(str(name), alike.get(written(name), -2)) for name in self.classes]
        table = np.array(found, np.int64)
        labels = np.where(self.labels >= 0, table[self.labels] if len(table) else -1, -1)
        unknown = np.flatnonzero(labels == -2)
        if len(unknown):
            row = int(unknown[0])
            raise InputError(
                f"{self.name}: row {row} has the label {self.classes[self.labels[row]]!r}, which the model was not "
                f"trained on; it knows {some(classes)}. Leave such rows out, or train on some of them"
            )
        return replace(self, labels=labels, classes=classes)

    def without_class(self, name: str) -> Sequences:
        """The same rows, with those of the class written `name` unlabelled; unchanged where there is no such class.

        Raises InputError where the classes are numbers and `name` is not.
        """
        if not self.classes:
            return self
        wanted = [number for number, known in enumerate(self.classes) if _same(known, name)]
        if not wanted:
            _require_comparable(self.classes, name)
            return self
        kept = tuple(known for number, known in enumerate(self.classes) if number not in wanted)
        numbers = np.cumsum([number not in wanted for number in range(len(self.classes))]) - 1
        numbers[wanted] = -1
        labels = np.where(self.labels >= 0, numbers[self.labels], -1)
        return replace(self, labels=labels, classes=kept)


@dataclass(frozen=True)
class Splits:
    """Training rows (`train`), and if any, rows to report on (`test`) and to choose the epoch (`validation`)."""

    train: Sequences
    test: Sequences | None = None
    validation: Sequences | None = None

    def parts(self) -> dict[str, Sequences]:
        """Those that exist, by name."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in named.items() if part is not None}


def concatenate(first: Sequences, second: Sequences) -> Sequences:
    """The rows of both, with the classes, the picture and the permutation of the first; nothing is copied."""
    assert first.targets is None and first.weights is None, "only what is read from DATA is put together"
    if not alike(first.kind, second.kind) or first.channels != second.channels:
        raise InputError(
            f"{second.name} holds {describe_elements(second)}, but {first.name} holds {describe_elements(first)}; "
            "rows that are put together must look alike"
        )
    second = second.relabel(first.classes)
    require_columns(first.columns, second)
    kind, symbols = first.kind, first.symbols
    tables: list[NDArray[Any] | None] = [None, None]
    if first.symbols != second.symbols:
        kind = first.kind if first.kind == second.kind else "categories"
        names = [
            [name if first.kind == second.kind else str(name) for name in part.symbols]
            for part in (first, second)
        ]
        symbols = tuple(sorted({*names[0], *names[1]}))
        number = {name: i for i, name in enumerate(symbols)}
        tables = [np.array([number[name] for name in part], np.int64) for part in names]
    checksums = (first.checksum, second.checksum)
    return replace(
        first,
        kind=kind,
        values=Joined((first.values, second.values), tuple(tables)),
        starts=np.concatenate([first.starts, second.starts + len(first.values)]),
        lengths=np.concatenate([first.lengths, second.lengths]),
        labels=np.concatenate([first.labels, second.labels]),
        ids=np.concatenate([first.ids.astype(object), second.ids.astype(object)]),
        symbols=symbols,
        missing=_missing_of_both(first, second),
        checksum=None if None in checksums else " ".join(map(str, checksums)),
    )


def _missing_of_both(first: Sequences, second: Sequences) -> Missing | None:
    if second.missing is None:
        return first.missing
    if first.missing is None:
        return second.missing._replace(row=len(first) + second.missing.row)
    return first.missing._replace(total=first.missing.total + second.missing.total)


def alike(kind: Kind, other: Kind) -> bool:
    """Can rows of both kinds be read together? Words may be numbers in one file and not in another."""
    return kind == other or {kind, other} == {"integers", "categories"}


def read_as(kind: Kind) -> str:
    """The `--kind` that reads other data like data of this kind."""
    return "symbols" if kind in ("integers", "categories") else kind


def require_columns(columns: tuple[str, ...], rows: Sequences) -> None:
    """Raises InputError where the columns of `rows`, by their names, are not those of `columns`."""
    for mine, other in zip(columns, rows.columns, strict=False):
        if mine != other:
            raise InputError(
                f"{rows.name}: its columns {some(rows.columns)} are not those of the training rows, {some(columns)}; "
                "name the columns by --x, in one order"
            )


def describe_elements(sequences: Sequences) -> str:
    return describe_kind(sequences.kind, sequences.channels)


def describe_kind(kind: Kind, channels: int) -> str:
    if kind != "real":
        return ELEMENTS[kind]
    return f"real vectors of {channels} {plural(channels, 'channel')}"


def some(names: tuple[Any, ...]) -> str:
    """The first names of many, as a message shows them."""
    shown = ", ".join(repr(name) for name in names[:12])
    return shown if len(names) <= 12 else f"{shown}, … ({len(names)} in all)"


def _require_comparable(classes: tuple[Any, ...], text: str) -> None:
    """Raises InputError for text that is no number where all labels are numbers."""
    try:
        float(text)
    except ValueError:
        if text and not any(isinstance(name, str) for name in classes):
            raise InputError(
                f"--missing-label {text}: the labels are numbers, so this must be one, or nan"
            ) from None


def _same(known: Any, text: str) -> bool:
    if str(known) == text:
        return True
    try:
        return not isinstance(known, str) and float(known) == float(text)
    except ValueError:
        return False
