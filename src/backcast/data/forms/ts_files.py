"""The UCR/UEA archive's `.ts` files (aeon, sktime): uni- or multivariate, of unequal lengths, with missing values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backcast.data.forms.cells import dates, first_no_number, numbers
from backcast.data.forms.frames import lines
from backcast.data.store.writer import RowWriter
from backcast.errors import InputError


class _Header(NamedTuple):
    """What the @ lines say of every row; None where they do not."""

    has_labels: bool
    classes: frozenset[str]  # empty where they are not listed
    timestamps: bool
    dimensions: int | None
    steps: int | None


def read_ts(path: Path, writer: RowWriter) -> None:
    """Every line after `@data` is a row: dimensions separated by colons, steps by commas, the label last.

    Raises InputError, naming the line, for what does not fit the header or the rows before it.
    """
    rows = _lines(path)
    has_labels, classes, timestamps, dimensions, steps = _read_header(path, rows)
    for number, line in rows:
        place = f"line {number}"
        parts = re.split(r"(?<=\)):" if timestamps else ":", line)  # a time of day has colons of its own
        label = parts.pop().strip() if has_labels else None
        if label is not None and (not label or label == "?"):
            label = None
        if not parts:
            raise InputError(f"{path}: {place} has no series before its label, or no label behind its series")
        if dimensions is not None and len(parts) != dimensions:
            raise InputError(f"{path}: {place} has {len(parts)} dimensions, the header says {dimensions}")
        if label is not None and classes and label not in classes:
            raise InputError(
                f"{path}: {place} has the label {label!r}; @classLabel lists {', '.join(sorted(classes))}"
            )
        series = [
            _series(part, timestamps, f"{path}: {place}, dimension {i + 1}") for i, part in enumerate(parts)
        ]
        first, times = series[0]
        for i, (one, own) in enumerate(series):
            if len(one) != len(first):
                raise InputError(
                    f"{path}: {place}: dimension {i + 1} has {len(one)} steps, the first has {len(first)}"
                )
            if not np.array_equal(own, times):
                raise InputError(f"{path}: {place}: dimension {i + 1} has other times than the first")
        if steps is not None and len(first) != steps:
            raise InputError(f"{path}: {place} has {len(first)} steps, the header says {steps} in every row")
        writer.add(np.stack([one for one, _ in series], axis=1), label, place=place)


def _read_header(path: Path, rows: Iterator[tuple[int, str]]) -> _Header:
    """Reads up to and including @data. Raises InputError."""
    has_labels, classes, timestamps = None, frozenset[str](), False
    said: dict[str, str] = {}
    for number, line in rows:
        if not line.startswith("@"):
            raise InputError(
                f"{path}: line {number} stands before @data and is no @ line; this is no .ts file"
            )
        key, *values = line.split()
        if key.lower() == "@data":
            break
        if key.lower() in ("@classlabel", "@targetlabel"):
            has_labels = bool(values) and values[0].lower() == "true"
            classes = frozenset(values[1:]) if key.lower() == "@classlabel" else frozenset()
        elif key.lower() == "@timestamps":
            timestamps = bool(values) and values[0].lower() == "true"
        elif values:
            said[key.lower()] = values[0].lower()
    else:
        raise InputError(f"{path}: there is no @data in it; this is no .ts file, or it was cut")
    if has_labels is None:
        raise InputError(f"{path}: its header has no @classLabel line")
    dimensions = (
        1 if said.get("@univariate") == "true" else _whole(said.get("@dimensions", said.get("@dimension")))
    )
    steps = _whole(said.get("@serieslength")) if said.get("@equallength") == "true" else None
    return _Header(has_labels, classes, timestamps, dimensions, steps)


def _whole(word: str | None) -> int | None:
    return int(word) if word and word.isdecimal() and len(word) < 10 else None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in lines(path):
        stripped = line.strip()
        if stripped and not stripped.startswith(("#", "%")):
            yield number, stripped


def _series(text: str, timestamps: bool, place: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """One dimension's steps, as float64; `?` and NaN are missing. With timestamps, `(time,value),…`, also their times."""
    times: NDArray[Any] = np.empty(0)
    if timestamps:
        pairs = re.split(r"\)\s*,\s*\(", text.strip().removeprefix("(").removesuffix(")"))
        words = [pair.rpartition(",")[2] for pair in pairs]
        said = [pair.rpartition(",")[0].strip() for pair in pairs]
        if any("(" in pair or ")" in pair for pair in pairs) or not all(said):
            raise InputError(f"{place} is no list of (time,value), as the header's @timeStamps says")
        found = numbers(said)
        found = dates(said)[1] if found is None else found
        if found is None or not np.isfinite(found).all():
            raise InputError(
                f"{place}: its times are neither numbers nor dates and times as 2026-01-31 12:00:00"
            )
        times = found
        if (back := np.flatnonzero(np.diff(times) <= 0)).size:
            raise InputError(
                f"{place}, step {back[0] + 1} is not later than the one before it; sort the steps by time"
            )
    else:
        words = text.split(",")
    if words == [""]:
        raise InputError(f"{place} is empty; a row needs at least one step")
    found = numbers(words)
    if found is None:
        step = first_no_number(words)
        raise InputError(f"{place}, step {step} is {words[step].strip()[:40]!r}, not a number")
    return found.astype(np.float64), times
