"""Every reader: what it accepts it reads as it was written; anything else is refused, in bounded memory.

READER_EXAMPLES multiplies the number of examples, and `--hypothesis-profile=default` draws new ones;
READER_COUNT names a file to which the cases tried are appended.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import random
import re
import struct
import subprocess
import sys
import textwrap
import time
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import wavfile

import backcast
from backcast.data.forms import arrays, frames
from backcast.data.forms.splits import split_files
from backcast.data.sequences import Sequences
from backcast.data.store import cache_entries
from backcast.errors import InputError

SCALE = float(os.environ.get("READER_EXAMPLES", "1"))
CASES: Counter[str] = Counter()
PLACE = iter(range(10**9))


def examples(count: int) -> Any:
    """So many, times the scale; an example that takes 20 s hangs."""
    return settings(
        max_examples=max(1, int(count * SCALE)),
        deadline=timedelta(seconds=20),
        suppress_health_check=list(HealthCheck),
        database=None,
    )


@pytest.fixture(scope="module", autouse=True)
def counted() -> Iterator[None]:
    yield
    if "READER_COUNT" in os.environ:
        with Path(os.environ["READER_COUNT"]).open("a") as file:
            file.write(json.dumps({"all": CASES.total(), **dict(sorted(CASES.items()))}) + "\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Path]]:
    """New empty folders; the cache is one of the tests' own, and does not grow."""
    base = tmp_path_factory.mktemp("readers")
    before = os.environ.get("BACKCAST_CACHE")
    os.environ["BACKCAST_CACHE"] = str(base / "cache")

    def new() -> Path:
        number = next(PLACE)
        if number % 100 == 0:
            cache_entries.clean()
        folder = base / str(number)
        folder.mkdir()
        return folder

    yield new
    if before is None:
        del os.environ["BACKCAST_CACHE"]
    else:
        os.environ["BACKCAST_CACHE"] = before


# What is written, and what must come back.


@dataclass(frozen=True)
class Data:
    """Rows as a user has them: steps (lists of numbers or of lists of them), texts, bytes or lists of words."""

    rows: list[Any]
    labels: list[Any] | None
    ids: list[Any] | None

    def __len__(self) -> int:
        return len(self.rows)


def whole(names: list[Any]) -> list[Any]:
    """Names that were read from text: numbers, where all of them are written as such."""
    given = [name for name in names if name not in (None, "")]
    if given and all(isinstance(n, int) or re.fullmatch(r"-?(0|[1-9]\d{0,17})", n) for n in given):
        return [None if name in (None, "") else int(name) for name in names]
    return [None if name in (None, "") else str(name) for name in names]


def labels_of(found: Sequences) -> list[Any]:
    return [None if label < 0 else found.classes[label] for label in found.labels.tolist()]


def row_of(found: Sequences, i: int) -> Any:
    row = found.row(i)
    if found.kind == "real":
        return row.tolist()
    symbols = [found.symbols[number] for number in row.tolist()]
    if found.kind == "characters":
        return "".join(symbols)
    return bytes(symbols) if found.kind == "bytes" else symbols


def steps_of(row: Any) -> list[list[float]]:
    return [[float(v) for v in step] if isinstance(step, list) else [float(step)] for step in row]


def kind_of(rows: list[Any]) -> str:
    if isinstance(rows[0], (str, bytes)):
        return "characters" if isinstance(rows[0], str) else "bytes"
    if isinstance(rows[0][0], list):
        return "real"
    flat = [step for row in rows for step in row]
    if isinstance(flat[0], str):
        return "categories"
    return "integers" if all(type(v) is int and 0 <= v < 65_536 for v in flat) else "real"


def check(
    found: Sequences, data: Data, from_text: bool = False, what: str = "", train: Data | None = None
) -> None:
    """Rows, labels with their names and types, ids and order are those of `data`, a part read like `train`."""
    CASES[what] += 1
    valid(found)
    assert len(found) == len(data)
    assert found.kind == kind_of((train or data).rows)
    if found.kind in ("integers", "categories"):
        assert found.symbols == tuple(sorted({step for row in data.rows for step in row}))
    expected = [steps_of(row) for row in data.rows] if found.kind == "real" else data.rows
    for i, row in enumerate(expected):
        got = row_of(found, i)
        if found.kind == "real":
            np.testing.assert_array_equal(np.array(got), np.array(row))  # NaN are equal here
        else:
            assert got == row
    labels = [None] * len(data) if data.labels is None else data.labels
    labels = whole(labels) if from_text else [None if one == "" else one for one in labels]
    assert labels_of(found) == labels
    assert [type(one) for one in labels_of(found)] == [type(one) for one in labels]
    assert found.classes == tuple(sorted({one for one in labels if one is not None}))
    ids = list(range(len(data))) if data.ids is None else data.ids
    assert found.ids.tolist() == (whole(ids) if from_text else ids)


def valid(found: Sequences) -> None:
    """Whatever was read, it is a data set."""
    n = len(found)
    assert n > 0 and found.lengths.shape == found.labels.shape == found.ids.shape == (n,)
    assert (found.lengths > 0).all() and len(set(found.ids.tolist())) == n
    assert (found.labels >= -1).all() and (found.labels < len(found.classes)).all()
    missing = 0
    for i in range(n):
        row = found.row(i)
        assert len(row) == found.lengths[i]
        if found.kind == "real":
            assert row.shape[1] == found.channels and not np.isinf(row).any()
            missing += int(np.isnan(row).sum()) if row.dtype.kind == "f" else 0
        else:
            assert row.ndim == 1 and int(row.max()) < len(found.symbols)
    assert missing == (found.missing.total if found.missing else 0)


def refused(path: Any, match: str = "", what: str = "refused", **options: Any) -> str:
    """The one line with which `path` is refused: it names the file."""
    CASES[what] += 1
    with pytest.raises(InputError) as caught:
        backcast.load(str(path), **options)
    message = str(caught.value)
    assert one_line(message, path) and re.search(match, message), message
    return message


def one_line(message: str, path: Any) -> bool:
    return Path(path).name.split(".")[0] in message and "\n" not in message and len(message) < 1200


def read_or_refused(path: Path, what: str, **options: Any) -> Sequences | None:
    """Nothing else may happen."""
    CASES[what] += 1
    try:
        found = backcast.load(str(path), **options).train
    except InputError as error:
        assert one_line(str(error), path), str(error)
        return None
    valid(found)
    return found


REALS = st.floats(allow_nan=False, allow_infinity=False)
SYMBOLS = st.integers(0, 65_535)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), min_size=1, max_size=8).filter(
    lambda text: text == text.strip() and text != ""
)
WORDS = st.from_regex(r"[a-z][a-z0-9_-]{1,5}x", fullmatch=True)
LABELS = st.one_of(
    st.lists(st.one_of(st.none(), st.integers(-5, 5)), min_size=5, max_size=5),
    st.lists(st.one_of(st.none(), NAMES), min_size=5, max_size=5),
)
TYPED = st.one_of(
    LABELS,
    st.lists(st.one_of(st.none(), st.booleans()), min_size=5, max_size=5),
    st.lists(st.sampled_from([0.5, -1.25, 1e-300]), min_size=5, max_size=5),
)
IDS = st.one_of(
    st.lists(st.integers(-(10**17), 10**17), min_size=5, max_size=5, unique=True),
    st.lists(NAMES, min_size=5, max_size=5, unique=True),
)


@st.composite
def datas(draw: Any, rows: Any, labels: Any = LABELS) -> Data:
    found = draw(rows)
    n = len(found)
    given_labels, given_ids = draw(st.none() | labels), draw(st.none() | IDS)
    return Data(
        found,
        None if given_labels is None else given_labels[:n],
        None if given_ids is None else given_ids[:n],
    )


def ragged(element: Any) -> Any:
    return st.lists(st.lists(element, min_size=1, max_size=6), min_size=1, max_size=5)


FLAT = ragged(REALS) | ragged(SYMBOLS) | ragged(st.integers(-9, 2**40))
STEPS = st.integers(1, 3).flatmap(lambda width: ragged(st.lists(REALS, min_size=width, max_size=width)))
TEXTS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), min_size=1, max_size=12),
    min_size=1,
    max_size=5,
)


def table(data: Data, column: str, cell: Callable[[Any], Any] = lambda row: row) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {}
    if data.ids is not None:
        columns["id"] = data.ids
    columns[column] = [cell(row) for row in data.rows]
    if data.labels is not None:
        columns["label"] = data.labels
    return columns


def write_delimited(
    path: Path, columns: dict[str, list[Any]], line_end: str = "\n", quoting: int = 0
) -> Path:
    if any("\r" in str(cell) for column in columns.values() for cell in column):
        quoting = csv.QUOTE_ALL  # Python's writer does not think of it
    text = io.StringIO(newline="")
    delimiter = "\t" if ".tsv" in path.name else ","
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return write(path, text.getvalue().encode())


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content, 1, mtime=0) if path.suffix == ".gz" else content)
    return path


def write_json_lines(path: Path, columns: dict[str, list[Any]], escape: bool = False) -> Path:
    rows = zip(*columns.values(), strict=True)
    lines = (json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=escape) + "\n" for row in rows)
    return write(path, "".join(lines).encode())


def write_arrow(path: Path, content: pa.Table, stream: bool = False, at_once: int = 2) -> Path:
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as file, make(file, content.schema) as out:
        out.write_table(content, max_chunksize=at_once)
    return path


# 1. What is accepted is read as it was written.

CSV_NAMES = st.sampled_from(["a.csv", "a.tsv", "a.csv.gz", "a.tsv.gz"])
LISTS = (
    lambda row: " ".join(map(repr, row)),
    lambda row: ",".join(map(repr, row)),
    lambda row: json.dumps(row),
    lambda row: "; ".join(map(repr, row)),
)


@examples(60)
@given(
    datas(FLAT | STEPS), CSV_NAMES, st.sampled_from(LISTS), st.sampled_from(["\n", "\r\n"]), st.integers(0, 1)
)
def test_lists_in_csv_and_tsv(
    place: Any, data: Data, name: str, write_list: Any, line_end: str, quoting: int
) -> None:
    if isinstance(data.rows[0][0], list):
        write_list = json.dumps
    if data.labels is not None:
        data = replace(data, labels=["" if one is None else one for one in data.labels])
    path = write_delimited(place() / name, table(data, "x", write_list), line_end, quoting)
    check(backcast.load(str(path)).train, data, True, "csv lists")


@examples(40)
@given(datas(TEXTS), CSV_NAMES, st.sampled_from(["\n", "\r\n"]))
def test_texts_in_csv_and_tsv(place: Any, data: Data, name: str, line_end: str) -> None:
    if data.labels is not None:
        data = replace(data, labels=["" if one is None else one for one in data.labels])
    path = write_delimited(place() / name, table(data, "text"), line_end)
    check(backcast.load(path).train, data, True, "csv texts")


@examples(30)
@given(ragged(WORDS), CSV_NAMES)
def test_words_in_csv(place: Any, rows: list[list[str]], name: str) -> None:
    path = write_delimited(place() / name, {"x": [" ".join(row) for row in rows]})
    check(backcast.load(path).train, Data(rows, None, None), True, "csv words")


@examples(60)
@given(
    datas(FLAT | STEPS | ragged(WORDS) | TEXTS, TYPED),
    st.sampled_from(["a.jsonl", "a.ndjson", "a.jsonl.gz"]),
    st.booleans(),
)
def test_json_lines(place: Any, data: Data, name: str, escape: bool) -> None:
    column = "text" if isinstance(data.rows[0], str) else "x"
    path = write_json_lines(place() / name, table(data, column), escape)
    check(backcast.load(path).train, data, what="json lines")


@examples(90)
@given(
    datas(FLAT | STEPS | ragged(WORDS) | TEXTS | ragged(REALS | st.none()), TYPED),
    st.sampled_from(["parquet", "arrow", "feather", "stream", "table", "two parquets"]),
)
def test_parquet_arrow_and_tables_in_memory(place: Any, data: Data, form: str) -> None:
    column = "text" if isinstance(data.rows[0], str) else "x"
    content = pa.table(table(data, column))
    folder = place()
    source: Any = content
    if form == "parquet":
        source = folder / "a.parquet"
        pq.write_table(content, source, row_group_size=2)
    elif form == "two parquets":
        source = folder
        assume(len(data) > 1)
        pq.write_table(content[:1], folder / "train-0.parquet")
        pq.write_table(content[1:], folder / "train-1.parquet")
    elif form != "table":
        source = write_arrow(
            folder / ("a.feather" if form == "feather" else "a.arrow"), content, form == "stream"
        )
    values = [value for row in data.rows for value in row]
    if any(value is None for value in values):
        rows = [[np.nan if value is None else value for value in row] for row in data.rows]
        data = replace(data, rows=rows)
        assume(any(value is not None for value in values))
    check(backcast.load(source).train, data, what=form)


@examples(30)
@given(
    st.sampled_from(["int8", "uint8", "int16", "int32", "float16", "float32", "float64"]),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_numbers_in_parquet_keep_their_values(
    place: Any, name: str, wide: bool, chance: random.Random
) -> None:
    """Extreme values, too; whole numbers may be missing in a later row, so they are kept as float64."""
    kind = np.dtype(name)
    limits: Any = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)
    low, high = (float(limits.min), float(limits.max)) if kind.kind == "f" else (limits.min, limits.max)
    rows = [[chance.choice([low, high, 0, 1, high - 1]) for _ in range(3)] for _ in range(4)]
    values = np.array(rows, kind)
    path = place() / "a.parquet"
    if wide:
        pq.write_table(pa.table({f"s{i}": values[:, i] for i in range(3)}), path)
    else:
        pq.write_table(pa.table({"x": list(values)}), path)
    found = backcast.load(path, wide=wide, kind="real").train
    CASES["types"] += 1
    for i, row in enumerate(values):
        np.testing.assert_array_equal(found.row(i)[:, 0].astype(kind), row)


RECTANGLES = st.tuples(st.integers(1, 5), st.integers(1, 6), st.sampled_from([None, 1, 2, 3]))
DTYPES = ("<f8", ">f8", "<f4", "<f2", "|i1", "<i2", ">i4", "<i8", "|u1", "<u4", "|b1")


@examples(80)
@given(
    RECTANGLES,
    st.sampled_from(DTYPES),
    TYPED,
    IDS,
    st.randoms(use_true_random=False),
    st.sampled_from(["npz", "compressed", "npy", "numpy", "torch"]),
    st.booleans(),
)
def test_arrays(
    place: Any, shape: Any, dtype: str, labels: Any, ids: Any, chance: random.Random, form: str, fortran: bool
) -> None:
    n, t, channels = shape
    size = (n, t) if channels is None else (n, t, channels)
    generator = np.random.default_rng(chance.randrange(2**32))
    kind = np.dtype(dtype)
    x = generator.integers(0 if kind.kind in "bu" else -3, 2 if kind.kind == "b" else 100, size).astype(kind)
    if kind.kind == "f":
        x = (x / np.array(7, kind)).astype(kind)
    x = np.asfortranarray(x) if fortran else x
    lengths = generator.integers(1, t + 1, n)
    given_labels: Any = [0 if one is None else one for one in labels[:n]]
    if any(isinstance(one, str) for one in labels[:n]):
        given_labels = [str(one or "") for one in labels[:n]]
    y = np.array(given_labels)
    assume(not any(isinstance(one, str) and one.endswith("\0") for one in given_labels))
    named = np.array([str(one) for one in ids[:n]]) if isinstance(ids[0], str) else np.array(ids[:n])
    folder = place()
    if form in ("npz", "compressed"):
        (np.savez if form == "npz" else np.savez_compressed)(
            folder / "a.npz", x=x, y=y, lengths=lengths, ids=named
        )
        found = backcast.load(folder / "a.npz", kind="real").train
    else:
        lengths = np.full(n, t)
        if form == "npy":
            np.save(folder / "a.npy", x)
            found = backcast.load(folder / "a.npy", kind="real").train
        elif form == "numpy":
            found = backcast.load(x, y, ids=named, kind="real").train
        else:
            x = x.astype(kind.newbyteorder("="))
            assume(kind != np.dtype("<u4"))
            found = backcast.load(
                torch.from_numpy(x.copy()), list(given_labels), ids=ids[:n], kind="real"
            ).train
    CASES[form] += 1
    valid(found)
    assert found.lengths.tolist() == lengths.tolist()
    for i in range(n):
        np.testing.assert_array_equal(found.row(i), x[i, : lengths[i]].reshape(lengths[i], -1))
    if form != "npy":
        assert labels_of(found) == [None if one == "" else one for one in given_labels]
        assert found.ids.tolist() == ids[:n]


@examples(50)
@given(datas(FLAT | STEPS | TEXTS | ragged(WORDS), TYPED), st.booleans(), st.booleans())
def test_lists_in_python(data: Data, as_arrays: bool, as_tensors: bool) -> None:
    rows: Any = data.rows
    if as_arrays and isinstance(rows[0], list) and not isinstance(rows[0][0], str):
        rows = [np.array(row) for row in rows]
        if as_tensors:
            rows = [torch.from_numpy(row) for row in rows]
    check(backcast.load(rows, data.labels, ids=data.ids).train, data, what="python lists")


@st.composite
def series(draw: Any) -> tuple[list[Any], bool, list[str] | None]:
    """Rows (dimensions, steps) of a .ts file, whether they have the same length, and labels."""
    n, dims, equal = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.booleans())
    common = draw(st.integers(1, 5))
    rows = []
    for _ in range(n):
        steps = common if equal else draw(st.integers(1, 5))
        value = st.lists(REALS | st.none(), min_size=steps, max_size=steps)
        rows.append([draw(value) for _ in range(dims)])
    names = st.sampled_from(["1", "2", "up", "down"])
    return rows, equal, draw(st.none() | st.lists(names, min_size=n, max_size=n))


def ts_content(rows: list[Any], equal: bool, labels: list[str] | None, timestamps: bool = False) -> str:
    lines = ["# a comment", "@problemName test", f"@timeStamps {str(timestamps).lower()}", "@missing true"]
    lines += [f"@univariate {str(len(rows[0]) == 1).lower()}", f"@dimensions {len(rows[0])}"]
    lines += [f"@equalLength {str(equal).lower()}"] + ([f"@seriesLength {len(rows[0][0])}"] if equal else [])
    names = " ".join(sorted(set(labels or [])))
    lines += [f"@classLabel {str(labels is not None).lower()} {names}".strip(), "@data"]
    for i, row in enumerate(rows):
        parts = []
        for dimension in row:
            words = ["?" if value is None else repr(value) for value in dimension]
            parts.append(
                ",".join(f"({k},{w})" for k, w in enumerate(words)) if timestamps else ",".join(words)
            )
        lines.append(":".join(parts + ([labels[i]] if labels else [])))
    return "\n".join(lines) + "\n"


@examples(50)
@given(series(), st.booleans())
def test_ts_files(place: Any, made: Any, timestamps: bool) -> None:
    rows, equal, labels = made
    path = place() / "a.ts"
    path.write_text(ts_content(rows, equal, labels, timestamps))
    expected = [
        [[np.nan if v is None else v for v in step] for step in zip(*row, strict=True)] for row in rows
    ]
    check(backcast.load(path).train, Data(expected, labels, None), True, "ts")


@examples(40)
@given(datas(ragged(REALS) | ragged(SYMBOLS)), CSV_NAMES, st.booleans(), st.booleans())
def test_wide_csv(place: Any, data: Data, name: str, header: bool, blank: bool) -> None:
    """One column a step; a shorter row ends with empty cells."""
    longest = max(map(len, data.rows))
    columns: dict[str, list[Any]] = {} if data.ids is None else {"id": data.ids}
    if data.labels is not None:
        columns["label"] = ["" if one is None else one for one in data.labels]
    for step in range(longest):
        cells = [repr(row[step]) if step < len(row) else "" for row in data.rows]
        columns[f"s{step}"] = [f" {cell}" if blank and cell else cell for cell in cells]
    path = write_delimited(place() / name, columns)
    options: dict[str, Any] = {"wide": True}
    if not header:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        write(path, content.split(b"\n", 1)[1])
        names = list(columns)
        options |= {"header": False}
        options |= {key: str(names.index(key) + 1) for key in ("id", "label") if key in columns}
    check(backcast.load(path, **options).train, data, True, "wide")


@st.composite
def long_tables(draw: Any) -> tuple[Data, str, list[int], list[Any]]:
    data = draw(datas(STEPS | ragged(SYMBOLS) | ragged(WORDS)))
    ids = data.ids if data.ids is not None else list(range(len(data)))
    data = replace(data, ids=ids)
    times = draw(st.sampled_from(["int", "float", "date", "timestamp", "nanoseconds"]))
    count = sum(map(len, data.rows))
    order = draw(st.permutations(range(count)))
    stamps = draw(st.lists(st.integers(0, 10**9), min_size=count, max_size=count, unique=True))
    return data, times, order, sorted(stamps)


def long_columns(data: Data, times: str, order: list[int], stamps: list[int]) -> dict[str, Any]:
    owner = [i for i, row in enumerate(data.rows) for _ in row]
    flat = [step if isinstance(step, list) else [step] for row in data.rows for step in row]
    moments: list[Any] = list(stamps)
    if times == "float":
        moments = [stamp / 8 for stamp in stamps]
    elif times == "date":
        moments = [str(datetime(2020, 1, 1) + timedelta(seconds=stamp)) for stamp in stamps]
    columns: dict[str, list[Any]] = {"id": [data.ids[owner[k]] for k in order]}  # type: ignore[index]
    columns["time"] = [moments[k] for k in order]
    for channel in range(len(flat[0])):
        columns[f"f{channel}"] = [flat[k][channel] for k in order]
    if data.labels is not None:
        columns["label"] = [data.labels[owner[k]] for k in order]
    return columns


@examples(80)
@given(long_tables(), st.sampled_from(["a.csv", "a.tsv.gz", "a.jsonl", "a.parquet", "a.arrow", "table"]))
def test_long_tables_in_any_order_of_their_rows(place: Any, made: Any, name: str) -> None:
    data, times, order, stamps = made
    typed = name in ("a.parquet", "a.arrow", "table")
    if times in ("timestamp", "nanoseconds") and not typed:
        times = "int"
    columns: dict[str, Any] = long_columns(data, times, order, stamps)
    path: Any = place() / name
    from_text = name in ("a.csv", "a.tsv.gz")
    if typed:
        if times in ("timestamp", "nanoseconds"):
            columns["time"] = pa.array(columns["time"], pa.timestamp("us" if times == "timestamp" else "ns"))
        content = pa.table(columns)
        if name == "a.parquet":
            pq.write_table(content, path, row_group_size=3)
        elif name == "a.arrow":
            write_arrow(path, content)
        else:
            path = content
    elif name == "a.jsonl":
        write_json_lines(path, columns)
    else:
        columns = {key: ["" if one is None else one for one in column] for key, column in columns.items()}
        write_delimited(path, columns)
    numeric = all(re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", str(one)) for one in data.ids)
    key = float if numeric else str
    first = {data.ids[i]: k for k, i in reversed([(k, i) for k, i in enumerate(_owners(data, order))])}
    ascending = sorted(range(len(data)), key=lambda i: (key(data.ids[i]), first[data.ids[i]]))
    assume(len({str(one).strip() for one in data.ids}) == len(data))
    assume(numeric or not all(_is_number(str(one)) for one in data.ids))
    assume(not numeric or all(abs(float(one)) < 2**53 for one in data.ids))
    rows = [data.rows[i] for i in ascending]
    labels = None if data.labels is None else [data.labels[i] for i in ascending]
    expected = Data(rows, labels, [data.ids[i] for i in ascending])
    check(backcast.load(path, time="time").train, _widened(expected), from_text, "long")


def _owners(data: Data, order: list[int]) -> list[int]:
    owner = [i for i, row in enumerate(data.rows) for _ in row]
    return [owner[k] for k in order]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return word.lower() in ("na", "n/a", "null", "none", "?")
    return True


def _widened(data: Data) -> Data:
    """A single feature comes as one number a step."""
    if isinstance(data.rows[0][0], list) and len(data.rows[0][0]) == 1:
        return replace(data, rows=[[step[0] for step in row] for row in data.rows])
    return data


@examples(30)
@given(long_tables(), st.sampled_from(["a.csv", "a.parquet"]), st.randoms(use_true_random=False))
def test_a_time_that_stands_twice_is_refused_with_both_places(
    place: Any, made: Any, name: str, chance: random.Random
) -> None:
    data, _, order, stamps = made
    columns = long_columns(data, "int", order, stamps)
    count = len(columns["id"])
    first = chance.randrange(count)
    for column in columns.values():
        column.append(column[first])
    columns = {
        key: ["" if v is None and name == "a.csv" else v for v in column] for key, column in columns.items()
    }
    path = place() / name
    if name == "a.csv":
        write_delimited(path, columns)
    else:
        pq.write_table(pa.table(columns), path)
    refused(path, rf"two steps of one time, in rows {first} and {count} ", "long twice", time="time")


# Folders.


@examples(40)
@given(
    st.sampled_from(["txt", "bin", "png", "wav", "npy"]),
    st.lists(st.sampled_from(["cat", "dog", "7"]), min_size=1, max_size=5),
    st.randoms(use_true_random=False),
    TEXTS,
)
def test_folders_of_a_class_each(
    place: Any, form: str, classes: list[str], chance: random.Random, texts: list[str]
) -> None:
    folder = place()
    generator = np.random.default_rng(chance.randrange(2**32))
    expected = {}
    wav = chance.choice(["u1", "i2", "i4", "f4", "f8"])
    channels = chance.choice([1, 3]) if form == "png" else chance.choice([1, 2])
    for i, name in enumerate(classes):
        (folder / name).mkdir(exist_ok=True)
        path = folder / name / f"{i}.{form}"
        size = (int(generator.integers(1, 9)), channels)
        if form == "txt":
            expected[path] = texts[i % len(texts)]
            path.write_bytes(texts[i % len(texts)].encode())
        elif form == "bin":
            expected[path] = generator.bytes(int(generator.integers(1, 20)))
            path.write_bytes(expected[path])
        elif form == "png":
            pixels = generator.integers(0, 256, (4, 3, channels), np.uint8)
            Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(path)
            expected[path] = pixels.reshape(12, channels)
        else:
            values: Any = generator.normal(size=size) * 100
            values = values.astype(wav if wav != "u1" else "u1")
            values = values[:, 0] if channels == 1 else values
            if form == "wav":
                wavfile.write(path, 8000, values)
            else:
                np.save(path, values)
            expected[path] = values.reshape(len(values), -1)
    found = backcast.load(
        folder, kind="bytes" if form == "bin" else "auto" if form == "txt" else "real"
    ).train
    CASES[f"folder of {form}"] += 1
    valid(found)
    paths = sorted(expected)
    assert found.ids.tolist() == [path.relative_to(folder).as_posix() for path in paths]
    assert labels_of(found) == [path.parent.name for path in paths]
    for i, path in enumerate(paths):
        if isinstance(expected[path], np.ndarray):
            np.testing.assert_array_equal(found.row(i), expected[path])
        else:
            assert row_of(found, i) == expected[path]


@examples(15)
@given(datas(FLAT | STEPS, TYPED), st.sampled_from(["files", "datasets", "hub", "classes"]))
def test_folders_with_splits_and_the_hub(place: Any, data: Data, form: str) -> None:
    """`data.parquet` a split, what `datasets` saves, the Hub's layout, and a folder of a class each in every split."""
    folder = place()
    content = pa.table(table(data, "x"))
    options: dict[str, Any] = {}
    source: Any = folder
    patch = pytest.MonkeyPatch()
    if form == "files":
        pq.write_table(content, folder / "my-train.parquet")
        pq.write_table(content[:1], folder / "my_dev.parquet")
        pq.write_table(content[:1], folder / "test-00000-of-00001.parquet")
    elif form == "datasets":
        for split in ("train", "validation", "test"):
            (folder / split).mkdir()
            part = content if split == "train" else content[:1]
            write_arrow(folder / split / "data-00000-of-00001.arrow", part, stream=True)
            (folder / split / "state.json").write_text("{}")
            write_arrow(
                folder / split / "cache-1234.arrow", content.append_column("z", content["x"]), stream=True
            )
        (folder / "dataset_dict.json").write_text("{}")
    elif form == "hub":
        names = {"train": content, "validation": content[:1], "test": content[:1]}
        for name, part in names.items():
            (folder / "one").mkdir(exist_ok=True)
            pq.write_table(part, folder / "one" / f"{name}-00000-of-00001.parquet")
        (folder / "two").mkdir()
        pq.write_table(content.append_column("z", content["x"]), folder / "two" / "train-0.parquet")
        listed = [path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet")] + ["README.md"]
        patch.setattr("huggingface_hub.list_repo_files", lambda *a, **k: listed)
        patch.setattr("huggingface_hub.snapshot_download", lambda *a, **k: str(folder))
        source = "hf:someone/something:one"
    else:
        data = replace(data, ids=None, labels=["a"] * len(data))
        for split in ("train", "val", "testing"):
            (folder / split / "a").mkdir(parents=True)
            for i, row in enumerate(data.rows if split == "train" else data.rows[:1]):
                np.save(folder / split / "a" / f"{i}.npy", np.array(row, np.float64))
        data = replace(
            data, ids=[f"a/{i}.npy" for i in range(len(data))], rows=[steps_of(r) for r in data.rows]
        )
    try:
        splits = backcast.load(source, **options)
    finally:
        patch.undo()
    check(splits.train, data, what=f"splits: {form}")
    assert splits.validation is not None and splits.test is not None
    if data.labels is None or data.labels[0] is not None or form == "classes":
        first = Data(data.rows[:1], data.labels and data.labels[:1], data.ids and data.ids[:1])
        check(splits.test, first, what=f"splits: {form}", train=data)


def test_what_another_configuration_left_in_the_hubs_cache_does_not_count(
    place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = place()
    (folder / "other").mkdir()
    for path, value in ((folder / "train.csv", 1.5), (folder / "other" / "train.csv", 2.5)):
        path.write_text(f"x\n{value}\n")
    monkeypatch.setattr("huggingface_hub.list_repo_files", lambda *a, **k: ["train.csv", "other/train.csv"])
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *a, **k: str(folder))
    assert len(split_files(folder)["train"]) == 2
    for name, value in (("hf:a/b", 1.5), ("hf:a/b:other", 2.5)):
        assert backcast.load(name).train.row(0).tolist() == [[value]]
    for name in ("hf:a", "hf:a/b/c", "hf:a/b:none", "hf:", "hf:../x:y"):
        with pytest.raises(InputError, match="hf:"):
            backcast.load(name)

    def fails(*given: Any, **named: Any) -> Any:
        raise ConnectionError("no\nnetwork")

    monkeypatch.setattr("huggingface_hub.list_repo_files", fails)
    with pytest.raises(InputError, match="could not fetch the list of its files"):
        backcast.load("hf:a/b")


TITLES = st.lists(
    st.tuples(
        st.integers(1, 4), NAMES, st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)
    ),
    min_size=1,
    max_size=4,
)


@examples(20)
@given(TITLES, st.booleans())
def test_texts_of_zhang(place: Any, rows: list[tuple[int, str, str]], parquet: bool) -> None:
    folder = place()
    name = "ag-news" if parquet else "dbpedia"
    (folder / name).mkdir()
    for split in ("train", "test"):
        path = folder / name / f"{split}.csv"
        if parquet:
            part = pa.table({"text": [f"{a} {b}" for _, a, b in rows], "label": [k - 1 for k, _, _ in rows]})
            pq.write_table(part, path.with_name(f"{split}-00000-of-00001.parquet"))
        else:
            with path.open("w", newline="") as file:
                csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)
    alphabet = set("abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{}\n")
    splits = backcast.load(name, data_dir=folder)
    CASES["zhang"] += 1
    names = (
        ("World", "Sports", "Business", "Sci/Tech")
        if parquet
        else ("Company", "EducationalInstitution", "Artist", "Athlete")
    )
    assert splits.test is not None
    for part_ in (splits.train, splits.test):
        assert labels_of(part_) == [names[k - 1] for k, _, _ in rows]
        for i, (_, title, text) in enumerate(rows):
            expected = "".join(c if c in alphabet else " " for c in f"{title} {text}".lower())[:1014]
            assert row_of(part_, i) == expected


@pytest.mark.parametrize(
    "content", ["²,a,b\n", f"{'9' * 5000},a,b\n", "0,a,b\n", "15,a,b\n", "1\n", "x,a\n", '1,"a\n']
)
def test_damaged_texts_of_zhang(place: Any, content: str) -> None:
    folder = place()
    (folder / "dbpedia").mkdir()
    for split in ("train", "test"):
        (folder / "dbpedia" / f"{split}.csv").write_text(content)
    with pytest.raises(InputError, match=r"train\.csv"):
        backcast.load("dbpedia", data_dir=folder)
    (folder / "dbpedia" / "train.csv").write_text("1,a,b\n")
    (folder / "dbpedia" / "classes.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"classes\.txt"):
        backcast.load("dbpedia", data_dir=folder)


def test_texts_of_zhang_that_are_numbers(place: Any) -> None:
    folder = place()
    pq.write_table(pa.table({"text": [1, 2], "label": [0, 1]}), folder / "train-0.parquet")
    with pytest.raises(InputError, match="texts are needed"):
        backcast.load("ag-news", data_dir=folder)


# 2. What is damaged is refused, or read as some data set where the damage cannot be told.


def sample_files(folder: Path) -> dict[str, tuple[bytes, str, dict[str, Any]]]:
    """A file of every form: its content, its name, and how it is read."""
    data = Data(
        [[0.5, 1.5, -2.25], [3.0], [1e-3, 7.0], [4.5, 5.5], [6.125, 0.0]],
        ["up", "down", None, "up", "down"],
        ["r1", "r2", "r3", "r4", "r5"],
    )
    lists = table(data, "x", lambda row: " ".join(map(repr, row)))
    lists["label"] = [one or "" for one in lists["label"]]
    typed, texts = table(data, "x"), table(replace(data, rows=["a b", 'c,"d', "é\n", "ff", "g"]), "text")
    long = pa.table(long_columns(data, "int", list(range(10))[::-1], list(range(10))))
    plain_long = {k: ["" if v is None else v for v in c] for k, c in long.to_pydict().items()}
    wide = {"id": data.ids, "a": [1.5, 2.5, 3.5, 4.5, 5.5], "b": [1, 2, 3, 4, ""], "label": list("ababa")}
    files: dict[str, dict[str, Any]] = {}

    def keep(name: str, wrote: Any = None, **options: Any) -> None:
        files[name] = options

    keep("lists.csv", write_delimited(folder / "lists.csv", lists))
    keep(
        "texts.csv",
        write_delimited(folder / "texts.csv", {k: [c or "" for c in v] for k, v in texts.items()}),
    )
    keep("lists.tsv", write_delimited(folder / "lists.tsv", lists))
    keep("lists.csv.gz", write_delimited(folder / "lists.csv.gz", lists))
    keep("wide.csv", write_delimited(folder / "wide.csv", wide), wide=True)  # type: ignore[arg-type]
    keep("long.csv", write_delimited(folder / "long.csv", plain_long), time="time")
    keep("a.jsonl", write_json_lines(folder / "a.jsonl", typed))
    keep("texts.jsonl", write_json_lines(folder / "texts.jsonl", texts, escape=True))
    keep("a.jsonl.gz", write_json_lines(folder / "a.jsonl.gz", typed))
    pq.write_table(pa.table(typed), folder / "a.parquet", row_group_size=2)
    pq.write_table(pa.table(texts), folder / "texts.parquet", compression="none", use_dictionary=False)
    pq.write_table(pa.table(typed), folder / "summed.parquet", write_page_checksum=True)
    pq.write_table(long, folder / "long.parquet")
    write_arrow(folder / "a.arrow", pa.table(typed))
    write_arrow(folder / "stream.arrow", pa.table(texts), stream=True)
    pa.feather.write_feather(pa.table(typed), str(folder / "a.feather"))
    for name in ("a.parquet", "texts.parquet", "summed.parquet", "a.arrow", "stream.arrow", "a.feather"):
        keep(name)
    keep("long.parquet", time="time")
    x = np.arange(30.0).reshape(5, 3, 2)
    given_arrays: Any = {
        "x": x,
        "y": [*data.labels[:2], "", "up", "up"],
        "lengths": [1, 2, 3, 3, 3],
        "ids": data.ids,
    }  # type: ignore[index]
    np.savez(folder / "a.npz", **given_arrays)
    np.savez_compressed(folder / "packed.npz", **given_arrays)
    np.save(folder / "a.npy", x.astype("f4"))
    rows = [[[1.5, 2.5], [None, 1.0]], [[3.0, 4.0], [0.5, 0.25]]]
    (folder / "a.ts").write_text(ts_content(rows, True, ["up", "down"]))
    (folder / "times.ts").write_text(ts_content(rows, True, None, True))
    for name in ("a.npz", "packed.npz", "a.npy", "a.ts", "times.ts"):
        keep(name)
    return {name: ((folder / name).read_bytes(), name, options) for name, options in files.items()}


@pytest.fixture(scope="module")
def samples(place: Any) -> dict[str, tuple[bytes, str, dict[str, Any]]]:
    return sample_files(place())


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Cut, flipped, doubled, with a hole, with something put in, or in another encoding."""
    at, end = sorted((chance.randrange(len(content) + 1), chance.randrange(len(content) + 1)))
    kind = chance.randrange(10)
    if kind == 0:
        return content[:at]
    if kind <= 4:
        found = bytearray(content)
        for _ in range(chance.choice([1, 1, 2, 5])):
            place = chance.randrange(len(found))
            found[place] = chance.choice(
                [found[place] ^ (1 << chance.randrange(8)), chance.randrange(256), 0, 255]
            )
        return bytes(found)
    if kind == 5:
        return content[:at] + content[at : min(end, at + 40)] * 2 + content[min(end, at + 40) :]
    if kind == 6:
        return content[:at] + content[min(end, at + 8) :]
    if kind == 7:
        words = [
            b"\0",
            b'"',
            b"'",
            b"\n",
            b"\r",
            b",",
            b"[",
            b"]",
            b"{",
            b":",
            b"?",
            b"nan",
            b"inf",
            b"\xff",
            b"0x1",
        ]
        words += [
            b"1e999",
            b"-",
            b"9" * 30,
            b"9" * 5000,
            b"null",
            b"true",
            b'"\\ud800"',
            b"\x1b[2J",
            b"\xef\xbb\xbf",
            b"@",
        ]
        return content[:at] + chance.choice(words) + content[at:]
    if kind == 8:
        return content[at:]
    text = content.decode("utf-8", "replace")
    return text.encode(chance.choice(["utf-16", "latin-1", "utf-8-sig"]), "replace")


NAMES_OF_SAMPLES = [
    "lists.csv", "texts.csv", "lists.tsv", "lists.csv.gz", "wide.csv", "long.csv", "a.jsonl", "texts.jsonl", "a.jsonl.gz",
    "a.parquet", "texts.parquet", "summed.parquet", "a.arrow", "stream.arrow", "a.feather", "long.parquet",
    "a.npz", "packed.npz", "a.npy", "a.ts", "times.ts",
]  # fmt: skip
SUMMED = ("lists.csv.gz", "a.jsonl.gz")  # the whole file has a checksum


@pytest.mark.parametrize("name", NAMES_OF_SAMPLES)
def test_damaged_files(place: Any, samples: Any, name: str) -> None:
    """Seeded, so that a release of Arrow either passes or does not: a damaged file could abort the process."""
    content, _, options = samples[name]
    folder = place()
    (folder / f"0{name}").write_bytes(content)
    sound = backcast.load(folder / f"0{name}", **options).train
    before = time.monotonic()
    for number in range(int(40 * SCALE)):
        chance = random.Random(f"{name} {number}")
        path = folder / f"{number + 1}{name}"
        path.write_bytes(damaged(content, chance))
        found = read_or_refused(path, f"damaged {name}", **options)
        if found is not None and name in SUMMED:
            assert found.checksum == sound.checksum
        path.unlink()
        if number % 100 == 99:
            cache_entries.clean()
    assert time.monotonic() - before < 2 + 2 * 40 * SCALE


@pytest.mark.parametrize("name", NAMES_OF_SAMPLES)
def test_files_cut_anywhere(place: Any, samples: Any, name: str) -> None:
    """Binary forms tell every cut; a text, cut behind a row or in its last cell, cannot."""
    content, _, options = samples[name]
    folder = place()
    step = 1 if SCALE > 1 else max(1, len(content) // 25)
    text = name.endswith((".csv", ".tsv", ".jsonl", ".ts"))
    for end in range(0, len(content), step):
        path = folder / f"{end}{name}"
        path.write_bytes(content[:end])
        found = read_or_refused(path, f"cut {name}", **options)
        assert found is None or (text and end), f"{end} of {len(content)}"
        path.unlink()


@pytest.mark.parametrize("name", NAMES_OF_SAMPLES)
def test_endings_in_capitals_are_the_same(place: Any, samples: Any, name: str) -> None:
    content, _, options = samples[name]
    folder = place()
    for one in (name, name.upper()):
        (folder / one).write_bytes(content)
    small, capital = (backcast.load(folder / one, **options).train for one in (name, name.upper()))
    assert (small.checksum, small.kind) == (capital.checksum, capital.kind)
    if not name.endswith(".npy"):  # a folder of those has a row in each
        (folder / name).unlink()
        assert backcast.load(folder, **options).train.checksum == small.checksum


@examples(60)
@given(st.sampled_from(["png", "wav", "npy", "txt", "image.parquet"]), st.randoms(use_true_random=False))
def test_damaged_files_in_folders(place: Any, form: str, chance: random.Random) -> None:
    folder = place()
    (folder / "cat").mkdir()
    content = small_file(form)
    if form == "image.parquet":
        cells = [{"bytes": damaged(small_file("png"), chance)}, {"bytes": damaged(small_file("wav"), chance)}]
        pq.write_table(pa.table({"image": cells[: chance.choice([1, 2])]}), folder / "a.parquet")
        read_or_refused(folder / "a.parquet", "damaged cells")
        return
    (folder / "cat" / f"a.{form}").write_bytes(content)
    (folder / "cat" / f"b.{form}").write_bytes(damaged(content, chance))
    CASES[f"damaged {form}"] += 1
    try:
        valid(backcast.load(folder, side=chance.choice([None, 3])).train)
    except InputError as error:
        assert f"b.{form}" in str(error), str(error)


def small_file(form: str) -> bytes:
    file = io.BytesIO()
    if form == "png":
        Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(file, "PNG")
    elif form == "wav":
        wavfile.write(file, 8000, np.arange(20, dtype=np.int16).reshape(10, 2))
    elif form == "npy":
        np.save(file, np.arange(6.0).reshape(3, 2))
    else:
        file.write("Größe und Maß\n".encode())
    return file.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "BMP", "GIF", "WEBP", "TIFF", "PNG"])
def test_damaged_pictures_of_every_format(place: Any, form: str) -> None:
    file = io.BytesIO()
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(file, form)
    chance = random.Random(form)
    for number in range(int(15 * SCALE)):
        path = place() / f"p{number}.parquet"
        pq.write_table(pa.table({"image": [{"bytes": damaged(file.getvalue(), chance)}]}), path)
        read_or_refused(path, f"damaged {form}")


DAMAGE: list[tuple[str, Any, dict[str, Any], str]] = [
    ("a.csv", "", {}, "is empty"),
    ("a.csv", "x,label\n", {}, "no rows"),
    ("a.csv", "y,label\n1,2\n", {}, "no column `x` or `text`"),
    ("a.csv", "x\n1\n", {"label": "lable"}, "no column `lable`"),
    ("a.csv", "x,label\n1,2\n3\n", {}, "line 3 has 1 fields"),
    ("a.csv", "x,label\n1,2\n3,4,5\n", {}, "line 3 has 3 fields"),
    ("a.csv", "id;time;v\n1;2;3,5\n", {"time": "time"}, "columns are separated by ';'; save it with commas"),
    ("a.tsv", "x,label\n1,2\n", {}, "columns are separated by ','"),
    ("a.csv", "x\tlabel\n1\t2\n", {}, r"columns are separated by '.t'.* tabs as .tsv"),
    ("a.csv", "x,x\n1,2\n", {}, "`x` stands twice"),
    ("a.csv", "x,id\n1,a\n2,a\n", {}, "id 'a' stands more than once .in line 2 and in line 3"),
    ("a.csv", "x,id\n1,a\n2,\n", {}, "line 3 has no id"),
    ("a.csv", b"x\n1\0\n", {}, "line 2 holds a NUL"),
    ("a.csv", b"text\na\nM\xfcller\n", {}, "line 3, byte 2 is not UTF-8"),
    ("a.csv", "text\na\nb\n".encode("utf-16"), {}, "line 1"),
    ("a.csv", 'text\na\n"b\nc\nd\n', {}, "line 3 opens a quote that is not closed"),
    ("a.csv", 'text\n"a\nb"\n"c"d\n', {}, "line 4 cannot be read"),
    ("a.csv", "text\ra\rb\n", {}, "line 1"),
    ("a.csv", "x\n1 2\n3 a\n", {}, "line 3, step 1 is 'a', not a number"),
    ("a.csv", "x\n1 2\na b\n", {}, "line 3 holds words, the rows before it numbers"),
    ("a.csv", "x\n1 2\n\"[[1, 2], [3]]\"\n", {}, "line 3, step 1 does not hold 2"),
    ("a.csv", "x\n0x10 1.5\n", {"kind": "real"}, "line 2, step 0 is '0x10'"),
    ("a.csv", "x\n[[" + "[" * 100_000 + "]]\n", {}, "line 2: .* is no list"),
    ("a.csv", "x\n1e999\n", {}, "step 0, channel 0 is inf"),
    ("a.csv", "x\n1\n", {"kind": "reel"}, "--kind reel"),
    ("a.csv", "x\n1\n", {"x": ","}, "names no column"),
    ("a.csv", "x\n1\n", {"side": 0}, "--side 0"),
    ("a.csv", "x\n" + "a" * 200 + "\n1\n", {}, "line 3 holds numbers"),
    ("a.csv", 'x,"' + "\x1b[2J\n" * 50 + '"\n1,2\n', {"text": "y"}, "no column `y`"),
    ("w.csv", "a,b\n1,2\n1,b\n", {"wide": True}, "line 3, step 1 is 'b'"),
    ("w.csv", "a,b\n1,2\n,\n", {"wide": True}, "line 3 is empty"),
    ("w.csv", "name,a,b\nm1,1,2\nm2,1,2\n", {"wide": True}, "column `name` holds words .* say --id name"),
    ("w.jsonl", '{"name": "m1", "a": 1.5}\n', {"wide": True}, "column `name` holds words .* say --id name"),
    ("l.csv", "id,time,v\n1,1,1\n1,,1\n", {"time": "time"}, "line 3 has no time"),
    ("l.csv", "id,time,v\n1,1,1\n,2,1\n", {"time": "time"}, "line 3 has no id"),
    ("l.csv", "id,time,v\n1,1,1\n1,soon,1\n", {"time": "time"}, "line 2 has the time '1'"),
    ("l.csv", "id,time,v\n1,2020-01-01 00:00:00.123456789,1\n", {"time": "time"}, "line 2 .* microseconds at most"),
    ("l.csv", "id,time,v\n1,2020-01-01,1\n1,2020-01-02T00:00:00Z,1\n", {"time": "time"}, "line 2 .*time zone"),
    ("l.csv", "id,time,v\n1,1,1\n1,2,b\n", {"time": "time", "kind": "real"}, "line 3: `v` is 'b', not a number"),
    ("l.csv", "id,time,v\n1,1,0x1\n1,2,1.5\n", {"time": "time", "kind": "real"}, "line 2: `v` is '0x1'"),
    ("l.csv", "id,time,v,w\n1,1,1,a\n", {"time": "time"}, "line 2: `w` is 'a', .* make 0/1 columns of `w`, or leave it out with --x"),
    ("l.csv", "id,time,v\n1,1,b\n", {"time": "time", "kind": "real"}, "`v` is 'b', not a number; --x chooses the features"),
    ("l.csv", "id,time,v,label\n1,1,1,a\n1,2,1,b\n", {"time": "time"}, "line 3 gives the sequence '1' the label 'b'"),
    ("l.csv", "time,v\n1,1\n", {"time": "time"}, "name the column of the sequences by --id"),
    ("l.csv", "id,time\n1,1\n", {"time": "time"}, "no column is left"),
    ("a.jsonl", "", {}, "is empty"),
    ("a.jsonl", "{}\n", {}, "is empty"),
    ("a.jsonl", "[1]\n", {}, "line 1 is no JSON object"),
    ("a.jsonl", '{"x": [1]}\n{"x": [1]\n', {}, "line 2 is not JSON"),
    ("a.jsonl", '{"x": [1]}\n{"x": ' + "[" * 100_000 + "]" * 100_000 + "}\n", {}, "line 2 is not JSON"),
    ("a.jsonl", '{"x": [1], "x": [2]}\n', {}, "line 1 is not JSON: a key stands twice"),
    ("a.jsonl", '{"x": [1], "label": "\\ud800"}\n', {}, "line 1"),
    ("a.jsonl", '{"x": ["\\udfff"]}\n', {}, "line 1"),
    ("a.jsonl", '{"x": [1]}\n{"x": [true]}\n', {}, "line 2, step 0 is True"),
    ("a.jsonl", '{"x": [1]}\n{"x": [1, "a"]}\n', {}, "line 2, step 1 is 'a'"),
    ("a.jsonl", '{"x": [1]}\n{"x": {"a": 1}}\n', {}, "line 2 holds neither"),
    ("a.jsonl", '{"x": [1]}\n{"y": 2}\n', {}, "line 2 has no elements"),
    ("a.jsonl", '{"x": [1]}\n{"x": []}\n', {}, "line 2 is empty"),
    ("a.jsonl", '{"x": [[]]}\n', {}, "line 1"),
    ("a.jsonl", '{"x": [1%s]}\n' % ("0" * 400), {}, "line 1"),
    ("a.jsonl", '{"x": [1%s]}\n' % ("0" * 5000), {}, "line 1 is not JSON"),
    ("a.jsonl", '{"x": [1], "label": 1}\n{"x": [1], "label": "a"}\n', {}, "row 1 has the label 'a'"),
    ("a.jsonl", '{"x": [1], "label": [1]}\n', {}, r"row 0 has the label \[1\] \(list\); labels must be"),
    ("a.jsonl", '{"x": [1], "id": 1}\n{"x": [1], "id": "1"}\n', {}, "id '1' stands more than once"),
    ("a.jsonl", '{"x": [1], "id": 1.5}\n', {}, "line 1 has the id 1.5"),
    ("a.jsonl", '{"x": [1]}\n' * 150 + '{"x": [1], "label": "a"}\n', {}, "line 151 has `label`"),
    ("w.jsonl", '{"a": 1, "b": [2]}\n', {"wide": True}, "line 1, step 1 is a list"),
    ("l.jsonl", '{"id": [1], "time": 1, "v": 1}\n', {"time": "time"}, "line 1 has the id"),
    ("l.jsonl", '{"id": 1, "time": [1], "v": 1}\n', {"time": "time"}, "line 1 has the time"),
    ("l.jsonl", '{"id": 1, "time": 1, "v": [1]}\n', {"time": "time"}, "line 1: `v` holds a list"),
    ("l.jsonl", '{"id": 1, "time": 1, "v": 1%s}\n' % ("0" * 400), {"time": "time", "kind": "real"}, "line 1: `v`|inf"),
    ("l.jsonl", '{"id": 1, "time": 1%s, "v": 1}\n' % ("0" * 400), {"time": "time"}, "line 1"),
    ("a.parquet", "", {}, "cannot be read as Parquet"),
    ("a.arrow", "", {}, "cannot be read as Arrow"),
    ("a.npz", "", {}, "cannot be read"),
    ("a.npy", "", {}, "cannot be read"),
    ("a.ts", "", {}, "no @data"),
    ("a.ts", "@data\n1,2:a\n", {}, "no @classLabel"),
    ("a.ts", "@classLabel true a\n@data\n1,2\n", {}, "line 3 has no series"),
    ("a.ts", "@classLabel true a\n@data\n1,2:b\n", {}, "line 3 has the label 'b'"),
    ("a.ts", "@classLabel true a\n@data\n1,2:3:a\n", {}, "line 3: dimension 2 has 1 steps"),
    ("a.ts", "@classLabel true a\n@data\n1,x:a\n", {}, "line 3, dimension 1, step 1 is 'x'"),
    ("a.ts", "@classLabel true a\n@data\n:a\n", {}, "line 3, dimension 1 is empty"),
    ("a.ts", "@univariate true\n@classLabel true a\n@data\n1:2:a\n", {}, "line 4 has 2 dimensions"),
    ("a.ts", "@equalLength true\n@seriesLength 3\n@classLabel true a\n@data\n1,2:a\n", {}, "line 5 has 2 steps"),
    ("a.ts", "@classLabel true a\n@data\n", {}, "no rows"),
    ("a.ts", "@classLabel true a\n@data\n1:a\n1:2:a\n", {}, "line 4 has 2 numbers a step"),
    ("a.doc", "x\n", {}, "ending .doc is not known"),
    ("a 1.WAV", "x\n", {}, "a .wav file is one row; put it into a folder"),
    ("a.txt", "x\n", {}, "a .txt file is one row; put it into a folder"),
    ("a.csv.bz2", "x\n", {}, "ending .bz2 is not known"),
    ("a.csv.gz", "x\n1\n", {}, "cannot be read"),
]  # fmt: skip


@pytest.mark.parametrize("case", DAMAGE, ids=[f"{i}" for i in range(len(DAMAGE))])
def test_what_is_refused_says_where(place: Any, case: Any) -> None:
    name, content, options, match = case
    path = place() / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(path, match, **options)


@pytest.mark.parametrize("depth", range(5, 1100, 55 if SCALE <= 1 else 1))
def test_nested_json_of_any_depth(place: Any, depth: int) -> None:
    """What the parser still goes down into, nothing behind it may stumble over."""
    nest = "[" * depth + "]" * depth
    for number, (line, options) in enumerate(
        [
            ('{"x": %s}', {}), ('{"x": [1], "label": %s}', {}), ('{"x": [1], "id": %s}', {}), ('{"text": %s}', {}),
            ('{"a": %s}', {"wide": True}), ('{"id": %s, "time": 1, "v": 1}', {"time": "time"}),
            ('{"id": 1, "time": %s, "v": 1}', {"time": "time"}), ('{"id": 1, "time": 1, "v": %s}', {"time": "time"}),
            ('{"id": 1, "time": 1, "v": 1, "label": %s}', {"time": "time"}),
        ]
    ):  # fmt: skip
        path = place() / f"n{number}.jsonl"
        path.write_text(line % nest + "\n")
        refused(path, what="nested", **options)


def header_of(text: str, version: int = 1) -> bytes:
    """An .npy file's head."""
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode("latin-1")


HEADERS = [
    f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}"
    for shape in (
        "(100000000000, 4)", "(4, 10000000000000000000000)", "(-1, 4)", "(-1, -4)", "(-2, -2)", "(0, 4)", "(4, 0)",
        "(4,)", "()", "(2, 2, 1, 1)", "(4.0, 1)", "'a'", "None", "(True, 4)", "(1000000000000000000000, 0)",
    )
] + [
    "{'descr': '|O', 'fortran_order': False, 'shape': (4, 1), }",
    "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (4, 1), }",
    "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (4, 1), }",
    "{'descr': ('<f8', (2,)), 'fortran_order': False, 'shape': (2, 1), }",
    "{'descr': '<U0', 'fortran_order': False, 'shape': (4, 1), }",
    "{'descr': '<c16', 'fortran_order': False, 'shape': (2, 1), }",
    "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (4, 1), }",
    "{'descr': '<f8', 'fortran_order': 1, 'shape': (4, 1), }",
    "{'descr': '<f8'}", "{", "(", "", "[" * 5000, "-" * 9000 + "1", "{'a':" * 1500, "1+" * 4000 + "1", "'" * 99, "'''",
    "__import__('os').system('touch RAN')", "{'descr': '" + "<" * 9900 + "'}", " " * 60000, "0x" + "f" * 9000, "\n\t 1",
    "9" * 9000, "1L", "{1L:", "{'shape': (4L, 1L), 'descr': '<f8', 'fortran_order': False", "'\\N{BULLET}'", "{**{}}",
]  # fmt: skip


@pytest.mark.parametrize("form", ["npy", "npz", "y of npz", "folder"])
def test_false_headers_of_arrays(place: Any, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each header before the 32 bytes of four numbers; the few that fit them are read."""
    fits = {
        "npy": ["(True, 4)"],
        "npz": ["(True, 4)"],
        "y of npz": ["'shape': (4,)"],
        "folder": ["'shape': (4,)", "(True, 4)"],
    }
    monkeypatch.chdir(place())
    for header, version in ((header, version) for header in HEADERS for version in (1, 2)):
        content = header_of(header, version) + bytes(32)
        folder = place()
        path = folder / ("cat/a.npy" if form == "folder" else "a.npy" if form == "npy" else "a.npz")
        path.parent.mkdir(exist_ok=True)
        if path.suffix == ".npy":
            path.write_bytes(content)
        else:
            file = io.BytesIO()
            np.save(file, np.zeros((4, 2)))
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("x.npy", content if form == "npz" else file.getvalue())
                if form == "y of npz":
                    archive.writestr("y.npy", content)
        CASES["false headers"] += 1
        source = folder if form == "folder" else path
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # NumPy's, of headers that Python 2 wrote
            if any(part in header for part in fits[form]):
                valid(backcast.load(source, kind="real").train)
                continue
            with pytest.raises(InputError) as caught:
                backcast.load(source)
        assert one_line(str(caught.value), path), (header[:60], str(caught.value))
    assert not Path("RAN").exists()


class Trap:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.write_text, (self.mark, "it ran"))


@pytest.mark.parametrize("form", ["a.npy", "x", "y", "ids", "lengths", "folder"])
def test_pickled_objects_are_not_loaded(place: Any, form: str) -> None:
    folder = place()
    trap = np.array([[Trap(folder / "mark")]] if form in ("x", "a.npy") else [Trap(folder / "mark")], object)
    path = folder / "a.npz"
    if form == "a.npy":
        np.save(path := folder / form, trap)
    elif form == "folder":
        path = folder / "inside"
        (path / "cat").mkdir(parents=True)
        np.save(path / "cat" / "inside.npy", trap)
    else:
        np.savez(path, **{"x": np.zeros((1, 2)), form: trap})
    assert "Python objects" in refused(path)
    assert not (folder / "mark").exists()
    loaded = np.load(path if path.is_file() else path / "cat" / "inside.npy", allow_pickle=True)
    if path.suffix == ".npz":
        with loaded:
            _ = [loaded[name] for name in loaded.files]
    assert (folder / "mark").exists(), "the trap does not work, so this test shows nothing"


def test_postscript_is_no_picture(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow would hand it to Ghostscript, which runs it."""

    def run(*given: Any, **named: Any) -> Any:
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "check_call", run)
    monkeypatch.setattr(subprocess, "Popen", run)
    folder = place()
    (folder / "cat").mkdir()
    lines = ["%!PS-Adobe-3.0 EPSF-3.0", "%%BoundingBox: 0 0 4 4", "%%EndComments", "showpage", "%%EOF"]
    (folder / "cat" / "a.png").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=r"a\.png is no picture"):
        backcast.load(folder)


def test_pictures_of_sixteen_bits_are_refused_and_not_made_white(place: Any) -> None:
    folder = place()
    (folder / "cat").mkdir()
    Image.fromarray(np.array([[0, 300, 65535]], np.uint16)).save(folder / "cat" / "a.png")
    with pytest.raises(InputError, match=r"a\.png .*8 bits"):
        backcast.load(folder)


@pytest.mark.parametrize(
    ("first", "second"), [("u1", "i2"), ("u1", "i8"), ("f4", "f8"), ("i4", "f4"), ("i2", "u2")]
)
def test_files_of_different_types_are_not_squeezed_into_the_first_ones(
    place: Any, first: str, second: str
) -> None:
    folder = place()
    (folder / "cat").mkdir()
    np.save(folder / "cat" / "a.npy", np.array([1, 2], first))
    np.save(folder / "cat" / "b.npy", np.array([100, 1 << 14], second))
    with pytest.raises(InputError, match=r"cat/b\.npy holds"):
        backcast.load(folder)


def test_sounds_that_were_cut_are_refused(place: Any) -> None:
    folder = place()
    (folder / "cat").mkdir()
    content = small_file("wav")
    for end in range(len(content) - 2, 0, -2):
        (folder / "cat" / "a.wav").write_bytes(content[:end])
        with pytest.raises(InputError, match=r"a\.wav"):
            backcast.load(folder)
        CASES["cut wav"] += 1


def test_a_file_that_changes_at_once_is_read_anew(place: Any) -> None:
    """Same name, same size, and within the tick of the file system's clock."""
    path = place() / "a.csv"
    for value in range(200):
        path.write_text(f"x\n{value % 10}.5\n")
        assert backcast.load(path).train.row(0).tolist() == [[value % 10 + 0.5]]


def test_the_same_bytes_under_another_ending_are_read_anew(place: Any) -> None:
    folder = place()
    for name in ("a.csv", "a.tsv"):
        (folder / name).write_text("a,b\n")
    comma = backcast.load(folder / "a.csv", wide=True, header=False).train
    tab = backcast.load(folder / "a.tsv", wide=True, header=False).train
    assert comma.symbols == ("a", "b") and tab.symbols == ("a,b",)


def test_many_columns_are_read_in_time(place: Any) -> None:
    """Looking each of them up in a list would take minutes."""
    count = 40_000
    path = place() / "a.csv"
    path.write_text(",".join(f"c{i}" for i in range(count)) + "\n" + ",".join(["1"] * count) + "\n")
    begun = time.monotonic()
    assert backcast.load(path, wide=True).train.lengths.tolist() == [count]
    path.with_suffix(".jsonl").write_text(json.dumps({f"c{i}": 1 for i in range(count)}) + "\n")
    assert backcast.load(path.with_suffix(".jsonl"), wide=True).train.lengths.tolist() == [count]
    assert time.monotonic() - begun < 20


def test_pipes_folders_and_what_is_not_there(place: Any) -> None:
    folder = place()
    os.mkfifo(folder / "pipe.csv")
    refused(folder / "pipe.csv", "neither a file nor a folder")
    (folder / "folder.csv").mkdir()
    refused(folder / "folder.csv", "no data in it")
    refused(folder / "nothing.csv", "no such file")
    for name in ("", "mnits", "a" * 5000, "a\0b"):
        with pytest.raises(InputError):
            backcast.load(name)
    (folder / "split" / "train").mkdir(parents=True)
    with pytest.raises(InputError, match="split"):
        backcast.load(folder / "split")
    (folder / "only").mkdir()
    (folder / "only" / "test.csv").write_text("x\n1\n")
    refused(folder / "only", "no train")
    (folder / "only" / "train.jsonl").write_text('{"x": [1]}\n')
    (folder / "only" / "train.csv").write_text("x\n1\n")
    refused(folder / "only", r"\.csv and \.jsonl files of train")
    (folder / "only" / "more.csv").write_text("x\n1\n")
    refused(folder / "only", "more.csv says no split")


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (None, {}), (5, {}), (5.5, {}), (object(), {}), ([], {}), ({}, {}), ({"test": [[1]]}, {}), ([[]], {}), ([5], {}),
        ([np.array(5.0)], {}), ([torch.tensor(1.0)], {}), (torch.tensor(1.0), {}), (np.float64(1), {}),
        (torch.zeros(2, 2, dtype=torch.bfloat16), {}), (torch.zeros(2, 2).to_sparse(), {}), (torch.zeros(2, 2) * 1j, {}),
        ([torch.zeros(2, dtype=torch.bfloat16)], {}), (np.ma.masked_array([[1.0, 2.0]], [[0, 1]]), {}), (b"abc", {}),
        ([[1], ["a"]], {}), ([[1], "a"], {}), ([[1, "a"]], {}), ([[1], [[1, 2]]], {}), ([[[1, 2], [3]]], {}),
        ([[True]], {}), ([[1j]], {}), ([[1]], {"y": 5}), ([[1]], {"y": [1, 2]}), ([[1], [2]], {"y": [1, "a"]}),
        (np.ones((2, 1)), {"y": [1, "a"]}), (np.ones((2, 1)), {"y": [[1], [2, 3]]}), (np.ones((2, 1)), {"ids": [1, 1.5]}),
        (np.ones((2, 1)), {"y": 5}), ([[1], [2]], {"ids": 5}), ([[1], [2]], {"ids": [1, "1"]}), ([["\ud800", 1]], {}),
        ([[1]], {"kind": "words"}), ([[1]], {"labl": "a"}), ([[1]], {"limit": 0}), ([[1]], {"max_length": -1}),
        ([[float("inf")]], {}), ([{"a": 1}], {}), ({1: 2}, {}), (pa.table({"x": [[1]]}), {"y": [1]}), (np.zeros((2, 0)), {}),
        (pa.table([[[1]], [[2]]], names=["x", "x"]), {}), (pa.table({"y": [1]}), {}), (np.array([[object()]]), {}),
        ("x" * 10, {"kind": 5}), ([["a"], ["b"]], {"kind": "real"}), ([range(3), {1, 2}], {}), ([None], {}),
        ([[f"w{i}"] for i in range(65_537)], {}),
    ],
)  # fmt: skip
def test_python_objects_that_are_no_rows(data: Any, options: dict[str, Any]) -> None:
    CASES["python refused"] += 1
    with pytest.raises(InputError) as caught:
        backcast.load(data, **options)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1200


def test_labels_and_scalars_as_python_users_have_them() -> None:
    rows = [[np.float32(0.5), np.int64(2)], [np.float64(1.5)]]
    found = backcast.load(rows, torch.tensor([3, 1]), ids=torch.tensor([7, 5])).train
    assert (
        found.row(0).tolist() == [[0.5], [2.0]]
        and labels_of(found) == [3, 1]
        and found.ids.tolist() == [7, 5]
    )
    texts = backcast.load(np.array(["one", "two"]), [None, "a"]).train
    assert row_of(texts, 1) == "two" and labels_of(texts) == [None, "a"]
    big = backcast.load([[1.5]], [10**400]).train
    assert labels_of(big) == [10**400]


def test_long_tables_of_odd_types(place: Any) -> None:
    folder = place()
    nothing = float("nan")
    columns = {"id": [1, 1, 2], "time": [1, 2, 1], "v": [0.5, 1.5, 2.5]}
    unlabelled = pa.table({**columns, "label": pa.array([nothing, nothing, 2.0], from_pandas=False)})
    pq.write_table(unlabelled, folder / "a.parquet")
    assert labels_of(backcast.load(folder / "a.parquet", time="time").train) == [None, 2]
    large = pa.table({**columns, "v": pa.array([2**64 - 1, 0, 1], pa.uint64())})
    pq.write_table(large, folder / "b.parquet")
    assert backcast.load(folder / "b.parquet", time="time").train.row(0).tolist() == [[2.0**64], [0.0]]
    far = pa.table({**columns, "time": pa.array([2**60, 2**61, 2**62], pa.timestamp("s"))})
    write_arrow(folder / "c.arrow", far)
    read_or_refused(folder / "c.arrow", "odd", time="time")
    labels = pa.table({"x": [[1.5]], "label": pa.array([2**62], pa.timestamp("us"))})
    pq.write_table(labels, folder / "d.parquet")
    read_or_refused(folder / "d.parquet", "odd")
    wide = pa.table({"a": pa.array([2, 1]), "b": pa.array([1, None]), "c": pa.array([4, 3])})
    pq.write_table(wide, folder / "f.parquet")
    found = backcast.load(folder / "f.parquet", wide=True).train
    np.testing.assert_array_equal(found.row(1)[:, 0], [1, np.nan, 3])
    (folder / "two").mkdir()
    for name, unit in (("train-0", "ms"), ("train-1", "us")):
        part = pa.table({**columns, "time": pa.array([1, 2, 1], pa.timestamp(unit))})
        pq.write_table(part, folder / "two" / f"{name}.parquet")
    refused(folder / "two", "another kind", time="time")
    repeated = pa.table([[[1.5]], [[2.5]]], names=["x", "x"])
    pq.write_table(repeated, folder / "e.parquet")
    refused(folder / "e.parquet", "`x` stands twice")
    refused(write_arrow(folder / "e.arrow", repeated), "`x` stands twice")


def test_truth_values_are_0_and_1(place: Any) -> None:
    folder = place()
    columns: dict[str, Any] = {
        "id": [1, 1, 2],
        "t": [0, 1, 0],
        "v": [0.5, 1.5, 2.5],
        "on": [True, None, False],
    }
    write_json_lines(folder / "a.jsonl", columns)
    pq.write_table(pa.table(columns), folder / "a.parquet")
    for source in (folder / "a.jsonl", folder / "a.parquet", pa.table(columns)):
        found = backcast.load(source, time="t").train
        np.testing.assert_array_equal(found.row(0), [[0.5, 1], [1.5, np.nan]])
    wide = {"on": columns["on"], "v": columns["v"]}
    for source in (write_json_lines(folder / "w.jsonl", wide), pa.table(wide)):
        assert backcast.load(source, wide=True).train.row(2).tolist() == [[0], [2.5]]
    alone = pa.table({**columns, "on": [True, False, True]})
    assert backcast.load(alone, time="t", x="on").train.symbols == (0, 1)
    assert backcast.load(alone, time="t", x="on", kind="symbols").train.symbols == ("0", "1")


def test_words_before_numbers_in_a_wide_table_are_symbols_if_that_is_said(place: Any) -> None:
    path = place() / "a.csv"
    path.write_text("a,b,c\nm1,1,2\nm2,2,1\n")
    assert row_of(backcast.load(path, wide=True, kind="symbols").train, 1) == ["m2", "2", "1"]
    assert backcast.load(path, wide=True, id="a").train.ids.tolist() == ["m1", "m2"]
    path.write_text("a,b,c\nlook,buy,2\nlook,1,2\n")  # a later row may be of this kind
    assert row_of(backcast.load(path, wide=True).train, 1) == ["look", "1", "2"]


def test_blanks_behind_commas_belong_to_no_time_label_or_id(place: Any) -> None:
    path = place() / "long.csv"
    path.write_text(
        "id, time, v, label\na, 2020-01-02, 2.5, up\na , 2020-01-01 10:00:00, 1.5,\nb, 2020-01-01, 3.5, down \n"
    )
    found = backcast.load(path, time="time").train
    assert found.row(0).tolist() == [[1.5], [2.5]] and found.classes == ("down", "up")
    path = path.with_name("rows.csv")
    path.write_text("x, label, id\n1 2, 1, 7\n2 3, 0, 8\n3 4, nan, 9\n")
    assert labels_of(backcast.load(path).train) == [1, 0, None]
    assert backcast.load(path).train.ids.tolist() == [7, 8, 9]


def test_events_by_name_put_together_from_a_log(place: Any) -> None:
    path = place() / "log.csv"
    path.write_text("user,when,event\nb,2024-01-02,buy\na,2024-01-01 10:00:00,look\nb,2023-05-05,look\n")
    found = backcast.load(path, id="user", time="when").train
    assert found.ids.tolist() == ["a", "b"] and [row_of(found, i) for i in (0, 1)] == [
        ["look"],
        ["look", "buy"],
    ]


class Polars:
    """What polars' DataFrame looks like from outside: iterated over, it gives its columns."""

    def __init__(self, table: pa.Table) -> None:
        self.table, self.columns = table, table.column_names

    def __iter__(self) -> Any:
        return iter(self.table.columns)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.table.__arrow_c_stream__(requested_schema)


def test_a_frame_of_polars_is_a_table_and_not_its_columns() -> None:
    wide = Polars(pa.table({"1": [1.5, 3.5, 5.5], "2": [2.5, 4.5, 6.5]}))
    check(
        backcast.load(wide, wide=True).train,
        Data([[1.5, 2.5], [3.5, 4.5], [5.5, 6.5]], [None] * 3, None),
        what="polars",
    )
    with pytest.raises(
        InputError, match=r"there is no column `x` or `text`.*name it by x or text, say wide for"
    ):
        backcast.load(wide)

    class Column:
        def to_numpy(self) -> np.ndarray:
            return np.array([1.5, 2.5])

    check(backcast.load([Column(), [3.5]]).train, Data([[1.5, 2.5], [3.5]], [None] * 2, None), what="columns")


def test_categories_as_polars_writes_them(tmp_path: Path) -> None:
    states = pa.DictionaryArray.from_arrays(
        pa.array([1, 0], pa.uint32()), pa.array(["up", "down"], pa.string_view())
    )
    table = pa.table({"x": [[1.5, 2.5], [3.5]], "label": states})
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    check(
        backcast.load(tmp_path / "a.arrow").train,
        Data([[1.5, 2.5], [3.5]], ["down", "up"], None),
        what="arrow",
    )


def test_pandas(place: Any) -> None:
    pd = pytest.importorskip("pandas")
    rows = [pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5]}), pd.DataFrame({"a": [3], "b": [2.5]})]
    found = backcast.load(rows, ["up", "down"]).train
    check(found, Data([[[1, 0.5], [2, 1.5]], [[3, 2.5]]], ["up", "down"], None), what="pandas")
    assert found.columns == ("a", "b")
    for other, names in ((rows[0][["b", "a"]], "'b', 'a'"), ([[1, 2]], "none")):
        with pytest.raises(InputError, match=f"row 1 has the columns {names}, row 0 'a', 'b'; make all"):
            backcast.load([rows[0], other])
    frame = pd.DataFrame({"id": [2, 1], "x": [[1.5, 2.5], [3.5]], "label": ["a", None]})
    check(backcast.load(frame).train, Data([[1.5, 2.5], [3.5]], ["a", None], [2, 1]), what="pandas")
    found = backcast.load(list(frame["x"]), pd.Series(["a", pd.NA], dtype="string")).train
    assert labels_of(found) == ["a", None]
    long = pd.DataFrame(
        {"id": ["b", "a", "b"], "t": pd.to_datetime(["2020-01-02"] * 2 + ["2020-01-01"]), "v": [1, 2, 3]}
    )
    found = backcast.load(long, time="t", kind="real").train
    assert found.ids.tolist() == ["a", "b"] and found.row(1).tolist() == [[3.0], [1.0]]


# Bounded: what expands is refused before it does. Every file has a process of its own, whose memory is measured.

MEASURE = """
    import json, os, resource, signal, sys, time
    import backcast, backcast.data.sources, scipy.io.wavfile, pyarrow.parquet
    from backcast.errors import InputError
    for path, options in json.load(sys.stdin):
        if not os.fork():
            signal.alarm(100)
            before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
            try:
                outcome = f"{len(backcast.load(path, **options).train)} rows"
            except InputError as error:
                outcome = f"refused: {error}"
            except BaseException as error:
                outcome = f"{type(error).__name__}: {error}"
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
            print(json.dumps([path, outcome, grown, time.monotonic() - begun]), flush=True)
            os._exit(0)
        if os.wait()[1]:
            print(json.dumps([path, "the process died", 0, 0]), flush=True)
"""


def zeros(count: int) -> bytes:
    packer = zlib.compressobj(1, wbits=-15)
    parts = [packer.compress(bytes(1 << 20)) for _ in range(count >> 20)]
    return b"".join(parts) + packer.flush()


def write_bombs(folder: Path) -> dict[str, dict[str, Any]]:
    long = b"1 " * (20 << 20)
    (folder / "line.csv").write_bytes(b"x\n" + long + b"\n")
    (folder / "field.csv").write_bytes(b"text\n" + b"a" * (40 << 20) + b"\n")
    (folder / "header.csv").write_bytes(b",".join(b"c%d" % i for i in range(6 << 20)))
    (folder / "line.jsonl").write_bytes(b'{"x": [' + b"1," * (20 << 20) + b"1]}\n")
    (folder / "line.ts").write_bytes(b"@classLabel false\n@data\n" + b"1," * (20 << 20) + b"1\n")
    (folder / "quote.csv").write_bytes(b'text\n"' + (b"a" * 1000 + b"\n") * (40 << 10))
    (folder / "fields.csv").write_bytes(b'text\n"' + b'\n","' * (10 << 20))
    member = gzip.compress(bytes([97]) * (32 << 20), 1)
    (folder / "line.csv.gz").write_bytes(gzip.compress(b"text\n") + member * 64)
    (folder / "line.jsonl.gz").write_bytes(member * 64)
    with zipfile.ZipFile(folder / "y.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        file = io.BytesIO()
        np.save(file, np.zeros((4, 5)))
        archive.writestr("x.npy", file.getvalue())
        with archive.open("y.npy", "w", force_zip64=True) as inside:
            inside.write(
                header_of(f"{{'descr': '|i1', 'fortran_order': False, 'shape': ({400 << 20},), }}\n")
            )
            for _ in range(400):
                inside.write(bytes(1 << 20))
    for name, size in (
        ("x.npz", 3 << 30),
        ("cells.npz", 900 << 30),
    ):  # what the directory says, before it is unpacked
        (folder / name).write_bytes(false_zip("x.npy", size))
    width = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", width), (b"IDAT", zlib.compress(bytes(1 << 20))), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks
    )
    (folder / "pictures" / "cat").mkdir(parents=True)
    (folder / "pictures" / "cat" / "a.png").write_bytes(png)
    pq.write_table(pa.table({"image": [{"bytes": png}]}), folder / "picture.parquet")
    wav = bytearray(small_file("wav"))
    wav[40:44] = b"\xf0\xff\xff\xff"
    (folder / "sounds" / "cat").mkdir(parents=True)
    (folder / "sounds" / "cat" / "a.wav").write_bytes(wav)
    names = [path.name for path in sorted(folder.iterdir())]
    return {name: {"wide": True} if name == "header.csv" else {} for name in names}


def false_zip(name: str, size: int) -> bytes:
    """An archive whose directory says that 1 MB become `size` bytes, in zip64's extra field."""
    content = zeros(1 << 20)
    extra = struct.pack("<HHQ", 1, 8, size)
    tail = struct.pack("<HH", len(name), len(extra))
    common = struct.pack("<HHHHHII", 45, 0, 8, 0, 33, 0, len(content)) + b"\xff" * 4
    local = b"PK\3\4" + common + tail + name.encode() + extra + content
    central = b"PK\1\2" + struct.pack("<H", 45) + common + tail + struct.pack("<HHHII", 0, 0, 0, 0, 0)
    central += name.encode() + extra
    return local + central + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="measures processes of its own")
def test_bombs_are_refused_in_bounded_memory(place: Any) -> None:
    folder = place()
    bombs = write_bombs(folder)
    wanted = json.dumps([[str(folder / name), options] for name, options in bombs.items()])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEASURE)],
        input=wanted,
        capture_output=True,
        text=True,
        timeout=500,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(bombs), done.stderr
    for path, outcome, grown, seconds in found:
        CASES["bombs"] += 1
        print(f"{Path(path).name}: {outcome[:90]} ({grown} MB, {seconds:.1f} s)")
        assert outcome.startswith("refused: ") or (path.endswith("sounds") and outcome == "1 rows")
        assert path.rsplit("/")[-1] in outcome or outcome == "1 rows"
        assert grown < 300 and seconds < 60


def test_what_expands_is_refused_by_its_ratio(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (frames, arrays):
        monkeypatch.setattr(module, "BOMB_BYTES", 1 << 20)
    folder = place()
    rows = b"x\n" + b"1 1 1 1 1 1 1 1 1\n" * 200_000
    (folder / "a.csv.gz").write_bytes(gzip.compress(rows))
    refused(folder / "a.csv.gz", "expands more than 200 times; unpack")
    np.savez_compressed(folder / "a.npz", x=np.zeros((1000, 1000)))
    refused(folder / "a.npz", "`x` expands more than 200 times")
    np.savez(folder / "b.npz", x=np.zeros((1000, 1000)))
    valid(backcast.load(folder / "b.npz").train)


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64(), pa.int64(), pa.int8()], ids=str)
def test_a_missing_value_in_any_row_of_a_parquet_list_is_counted(tmp_path: Path, kind: pa.DataType) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"x": pa.array([[1, 2], [None, 3]], pa.list_(kind))}), path)
    rows = backcast.load(str(path), kind="real").train
    assert rows.missing == (1, 1, 0, 0)
    np.testing.assert_array_equal(rows.row(1)[:, 0], [np.nan, 3])


def test_times_of_day_in_a_ts_file_are_no_borders_of_dimensions(tmp_path: Path) -> None:
    path = tmp_path / "times.ts"
    header = "@timeStamps true\n@univariate false\n@classLabel true a b\n@data\n"
    one = "(2026-01-01 00:00:00,1.5),(2026-01-01 00:01:00,2.5)"
    path.write_text(f"{header}{one}:{one}:a\n")
    assert backcast.load(str(path)).train.row(0).tolist() == [[1.5, 1.5], [2.5, 2.5]]


def test_more_parquet_files_than_may_be_open(tmp_path: Path) -> None:
    for number in range(40):
        pq.write_table(
            pa.table({"x": [[1.0, 2.0]], "label": [number % 2]}), tmp_path / f"{number:02}.parquet"
        )
    code = (
        "import resource, sys; from backcast import load\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (30, 30)); print(len(load(sys.argv[1]).train))"
    )
    found = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert found.stdout == "40\n", found.stderr
