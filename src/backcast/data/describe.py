"""What data are, in one line, reported whenever they are read."""

from __future__ import annotations

from typing import Any

import numpy as np

from backcast.data.preprocessing import Preprocessing
from backcast.data.sequences import Sequences, describe_elements, some
from backcast.data.store.labels import written
from backcast.errors import InputError


def describe(rows: Sequences, kind: str = "auto") -> str:
    """Rows, elements, lengths and classes; where `kind` is auto, also how to have them read differently."""
    low, middle, high = (int(part) for part in np.percentile(rows.lengths, [0, 50, 100], method="nearest"))
    steps = f"{low:,} steps each" if low == high else f"{low:,} to {high:,} steps (median {middle:,})"
    elements = describe_elements(rows)
    if rows.is_symbols and rows.kind != "bytes":
        elements += f" ({len(rows.symbols)} different)"
    labelled = int((rows.labels >= 0).sum())
    classes = f"{len(rows.classes)} classes" if rows.classes else "no labels"
    if rows.classes and labelled < len(rows):
        classes += f", {len(rows) - labelled:,} rows without a label"
    if rows.targets is not None:
        classes = f"{int(rows.labelled.sum()):,} targets"
    return f"{rows.name}: {len(rows):,} rows of {elements}, {steps}, {classes}{kind_hint(rows, kind)}"


def kind_hint(rows: Sequences, kind: str) -> str:
    """How to have the elements read differently, where that was left to the program."""
    return "; --kind real reads them as numbers" if kind == "auto" and rows.kind == "integers" else ""


def new_classes(rows: Sequences, train: Sequences) -> tuple[str, ...]:
    """The classes of `rows` that `train` has not, however they are written."""
    present = [rows.classes[number] for number in np.unique(rows.labels[rows.labels >= 0])]
    return tuple(sorted(set(map(written, present)) - set(map(written, train.classes))))


def unknown_symbols(preprocessing: Preprocessing, rows: Sequences) -> str | None:
    """A line on the symbols of `rows` that the training rows did not have, or None.

    Raises InputError where no symbol of `rows` is known.
    """
    count, new = preprocessing.unknown(rows)
    if not count:
        return None
    if count == int(rows.lengths.sum()):
        raise InputError(
            f"{rows.name}: the model knows none of its symbols ({some(tuple(new))}); it was trained on "
            f"{some(preprocessing.vocabulary)}"
        )
    return read_as_unknown(f"{rows.name}: {count:,} elements are", new)


def read_as_unknown(which: str, symbols: list[Any]) -> str:
    return (
        f"{which} symbols that the training rows had not ({some(tuple(symbols))}); they are read as unknown"
    )
