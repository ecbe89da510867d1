"""Predictions as a file: CSV, Parquet or JSON lines, one id per row."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backcast.output_files import STANDARD_OUTPUT, write_or_refuse

SUFFIXES = (".csv", ".parquet", ".jsonl")


def write_predictions(
    path: Path, ids: NDArray[Any], classes: tuple[Any, ...], probabilities: NDArray[np.float32]
) -> None:
    """Columns `id`, `prediction`, then `p_<class>` for every class; rows in the order of the data.

    ids (n,), probabilities (n, classes). The format follows from the ending; `-` is CSV to standard output. Raises
    RunError where the disk is full, InputError where the place cannot be written.
    """
    columns: dict[str, list[Any]] = {
        "id": ids.tolist(),
        "prediction": [classes[number] for number in probabilities.argmax(axis=1)],
    }
    for number, name in enumerate(classes):
        columns[f"p_{name}"] = probabilities[:, number].tolist()
    if path == STANDARD_OUTPUT:
        sys.stdout.buffer.write(_csv(columns))
        return
    content = {".csv": _csv, ".parquet": _parquet, ".jsonl": _json_lines}[path.suffix.lower()](columns)
    write_or_refuse(path, content, f"--out {path}")


def _rows(columns: dict[str, list[Any]]) -> Iterator[tuple[Any, ...]]:
    return zip(*columns.values(), strict=True)


def _csv(columns: dict[str, list[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in _rows(columns):
        writer.writerow(
            [f"{cell:.7g}" if isinstance(cell, float) and i > 1 else cell for i, cell in enumerate(row)]
        )
    return text.getvalue().encode()


def _json_lines(columns: dict[str, list[Any]]) -> bytes:
    return "".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in _rows(columns)).encode()


def _parquet(columns: dict[str, list[Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({name: _in_64_bits(column) for name, column in columns.items()}), sink)
    return sink.getvalue().to_pybytes()


def _in_64_bits(column: list[Any]) -> list[Any]:
    """The column, as text where Parquet has no type for it: whole numbers of over 64 bits, numbers beside words."""
    wide = any(isinstance(cell, int) and abs(cell) >> 63 for cell in column)
    mixed = len({isinstance(cell, str) for cell in column}) > 1
    return [*map(str, column)] if wide or mixed else column
