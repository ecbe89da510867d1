"""`Sequences`: rows of any lengths over one flat array, and `Splits` of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backcast.errors import InputError


@dataclass(frozen=True)
class Picture:
    """The rows are pictures, read line by line: height × width elements, one a step."""

    height: int
    width: int


@dataclass(frozen=True)
class Permutation:
    """A fixed order in which the steps of every row are read: position t reads step `order[t]`."""

    name: str
    order: NDArray[np.int64]


@dataclass(frozen=True)
class Sequences:
    """n rows. Row i is `values[starts[i] : starts[i] + lengths[i]]`.

    name         what the user calls it, for messages
    values       (N, C) real vectors, or (N,) integers where the elements are symbols
    starts       (n,) int64
    lengths      (n,) int64, all at least 1
    labels       (n,) int64 into `classes`; -1 where there is none
    classes      the labels' names in order: int, float, str or bool as the user wrote them
    ids          (n,) of anything that can be printed; each row's own
    picture      how to show a row, where it is a picture
    permutation  to be applied by the model's preprocessing, not applied here (pMNIST)
    """

    name: str
    values: NDArray[Any]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    labels: NDArray[np.int64]
    classes: tuple[Any, ...]
    ids: NDArray[Any]
    picture: Picture | None = None
    permutation: Permutation | None = None

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def channels(self) -> int:
        """Numbers in an element; 1 for symbols."""
        return 1 if self.values.ndim == 1 else self.values.shape[1]

    @property
    def is_symbols(self) -> bool:
        return self.values.ndim == 1

    def row(self, i: int) -> NDArray[Any]:
        """Row i: (T, C), or (T,) for symbols."""
        return self.values[self.starts[i] : self.starts[i] + self.lengths[i]]

    def select(self, rows: NDArray[np.int64]) -> Sequences:
        """Some of the rows, in the order given; the values are not copied."""
        return replace(
            self, starts=self.starts[rows], lengths=self.lengths[rows], labels=self.labels[rows], ids=self.ids[rows]
        )  # fmt: skip

    def without_labels(self) -> Sequences:
        return replace(self, labels=np.full(len(self), -1, np.int64))

    def relabel(self, classes: tuple[Any, ...]) -> Sequences:
        """The same rows with labels that point into `classes`.

        Raises InputError for a row whose label is not among them.
        """
        if self.classes == classes:
            return self
        known = {name: number for number, name in enumerate(classes)}
        table = np.array([known.get(name, -2) for name in self.classes], np.int64)
        labels = np.where(self.labels >= 0, table[self.labels] if len(table) else -1, -1)
        unknown = np.flatnonzero(labels == -2)
        if len(unknown):
            row = int(unknown[0])
            raise InputError(
                f"{self.name}: row {row} has the label {self.classes[self.labels[row]]!r}, which the model was not "
                f"trained on; it knows {_some(classes)}"
            )
        return replace(self, labels=labels, classes=classes)


@dataclass(frozen=True)
class Splits:
    """Training rows, and rows to report on where there are any."""

    train: Sequences
    test: Sequences | None = None


def concatenate(first: Sequences, second: Sequences) -> Sequences:
    """The rows of both, with the classes, the picture and the permutation of the first."""
    if first.is_symbols != second.is_symbols or first.channels != second.channels:
        raise InputError(
            f"{second.name} holds {describe_elements(second)}, but {first.name} holds {describe_elements(first)}; "
            "rows without labels must look like the labelled ones"
        )
    second = second.relabel(first.classes)
    return replace(
        first,
        values=np.concatenate([first.values, second.values]),
        starts=np.concatenate([first.starts, second.starts + len(first.values)]),
        lengths=np.concatenate([first.lengths, second.lengths]),
        labels=np.concatenate([first.labels, second.labels]),
        ids=np.concatenate([first.ids.astype(object), second.ids.astype(object)]),
    )


def describe_elements(sequences: Sequences) -> str:
    if sequences.is_symbols:
        return "symbols"
    return describe_channels(sequences.channels)


def describe_channels(channels: int) -> str:
    return f"real vectors of {channels} channel{'s' if channels > 1 else ''}"


def _some(classes: tuple[Any, ...]) -> str:
    shown = ", ".join(repr(name) for name in classes[:12])
    return shown if len(classes) <= 12 else f"{shown}, … ({len(classes)} in all)"
