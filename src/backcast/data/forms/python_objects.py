"""Data as Python objects: lists, NumPy, torch, pandas, `datasets`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from backcast.data.forms.arrays import from_arrays, require_unmasked, stored
from backcast.data.forms.cells import from_list
from backcast.data.forms.frames import ArrowTable
from backcast.data.forms.long_rows import LongRows
from backcast.data.forms.splits import SPLITS
from backcast.data.forms.table_rows import TableRows
from backcast.data.reading import Reading
from backcast.data.sequences import Sequences, Splits, read_as, some
from backcast.data.store.stored import memory_rows
from backcast.data.store.writer import Elements, RowWriter
from backcast.errors import InputError


def from_python(data: Any, reading: Reading, y: Any = None, ids: Any = None) -> Splits:
    """The rows of `data`; a dictionary of splits gives `train`, `test` and `validation`.

    data  an array or tensor (n, T) or (n, T, C); a list of arrays, lists, strings or bytes, or of DataFrames (a row
          each: steps × channels); a DataFrame (pandas, polars), whose columns are chosen as in a file, or a column (Series)
          of them; a `datasets.Dataset` or `DatasetDict`
    y     (n,) labels, None where there is none; tables have them in a column instead (`label`)
    ids   (n,)

    Raises InputError for anything else, and for rows that do not fit.
    """
    if isinstance(data, dict):
        _require_in_columns("a dictionary of splits", y, ids)
        named: dict[str, Any] = {}
        for name, part in data.items():
            split = SPLITS.get(str(name).lower())
            if split is None or split in named:
                raise InputError(
                    f"the data set has the splits {', '.join(map(str, data))}; one `train`, `test` and `validation` "
                    f"each are read: leave {name!r} out"
                )
            named[split] = part
        if "train" not in named:
            raise InputError(
                f"the data set has the splits {', '.join(map(str, data)) or 'none'}; `train` is needed"
            )
        train = from_python(named.pop("train"), reading).train
        like_train = replace(reading, kind=read_as(train.kind))
        return Splits(train, **{split: from_python(part, like_train).train for split, part in named.items()})
    data, y, ids = from_torch(data, "x"), from_torch(y, "y"), from_torch(ids, "ids")
    table = _table(data)
    if table is not None:
        _require_in_columns("a table", y, ids)
        return Splits(_from_table(ArrowTable(table, type(data).__name__), reading))
    reading.require_table("x")
    if isinstance(data, np.ndarray) and not (data.ndim == 1 and data.dtype.kind in "OU"):
        rows = from_arrays(data, y, ids=ids, name="x", kind=reading.kind, fill_missing=reading.fill_missing)
        return Splits(rows)
    return Splits(_from_list(_list(data, "x"), reading, y, ids))


def _require_in_columns(what: str, y: Any, ids: Any) -> None:
    if y is not None or ids is not None:
        raise InputError(f"{what} brings its labels and ids in columns; name them by label= and id=")


def _from_table(table: ArrowTable, reading: Reading) -> Sequences:
    reader = LongRows(table, reading) if reading.time is not None else TableRows(table, reading)
    rows = memory_rows(
        table.name, reader.read, kind=reading.kind, dtype=reader.dtype(), fill=reading.fill_missing
    )
    picture = reader.picture() if isinstance(reader, TableRows) else None
    return replace(rows, picture=picture, columns=reader.named())


def _table(data: Any) -> pa.Table | None:
    """A DataFrame or a `datasets.Dataset` as Arrow's table; None for what is neither."""
    if isinstance(data, (pa.Table, pa.RecordBatch)):
        return pa.table(data)
    if hasattr(data, "with_format") and hasattr(data, "column_names"):
        return data.with_format("arrow")[:]
    if hasattr(data, "columns") and hasattr(data, "iloc"):
        try:
            return pa.Table.from_pandas(data.rename(columns=str), preserve_index=False)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise InputError(
                f"the DataFrame cannot be read: {' '.join(map(str, error.args))[:200]}"
            ) from None
    # polars' is a stream of Arrow's, too; its iterator would give columns.
    if hasattr(data, "columns") and hasattr(data, "__arrow_c_stream__"):
        return pa.table(data)
    return None


def _from_list(data: list[Any], reading: Reading, y: Any, ids: Any) -> Sequences:
    labels = [None] * len(data) if y is None else _list(y, "y")
    names = None if ids is None else _list(ids, "ids")
    for what, given in (("y", labels), ("ids", names)):
        if given is not None and len(given) != len(data):
            raise InputError(f"{what} has {len(given)} entries, but there are {len(data)} rows")
    columns = [tuple(map(str, row.columns)) if _is_frame(row) else () for row in data]
    different = next((i for i, names in enumerate(columns) if names != columns[0]), None)
    if different is not None:
        raise InputError(
            f"x: row {different} has the columns {some(columns[different]) or 'none'}, row 0 {some(columns[0]) or 'none'}; make all rows "
            "DataFrames with the same columns in one order"
        )
    rows = [_row(row, reading.kind, f"row {i}") for i, row in enumerate(data)]
    arrays = [row for row in rows if isinstance(row, np.ndarray)]
    dtype = stored(np.result_type(*(row.dtype for row in arrays))) if arrays else np.float64

    def read(writer: RowWriter) -> None:
        for i, row in enumerate(rows):
            writer.add(row, labels[i], None if names is None else names[i])

    found = memory_rows("x", read, kind=reading.kind, dtype=dtype, fill=reading.fill_missing)
    return replace(found, columns=columns[0])


def _is_frame(value: Any) -> bool:
    """Whether it is a DataFrame, pandas' or another's."""
    return hasattr(value, "columns") and hasattr(value, "to_numpy")


def from_torch(value: Any, what: str) -> Any:
    """A torch tensor as an array; anything else as it is."""
    if not hasattr(value, "detach"):
        return value
    try:
        return value.detach().cpu().numpy()
    except (TypeError, RuntimeError) as error:  # bfloat16, sparse ones
        raise InputError(f"{what}: this tensor is no array: {' '.join(str(error).split())[:150]}") from None


def _list(data: Any, what: str) -> list[Any]:
    try:
        return list(data)
    except TypeError:
        raise InputError(f"{what} is a {type(data).__name__}, not rows; see help(backcast.load)") from None


def _row(row: Any, kind: str, place: str) -> Elements:
    if isinstance(row, (str, bytes)):
        return row
    columns = hasattr(row, "to_numpy") and not hasattr(row, "tolist")  # of polars, pyarrow
    row = row.to_numpy() if columns or _is_frame(row) else from_torch(row, place)
    require_unmasked(row, f"x: {place}")
    if isinstance(row, np.ndarray) and row.dtype.kind in "fiub":
        return row.astype(np.float32) if row.dtype == np.float16 else row
    if hasattr(row, "tolist"):
        row = row.tolist()
    return from_list(row, kind, "x", place)
