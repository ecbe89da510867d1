"""Rows in, rows out: arrays, files, pictures, splits, statistics."""

from __future__ import annotations

import io
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from backcast.data.forms.arrays import from_arrays
from backcast.data.preprocessing import Preprocessing
from backcast.data.sources import load
from backcast.data.splitting import split_validation
from backcast.errors import InputError
from backcast.suggestions import suggest


def write_pictures(folder: Path, name: str, train: int = 40, test: int = 10, side: int = 6) -> np.ndarray:
    """A data set in the Hub's Parquet layout; returns the training pixels (train, side, side[, 3])."""
    generator = np.random.default_rng(0)
    (folder / name).mkdir(parents=True)
    shape = (side, side) if name == "mnist" else (side, side, 3)
    kept = None
    for split, count in (("train", train), ("test", test)):
        pixels = generator.integers(0, 256, (count, *shape), dtype=np.uint8)
        kept = pixels if kept is None else kept
        cells = []
        for picture in pixels:
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "PNG")
            cells.append({"bytes": file.getvalue(), "path": None})
        labels = np.arange(count) % 10
        table = pa.table({"image": cells, "label": labels})
        pq.write_table(table, folder / name / f"{split}-00000-of-00001.parquet", row_group_size=16)
    assert kept is not None
    return kept


def write_zhang(folder: Path, train: int, classes: int = 14) -> None:
    """A data set of texts in the files of Zhang et al., class by class as theirs are; half as many test rows."""
    folder.mkdir(parents=True)
    words = "river village album school species company building film plant athlete"
    for split, rows in (("train", train), ("test", train // 2)):
        each = rows // classes
        lines = [f'{row // each + 1},"Title {row}","The {words} number {row}."' for row in range(rows)]
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_pictures_are_read_line_by_line_as_written(tmp_path: Path, name: str) -> None:
    pixels = write_pictures(tmp_path, name)
    for data_dir in (tmp_path, tmp_path / name):
        splits = load(name, data_dir=data_dir)
        assert len(splits.train) == 40 and splits.test is not None and len(splits.test) == 10
        np.testing.assert_array_equal(splits.train.row(3), pixels[3].reshape(36, -1))
        assert splits.train.labels[13] == 3 and len(splits.train.classes) == 10
    assert len(load(name, data_dir=tmp_path, limit=7).train) == 7


def test_pmnist_reads_every_row_in_one_order_that_follows_from_the_seed(tmp_path: Path) -> None:
    pixels = write_pictures(tmp_path, "mnist")
    one, same, other = (load("pmnist", data_dir=tmp_path, permutation_seed=seed) for seed in (1, 1, 2))
    found = Preprocessing.fit(one.train)
    assert (
        found.permutation
        == Preprocessing.fit(same.train).permutation
        != Preprocessing.fit(other.train).permutation
    )
    assert found.permutation_checksum == Preprocessing.from_json(found.to_json()).permutation_checksum
    batch = found.batch(one.train, np.array([3]))
    expected = (pixels[3].reshape(36)[list(found.permutation or ())] - found.mean[0]) / found.std[0]
    np.testing.assert_allclose(batch.x[0, :, 0].numpy(), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match="pmnist seed 2"):
        found.check(other.train)
    found.check(load("mnist", data_dir=tmp_path).train)  # plain rows are read in the model's order


def test_real_vectors_are_standardised_by_the_training_rows_within_their_lengths() -> None:
    x = np.random.default_rng(0).normal(3.0, 2.0, (50, 9, 2)).astype(np.float32)
    lengths = np.random.default_rng(1).integers(1, 10, 50)
    x[np.arange(9)[None] >= lengths[:, None]] = 1e6  # behind a row's end: must not matter
    rows = from_arrays(x, lengths=lengths)
    fitted = Preprocessing.fit(rows)
    batch = fitted.batch(rows, np.arange(50))
    inside = np.arange(9) < lengths[:, None]
    values = batch.x.numpy()[inside]
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(values.std(axis=0), 1, atol=1e-4)
    assert (batch.x.numpy()[~inside] == 0).all()


def test_a_constant_channel_is_left_at_zero() -> None:
    rows = from_arrays(np.full((3, 4), 7.5))
    assert (Preprocessing.fit(rows).batch(rows, np.arange(3)).x == 0).all()


def test_a_small_spread_about_a_large_mean_is_standardised() -> None:
    times = 1.6e9 + np.random.default_rng(0).normal(0, 1000, (200, 5))
    rows = from_arrays(times)
    x = Preprocessing.fit(rows).batch(rows, np.arange(200)).x.numpy()
    assert abs(x.mean()) < 1e-3 and abs(x.std() - 1) < 1e-3


def test_whole_numbers_are_symbols_unless_said_otherwise() -> None:
    x = np.array([[0, 3], [2, 1]])
    assert from_arrays(x).is_symbols and not from_arrays(x, kind="real").is_symbols
    assert (
        not from_arrays(x.astype(float)).is_symbols
        and from_arrays(x.astype(float), kind="symbols").is_symbols
    )
    assert not from_arrays(-x).is_symbols


def test_a_split_is_by_class_and_seed_and_keeps_rows_without_a_label_in_training() -> None:
    y = np.array([0] * 30 + [1] * 70 + [-1] * 20)
    rows = from_arrays(np.arange(120.0)[:, None], y, missing_label="-1")
    train, held = split_validation(rows, 0.1, seed=0)
    assert held is not None
    assert np.bincount(held.labels).tolist() == [3, 7] and len(train) == 110
    assert set(train.ids) | set(held.ids) == set(range(120)) and not set(train.ids) & set(held.ids)
    _, again = split_validation(rows, 0.1, seed=0)
    _, other = split_validation(rows, 0.1, seed=1)
    assert again is not None and other is not None
    assert (again.ids == held.ids).all() and not (other.ids == held.ids).all()
    assert split_validation(rows, 0.0, seed=0)[1] is None


def test_a_split_of_as_many_classes_as_rows_takes_memory_for_the_rows_only() -> None:
    rows = from_arrays(np.zeros((5_000, 1)), np.arange(5_000) / 2)
    tracemalloc.start()
    split_validation(rows, 0.1, seed=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000 * 1_000


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        ([3, 1, 3], (1, 3)),
        ([2.0, 1.0, 2.0], (1, 2)),
        ([1.0, 0.5, 1.0], (0.5, 1.0)),
        (["b", "a", "b"], ("a", "b")),
        ([True, False, True], (False, True)),
    ],
)
def test_labels_of_any_type_keep_their_names(y: list[object], classes: tuple[object, ...]) -> None:
    rows = from_arrays(np.zeros((3, 2)), y)
    assert rows.classes == classes and rows.labels.tolist() == [1, 0, 1]


def test_numbers_of_more_than_64_bits_are_read_as_doubles(tmp_path: Path) -> None:
    x = np.array([[0.1, 2.0], [3.0, 4.0]], np.longdouble)
    np.savez(tmp_path / "x.npz", x=x)
    for data in (x, [*x], tmp_path / "x.npz"):
        rows = load(data).train
        assert rows.values.dtype == np.float64 and rows.values[:, 0].tolist() == [0.1, 2, 3, 4]
        json.dumps(Preprocessing.fit(rows).to_json())


def test_digits_then_silence() -> None:
    splits = load("digits-silence")
    assert splits.test is not None
    assert (len(splits.train), len(splits.test)) == (1347, 450)
    row = splits.train.row(0)
    assert row.shape == (128, 1) and (row[64:] == 0).all() and 0 < row[:64].max() <= 1
    assert not set(splits.train.ids) & set(splits.test.ids)


X = np.zeros((4, 5, 2), np.float32)
NAN, INF, ZERO = X.copy(), X.copy(), np.zeros((4, 5), int)
NAN[2, 3, 1] = np.nan
INF[1, 0, 0] = np.inf


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": INF}, "row 1, step 0, channel 0 is inf"),
        ({"x": X[:0]}, "no rows"),
        ({"x": X[:, :0]}, "at least one step"),
        ({"x": X[0, 0]}, r"shape \(2,\)"),
        ({"x": np.array([["a", "b"]])}, "must hold numbers"),
        ({"x": X.astype(complex)}, "must hold numbers"),
        ({"x": X, "lengths": [1, 2, 0, 3]}, "row 2 has the length 0"),
        ({"x": X, "lengths": [1, 2, 6, 3]}, "row 2 has the length 6; it must lie between 1 and 5"),
        ({"x": X, "lengths": [1.5, 2, 3, 4]}, "lengths must be 4 whole numbers"),
        ({"x": X, "y": [0, 1]}, r"y has the shape \(2,\); there are 4 rows"),
        ({"x": X, "ids": [1, 2, 2, 4]}, "the id .*2.* stands more than once"),
        ({"x": X, "ids": [b"a", b"b", b"c", b"d"]}, "whole numbers or strings"),
        ({"x": ZERO - 1, "kind": "symbols"}, "row 0, step 0 is -1"),
        ({"x": X[:, :, 0] + 0.5, "kind": "symbols"}, "row 0, step 0 is 0.5"),
        ({"x": X, "kind": "reel"}, "^kind reel: it must be one of auto, real"),
        ({"x": X, "kind": "symbols"}, "row 0 has 2 numbers a step; symbols come one a step"),
        ({"x": X, "y": [0, 1, 0, 1], "missing_label": "no"}, "--missing-label no"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_with_row_and_step(
    arrays: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        from_arrays(**arrays, name="mine.npz")  # type: ignore[arg-type]


def test_nan_behind_a_rows_end_is_padding_and_within_it_refused_with_its_place() -> None:
    assert from_arrays(NAN, lengths=[5, 5, 3, 5]).missing is None
    with pytest.raises(
        InputError, match=r"row 2, step 3, channel 1 is missing \(1 values in all.*--fill-missing"
    ):
        Preprocessing.fit(from_arrays(NAN))


@pytest.mark.parametrize(
    ("x", "padded"),
    [
        ([[1.0, 2.0, np.nan], [3.0, np.nan, np.nan], [4.0, 5.0, 6.0]], True),
        ([[[1.0, 2.0], [np.nan, np.nan]]], True),
        ([[[1.0, 2.0], [np.nan, 3.0]]], False),
        ([[1.0, np.nan, 2.0], [3.0, 4.0, np.nan]], False),
        ([[1.0, 2.0], [np.nan, np.nan]], False),
    ],
)
def test_rows_that_nan_fills_up_are_told_of_lengths(x: list[object], padded: bool) -> None:
    rows = from_arrays(np.array(x))
    with pytest.raises(InputError, match="`lengths` in an .npz" if padded else "or fill them first"):
        Preprocessing.fit(rows)
    assert ("`lengths`" in suggest(rows, {}).reasons["fill_missing"]) == padded


def test_missing_values_are_filled_with_the_last_known_one_or_the_mean() -> None:
    x = np.array([[np.nan, 1.0, np.nan, np.nan, 3.0], [2.0, 2.0, 2.0, 2.0, np.nan]])
    rows = from_arrays(x, fill_missing=True)
    np.testing.assert_array_equal(rows.row(0)[:, 0], [np.nan, 1.0, 1.0, 1.0, 3.0])
    batch = Preprocessing.fit(rows).batch(rows, np.arange(2))
    assert batch.x[0, 0, 0] == 0 and bool(batch.x.isfinite().all())


def test_a_channel_without_any_value_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mine: channel 1 has no value in any row"):
        Preprocessing.fit(from_arrays(NAN * [1, np.nan], name="mine", fill_missing=True))
    (tmp_path / "long.csv").write_text("id,t,amps,volts\na,0,,1.5\na,1,,2\nb,0,,3\n")
    rows = load(str(tmp_path / "long.csv"), time="t", fill_missing=True).train
    with pytest.raises(InputError, match=r"long\.csv: column `amps` has no value"):
        Preprocessing.fit(rows)


@pytest.mark.parametrize("damage", ["cut", "text", "pickled", "no x", "zip"])
def test_files_that_cannot_be_read_are_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "bad.npz"
    if damage == "pickled":
        np.savez(path, x=np.array([{"run": "me"}], dtype=object))
    elif damage == "no x":
        np.savez(path, data=X)
    else:
        np.savez(path, x=X)
        content = path.read_bytes()
        path.write_bytes({"cut": content[:200], "text": b"hello", "zip": b"PK\x03\x04 hello"}[damage])
    with pytest.raises(InputError, match=r"bad\.npz"):
        load(str(path))


def test_an_array_under_nearly_the_right_name_is_refused_and_any_other_left_out(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    for wrong, right in (("length", "lengths"), ("len", "lengths"), ("Y", "y"), ("id", "ids")):
        np.savez(path, **{"x": X, wrong: np.ones(4, int)})
        with pytest.raises(InputError, match=f"mine.npz: holds an array `{wrong}`.*did you mean '{right}'"):
            load(str(path))
    np.savez(path, x=X, lengths=[5, 5, 5, 4], length=np.zeros(3), times=np.ones(4), names=["a", "b"])
    assert load(str(path)).train.lengths.tolist() == [5, 5, 5, 4]


def test_no_flipped_byte_of_a_compressed_file_is_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).normal(size=(4, 5)), y=[0, 1, 0, 1])
    content = path.read_bytes()
    refused = 0
    for place in range(0, len(content), 3):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            load(str(path))
        except InputError:
            refused += 1
    assert refused > len(content) / 6


@pytest.mark.parametrize("damage", ["cut", "column", "picture", "label", "missing"])
def test_pictures_that_cannot_be_read_are_refused(tmp_path: Path, damage: str) -> None:
    write_pictures(tmp_path, "mnist")
    path = tmp_path / "mnist" / "train-00000-of-00001.parquet"
    table = pq.read_table(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:500])
    elif damage == "missing":
        path.unlink()
    elif damage == "column":
        pq.write_table(table.rename_columns(["image", "y"]), path)
    elif damage == "label":
        pq.write_table(table.set_column(1, "label", pa.array([11] * 40)), path)
    else:
        cells = table.column("image").to_pylist()
        cells[5]["bytes"] = b"no picture"
        pq.write_table(pa.table({"image": cells, "label": table.column("label")}), path)
    with pytest.raises(InputError, match="row 5" if damage == "picture" else "mnist"):
        load("mnist", data_dir=tmp_path)
