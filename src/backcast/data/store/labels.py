"""Labels and ids as users write them: any type, any order, some of them missing."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backcast.errors import InputError

WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")


def encode_labels(
    labels: Sequence[Any], name: str, from_text: bool = False
) -> tuple[NDArray[np.int64], tuple[Any, ...]]:
    """Numbers into the sorted classes, and the classes; None, NaN and "" are no label (-1).

    from_text  they were read from text, where "3" may mean the number: if all are whole numbers, they are read as such

    Raises InputError for labels of different types, and for what cannot be a label.
    """
    present = [i for i, label in enumerate(labels) if not is_missing(label)]
    names = [_plain(labels[i]) for i in present]
    if from_text and names and all(isinstance(label, str) and WHOLE.fullmatch(label) for label in names):
        names = [int(label) for label in names]
    kinds = [_kind(label) for label in names]
    for i, label, kind in zip(present, names, kinds, strict=True):
        if kind is None or kind != kinds[0]:
            beside = "" if kind is None else f", row {present[0]} has {reprlib.repr(names[0])}"
            raise InputError(
                f"{name}: row {i} has the label {reprlib.repr(label)} ({type(label).__name__}){beside}; "
                "labels must be numbers, strings or booleans, all of one kind"
            )
    if all(
        kind == "number" and (isinstance(label, int) or label.is_integer())
        for label, kind in zip(names, kinds, strict=True)
    ):
        names = [int(label) for label in names]
    classes = tuple(sorted(set(names)))
    number = {label: i for i, label in enumerate(classes)}
    result = np.full(len(labels), -1, np.int64)
    result[present] = [number[label] for label in names]
    return result, classes


def encode_ids(
    ids: Sequence[Any] | None, count: int, name: str, from_text: bool, places: Sequence[str]
) -> NDArray[Any]:
    """One id per row: whole numbers or strings, all different; 0 .. count-1 where none are given.

    places  of the rows that have ids, for messages

    Raises InputError.
    """
    if ids is None:
        return np.arange(count)
    plain = [_plain(one) for one in ids]
    if from_text and all(isinstance(one, str) and WHOLE.fullmatch(one) for one in plain):
        plain = [int(one) for one in plain]
    for row, one in enumerate(plain):
        if not isinstance(one, (int, str)) or isinstance(one, bool):
            raise InputError(
                f"{name}: {places[row]} has the id {reprlib.repr(one)}; ids must be whole numbers or strings"
            )
    whole = all(isinstance(one, int) and abs(one) < 2**63 for one in plain)
    if not whole:  # compared as printed: 1 and "1" are the same
        plain = [str(one) for one in plain]
    seen: dict[Any, int] = {}
    for row, one in enumerate(plain):
        if one in seen:
            raise InputError(
                f"{name}: the id {reprlib.repr(one)} stands more than once (in {places[seen[one]]} and in {places[row]}); "
                "ids must differ"
            )
        seen[one] = row
    return np.array(plain, dtype=np.int64 if whole else object)


def written(label: Any) -> str:
    """A label as text; a whole number without `.0`, as a file of whole numbers would have it."""
    text = str(label)
    whole, _, fraction = text.partition(".")
    return whole if fraction and not fraction.strip("0") and WHOLE.fullmatch(whole) else text


def _kind(label: Any) -> str | None:
    if isinstance(label, bool):
        return "boolean"
    return "number" if isinstance(label, (int, float)) else "string" if isinstance(label, str) else None


def _plain(value: Any) -> Any:
    """NumPy's scalars as Python's; anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def is_missing(label: Any) -> bool:
    """Whether it means "no label": None, NaN (also spelt as text), pandas' NA and NaT, or ""."""
    if isinstance(label, str):
        return label == "" or label.lower() == "nan"
    if type(label).__name__ in ("NAType", "NaTType"):  # pandas'
        return True
    return label is None or (isinstance(label, (float, np.floating)) and math.isnan(label))
