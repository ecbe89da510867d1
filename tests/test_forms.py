"""The same rows in every form give the same predictions."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backcast.cli import main

Rows = list[np.ndarray]
QUICK = ["--hidden-size", "8", "--embedding-size", "4", "--feedforward-size", "8", "--truncation", "6", "--segment-length", "4",
         "--anchors", "2", "--pretrain-epochs", "2", "--epochs", "10", "--learning-rate", "0.03", "--batch-size", "8", "--device", "cpu", "--validation", "0.2"]  # fmt: skip


def made(seed: int, count: int = 40) -> tuple[Rows, list[int]]:
    """Ragged rows of two channels, two classes."""
    generator = np.random.default_rng(seed)
    labels = [i % 2 for i in range(count)]
    lengths = generator.integers(5, 15, count)
    rows = [
        (generator.normal(size=(n, 2)) + label).astype(np.float32)
        for n, label in zip(lengths, labels, strict=True)
    ]
    return rows, labels


def write_npz(path: Path, rows: Rows, labels: list[int]) -> list[str]:
    longest = max(map(len, rows))
    x = np.stack([np.pad(row, ((0, longest - len(row)), (0, 0))) for row in rows])
    np.savez(path, x=x, y=labels, lengths=[len(row) for row in rows])
    return []


def table(rows: Rows, labels: list[int]) -> dict[str, list[object]]:
    return {
        "id": list(range(len(rows))),
        "a": [row[:, 0].tolist() for row in rows],
        "b": [row[:, 1].tolist() for row in rows],
        "label": list(labels),
    }


def write_parquet(path: Path, rows: Rows, labels: list[int]) -> list[str]:
    found = table(rows, labels)
    lists = {name: pa.array(found[name], pa.list_(pa.float32())) for name in ("a", "b")}
    pq.write_table(pa.table({**found, **lists}), path)
    return ["--x", "a,b"]


def write_jsonl(path: Path, rows: Rows, labels: list[int]) -> list[str]:
    lines = [json.dumps({"x": row.tolist(), "label": label}) for row, label in zip(rows, labels, strict=True)]
    path.write_text("\n".join(lines))
    return []


def write_csv(path: Path, rows: Rows, labels: list[int]) -> list[str]:
    found = table(rows, labels)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(found)
        for cells in zip(*found.values(), strict=True):
            out.writerow([" ".join(map(str, cell)) if isinstance(cell, list) else cell for cell in cells])
    return ["--x", "a,b"]


def write_ts(path: Path, rows: Rows, labels: list[int]) -> list[str]:
    lines = ["@problemName made", "@univariate false", "@dimensions 2", "@equalLength false", "@classLabel true 0 1", "@data"]  # fmt: skip
    for row, label in zip(rows, labels, strict=True):
        lines.append(":".join([*(",".join(map(str, row[:, i].tolist())) for i in range(2)), str(label)]))
    path.write_text("\n".join(lines))
    return []


def write_long(path: Path, rows: Rows, labels: list[int]) -> list[str]:
    steps = [
        (i, t, *row[t].tolist(), label)
        for i, (row, label) in enumerate(zip(rows, labels, strict=True))
        for t in range(len(row))
    ]
    order = np.random.default_rng(0).permutation(len(steps))
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["series", "when", "a", "b", "label"])
        out.writerows(steps[i] for i in order)
    return ["--id", "series", "--time", "when"]


WRITERS: dict[str, tuple[str, Callable[[Path, Rows, list[int]], list[str]]]] = {
    "parquet": (".parquet", write_parquet),
    "json lines": (".jsonl", write_jsonl),
    "csv": (".csv", write_csv),
    "ts": (".ts", write_ts),
    "long csv": (".csv", write_long),
}


def predictions(folder: Path, suffix: str, write: Callable[[Path, Rows, list[int]], list[str]]) -> np.ndarray:
    """Train, evaluate, predict by the command: the probabilities of the second class."""
    folder.mkdir()
    options = write(folder / f"train{suffix}", *made(0))
    write(folder / f"test{suffix}", *made(1, 13))
    assert (
        main(["train", str(folder / f"train{suffix}"), *QUICK, *options, "--out", str(folder / "run")]) == 0
    )
    assert (
        main(
            ["evaluate", str(folder / "run"), str(folder / f"test{suffix}"), "--json", str(folder / "e.json")]
        )
        == 0
    )
    assert (
        main(["predict", str(folder / "run"), str(folder / f"test{suffix}"), "--out", str(folder / "p.csv")])
        == 0
    )
    with (folder / "p.csv").open() as file:
        found = list(csv.DictReader(file))
    assert [row["id"] for row in found] == [str(i) for i in range(13)]
    assert json.loads((folder / "e.json").read_text())["rows"] == 13
    return np.array([float(row["p_1"]) for row in found])


@pytest.fixture(scope="module")
def from_npz(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    return predictions(tmp_path_factory.mktemp("forms") / "npz", ".npz", write_npz)


@pytest.mark.parametrize("form", WRITERS)
def test_every_form_gives_the_same_predictions(form: str, from_npz: np.ndarray, tmp_path: Path) -> None:
    assert from_npz.std() > 0.05  # the network has learned something to compare
    np.testing.assert_allclose(predictions(tmp_path / "here", *WRITERS[form]), from_npz, atol=1e-3)


def test_rows_to_predict_need_no_labels(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("events,bought\n" + "a b c,yes\nb c d a,no\n" * 10)
    (tmp_path / "new.csv").write_text("events\na b\nc d e\n")
    run = str(tmp_path / "run")
    columns = ["--x", "events", "--label", "bought"]
    assert main(["train", str(tmp_path / "train.csv"), *QUICK, *columns, "--out", run]) == 0
    assert main(["predict", run, str(tmp_path / "new.csv"), "--out", str(tmp_path / "p.jsonl")]) == 0
    found = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert [row["id"] for row in found] == [0, 1] and {row["prediction"] for row in found} <= {"yes", "no"}
    assert main(["evaluate", run, str(tmp_path / "new.csv")]) == 2
