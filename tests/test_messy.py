"""Data as they come: what must be refused, or said, rather than read as something else."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from backcast import Config, InputError, load, train
from backcast.data.forms import frames
from backcast.data.forms.cells import Pictures
from backcast.data.forms.table_rows import TableRows
from backcast.data.reading import Reading
from backcast.data.sequences import Picture
from backcast.data.store import stored
from backcast.data.store.writer import RowWriter
from backcast.evaluation import rows_for


def texts(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("some text")


SPLIT = ("train/cat/1.txt", "train/dog/2.txt", "test/cat/3.txt")


def test_a_folder_beside_the_splits_does_not_make_them_classes(tmp_path: Path) -> None:
    texts(tmp_path / "a", *SPLIT, "__MACOSX/._1.txt")
    splits = load(tmp_path / "a")
    assert splits.train.classes == ("cat", "dog") and splits.test is not None and len(splits.test) == 1
    texts(tmp_path / "b", *SPLIT, "notes/x.txt")
    with pytest.raises(InputError, match=r"test looks like a split.* and notes like a class"):
        load(tmp_path / "b")
    texts(
        tmp_path / "c",
        *(name.replace("train", "train_texts").replace("test", "test_texts") for name in SPLIT),
    )
    assert load(tmp_path / "c").train.classes == ("cat", "dog")
    texts(tmp_path / "d", "train/1.txt", "car/2.txt", "test-a/3.txt", "test-b/4.txt")
    assert load(tmp_path / "d").train.classes == ("car", "test-a", "test-b", "train")
    (tmp_path / "d" / "train" / ".checkpoints").mkdir()
    assert len(load(tmp_path / "d").train) == 4
    texts(tmp_path / "e", "train_station/1.txt", "test_bench/2.txt")
    assert load(tmp_path / "e").train.classes == ("test_bench", "train_station")
    texts(tmp_path / "f", *SPLIT)
    (tmp_path / "f" / "test" / "cat" / "3.txt").unlink()
    with pytest.raises(InputError, match="test: there are no files in it"):
        load(tmp_path / "f")


def test_masked_values_in_a_list_are_refused_as_in_an_array() -> None:
    with pytest.raises(InputError, match="x: row 0 is masked"):
        load([np.ma.array([1.5, 9999.0], mask=[0, 1])])


def test_files_whose_label_numbers_mean_other_classes_are_not_joined(tmp_path: Path) -> None:
    names = {"a": ["cat", "dog"], "b": ["dog", "cat"]}
    for file, (one, other) in names.items():
        told = f'{{"info": {{"features": {{"label": {{"names": ["{one}", "{other}"], "_type": "ClassLabel"}}}}}}}}'
        table = pa.table({"x": [[1.5, 2.0], [2.5, 3.0]], "label": [0, 1]})
        pq.write_table(
            table.replace_schema_metadata({"huggingface": told}), tmp_path / f"train-{file}.parquet"
        )
    assert len(load(tmp_path, labels=False).train) == 4
    with pytest.raises(InputError, match=r"train-b.parquet: the numbers of `label` stand for .*dog.*cat"):
        load(tmp_path)


def test_a_missing_word_is_refused(tmp_path: Path) -> None:
    wide, lists = (tmp_path / f"{name}.csv" for name in ("wide", "lists"))
    wide.write_text("a,b,c\n1,,3\n1,2,3\n")
    with pytest.raises(InputError, match="step 1 is empty"):
        load(wide, wide=True, kind="symbols")
    lists.write_text('x\n"u,,v"\n')
    with pytest.raises(InputError, match="step 1 is empty"):
        load(lists)
    with pytest.raises(InputError, match="step 1 is missing"):
        load([["a", None, "b"]])
    frame = pa.table({"id": [1, 1], "t": [0, 1], "v": [1.0, float("nan")]})
    with pytest.raises(InputError, match="the cell of `v` is empty"):
        load(frame, id="id", time="t", kind="symbols")
    assert load(pa.table({"id": [1, 1], "t": [0, 1], "v": ["a", "?"]}), id="id", time="t").train.symbols == (
        "?",
        "a",
    )


def test_a_row_of_words_may_begin_with_one_that_elsewhere_means_none(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\nview none scroll\nnone view\n? view\n")
    assert load(tmp_path / "a.csv").train.symbols == ("?", "none", "scroll", "view")
    (tmp_path / "a.csv").write_text("x\nnone 1 view\n")
    with pytest.raises(InputError, match="step 2 is 'view', not a number"):
        load(tmp_path / "a.csv")


def test_numbers_with_decimal_commas_are_no_words(tmp_path: Path) -> None:
    wide, long = tmp_path / "wide.tsv", tmp_path / "long.tsv"
    wide.write_text("a\tb\n1,5\t2,5\n2,5\t3\n")
    with pytest.raises(InputError, match="step 0 is '1,5', not a number"):
        load(wide, wide=True)
    assert load(wide, wide=True, kind="symbols").train.symbols == ("1,5", "2,5", "3")
    long.write_text("id\tt\tv\n1\t0\t2\n1\t1\t1,5\n")
    with pytest.raises(InputError, match="`v` is '1,5', not a number"):
        load(long, time="t")
    assert load(long, time="t", kind="symbols").train.symbols == ("1,5", "2")


def test_what_python_prints_is_no_list(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for printed in ("[np.float64(1.5), np.float64(2.0)]", "array([1.0, 2.0])", "tensor([1., 2.])"):
        path.write_text(f'x\n"{printed}"\n')
        with pytest.raises(InputError, match="as Python prints its objects"):
            load(path)
    path.write_text('x\n"(1.5, 2, 3)"\n"(4,)"\n')
    assert load(path).train.values[:, 0].tolist() == [1.5, 2, 3, 4]
    path.write_text('x\n"( ( a ) ( b ) )"\n"(a) (b) array( close("\n')
    rows = load(path).train  # words of their own, brackets and all
    assert rows.lengths.tolist() == [8, 4] and {"(", ")", "(a)", "array("} <= {*rows.symbols}


def test_timestamps_of_a_ts_file_may_have_blanks_and_must_ascend(tmp_path: Path) -> None:
    head = "@problemName a\n@timeStamps true\n@classLabel true a b\n@data\n"
    path = tmp_path / "a.ts"
    path.write_text(head + "(0,1.5), (1,2.5) ,(2,3.5):a\n(0,1.0),(1,2.0):b\n")
    assert load(path).train.values[:, 0].tolist() == [1.5, 2.5, 3.5, 1.0, 2.0]
    path.write_text(head + "(2026-01-01 23:00:00,1.5), (2026-01-02 01:00:00 ,2.5):a\n")
    assert load(path).train.values[:, 0].tolist() == [1.5, 2.5]
    for row, said in (
        ("(2,3.0),(0,1.0)", "step 1 is not later"),
        ("(2026-01-02 01:00:00,1.5),(2026-01-01 23:00:00,2.5)", "step 1 is not later"),
        ("(soon,1.0),(later,2.0)", "neither numbers nor dates"),
        ("(?,1.0),(1,2.0)", "neither numbers nor dates"),
        ("(0,1.0) (1,2.0)", "no list of"),
        ("(1.0),(2.0)", "no list of"),
        ("(0,1.0),(1,2.0):(0,1.0),(2,2.0)", "dimension 2 has other times"),
    ):
        path.write_text(f"{head}{row}:a\n")
        with pytest.raises(InputError, match=said):
            load(path)


def test_a_table_replaced_after_its_header_was_read_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_text("id,a,b,label\n1,1.5,100.5,x\n2,1.5,100.5,y\n")
    other.write_text("id,b,a,label\n1,100.5,1.5,x\n2,100.5,1.5,y\n")
    plain = TableRows.dtype

    def replaced(rows: TableRows) -> object:
        if other.exists():
            os.replace(other, path)
        return plain(rows)

    monkeypatch.setattr(TableRows, "dtype", replaced)
    with pytest.raises(InputError, match="was changed while it was read"):
        load(path, wide=True, x="a,b")
    assert load(path, wide=True, x="a,b").train.values[:2, 0].tolist() == [1.5, 100.5]


def test_labels_that_rotted_in_the_cache_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKCAST_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "a.csv"
    path.write_text("a,b,label\n1.5,2,x\n2.5,3,y\n")
    labels = load(path, wide=True).train.labels.tolist()
    (rows,) = (tmp_path / "cache").glob(f"*/{stored.ROWS}")
    content = bytearray(rows.read_bytes())
    place = content.index(struct.pack("<2q", *labels))
    content[place : place + 16] = struct.pack("<2q", *labels[::-1])
    rows.write_bytes(content)
    assert load(path, wide=True).train.labels.tolist() == labels


def test_a_column_is_one_thing(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,t,a,label\n1,0,1.5,0\n1,1,2.5,0\n2,0,3.5,1\n")
    for options in ({"wide": True, "x": "a,label"}, {"time": "t", "x": "a,label"}, {"time": "t", "x": "t,a"}, {"x": "a", "id": "label"}):  # fmt: skip
        with pytest.raises(InputError, match="is named twice"):
            load(path, **options)
    path.write_text("id,signal\na,1 2.5 3\nb,2 3.5 4\n")
    assert load(path, x="signal", label="id").train.classes == ("a", "b")
    path.write_text("x\n1 2.5 3\n")
    with pytest.raises(InputError, match="is named twice"):
        load(path, label="x")
    path.write_text("ID,t0,t1,label\n1,1.5,2.5,a\n2,1.5,3.5,b\n")
    with pytest.raises(InputError, match=r"is `ID` a step\?.*--id ID"):
        load(path, wide=True)
    assert load(path, wide=True, id="ID").train.lengths.tolist() == [2, 2]


def test_a_column_that_the_model_needs_is_not_guessed(tmp_path: Path) -> None:
    path, new = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_text(
        "id,t,temp,count,label\n"
        + "".join(f"{i},{t},{i + t}.5,1.5,{i % 2}\n" for i in range(8) for t in (0, 1))
    )
    new.write_text("id,t,tempo,count\n1,0,1.5,2.5\n")
    config = Config(
        data=str(path), time="t", hidden_size=4, pretrain_epochs=0, epochs=1, truncation=2, segment_length=1
    )
    model = train(config, tmp_path / "run")
    with pytest.raises(
        InputError, match=r"no column `temp`.*count; the model was trained on 'temp', 'count'$"
    ) as error:
        rows_for(model, str(new), None, {}, labels=False)
    assert "did you mean" not in str(error.value)


def test_a_link_to_nothing_is_no_missing_row(tmp_path: Path) -> None:
    texts(tmp_path, "a/1.txt", "b/2.txt")
    (tmp_path / "a" / "3.txt").symlink_to(tmp_path / "not here")
    with pytest.raises(InputError, match=r"3\.txt: is a link to a file that is not there"):
        load(tmp_path)


def test_pictures_that_would_lose_something_are_refused() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (4, 4, 4), np.uint8)
    opaque = pixels.copy()
    opaque[..., 3] = 255

    def decode(picture: Image.Image, form: str = "PNG", **more: object) -> np.ndarray:
        file = io.BytesIO()
        picture.save(file, form, **more)
        return Pictures(None).decode(file.getvalue(), "a table", "row 0")

    assert decode(Image.fromarray(opaque)).tolist() == opaque[..., :3].reshape(16, 3).tolist()
    with pytest.raises(InputError, match="transparent pixels"):
        decode(Image.fromarray(pixels))
    two = {"save_all": True, "append_images": [Image.fromarray(opaque[..., :3])]}
    assert decode(Image.fromarray(opaque[..., :3]), "MPO", **two).shape == (16, 3)
    five_six_five = struct.pack("<2sIHHIIiiHHIIiiII3IHH", b"BM", 70, 0, 0, 66, 40, 1, 1, 1, 16, 3, 4, 0, 0, 0, 0, 0xF800, 0x7E0, 0x1F, 0xF800, 0)  # fmt: skip
    assert Pictures(None).decode(five_six_five, "t", "p").tolist() == [[255, 0, 0]]
    frames = [Image.fromarray(pixels[..., i]) for i in range(3)]
    with pytest.raises(InputError, match="several frames"):
        decode(frames[0], "GIF", save_all=True, append_images=frames[1:])

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    lines = zlib.compress((b"\0" + b"\0\x64" * 12) * 4)  # 16 bits a channel, which Pillow cuts to 8
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0))
    with pytest.raises(InputError, match="more than 8 bits"):
        Pictures(None).decode(
            b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", lines) + chunk(b"IEND", b""), "t", "p"
        )


def test_bytes_that_are_texts_are_labels_and_ids_as_such() -> None:
    for kind in (pa.binary(), pa.large_binary(), pa.binary(2)):
        names = pa.array([b"up", "à".encode()], kind)
        rows = load(pa.table({"x": [[1.5], [2.5]], "label": names, "id": names})).train
        assert rows.classes == ("up", "à") and rows.ids.tolist() == ["up", "à"]
    with pytest.raises(InputError, match="a column of binary holds bytes that are no text"):
        load(pa.table({"x": [[1.5]], "label": [b"\xff"]}))


def test_a_batch_of_arrow_is_a_table_and_no_list_of_columns() -> None:
    batch = pa.record_batch({"a": [1.5, 2.5], "label": [0, 1]})
    rows = load(batch, wide=True).train
    assert rows.columns == ("a",) and rows.classes == (0, 1)


def test_a_table_is_read_some_rows_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, path = pa.table({"x": [[1.5]] * 10, "label": range(10)}), tmp_path / "a.arrow"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as out:
        out.write_table(table)  # one batch
    monkeypatch.setattr(frames, "ROWS_AT_A_TIME", 4)
    assert [frame.rows for frame in frames.open_table(path).frames(["x"])] == [4, 4, 2]
    assert load(path).train.labels.tolist() == [*range(10)]

    pending: list[int] = []
    decode, add = Pictures.decode, RowWriter.add

    def decoded(pictures: Pictures, *where: Any) -> Any:
        pending.append(0)
        return decode(pictures, *where)

    def added(writer: RowWriter, *row: Any) -> None:
        assert len(pending) == 1
        pending.clear()
        add(writer, *row)

    content = io.BytesIO()
    Image.new("L", (2, 2)).save(content, "PNG")
    pictures = pa.table({"image": [{"bytes": content.getvalue()}] * 3})
    reader = TableRows(frames.ArrowTable(pictures, "pictures"), Reading())
    monkeypatch.setattr(Pictures, "decode", decoded)
    monkeypatch.setattr(RowWriter, "add", added)
    reader.read(RowWriter(io.BytesIO(), "pictures", dtype="u1"))


def test_pictures_are_read_upright() -> None:
    content, turned = io.BytesIO(), Image.Exif()
    turned[274] = 6  # the orientation of a telephone held upright: the first line is the right border
    Image.fromarray(np.array([[0, 1, 2], [3, 4, 5]], np.uint8)).save(content, "PNG", exif=turned)
    pictures = Pictures(None)
    assert pictures.decode(content.getvalue(), "t", "row 0")[:, 0].tolist() == [3, 0, 4, 1, 5, 2]
    assert pictures.picture == Picture(3, 2)


def test_tensors_of_arrow_keep_their_channels(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 2))
    table = pa.table({"x": pa.FixedShapeTensorArray.from_numpy_ndarray(x), "label": [0, 1]})
    pq.write_table(table, tmp_path / "x.parquet")
    for data in (table, tmp_path / "x.parquet"):
        assert load(data).train.row(1).tolist() == x[1].tolist()


def test_what_another_program_saved_is_refused_with_what_to_do(tmp_path: Path) -> None:
    rows, path = "label,x\na,1 2\nb,2 3\n", tmp_path / "a.csv"
    for content, said in (
        (rows.encode("utf-16"), "line 1 holds a NUL byte; it is not text, or not saved as UTF-8"),
        (rows.replace("\n", "\r").encode(), "line 1 ends in CR alone.*save the file with LF"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=said):
            load(path)
    with pytest.raises(InputError, match=r"row 0 is no picture .* and no WAV sound"):
        load(pa.table({"audio": [{"bytes": b"fLaC", "path": "a.flac"}]}))


def test_an_empty_chunk_of_a_table_is_no_row() -> None:
    chunks = pa.chunked_array([pa.array([], pa.list_(pa.float64())), pa.array([[1.5, 2.0]])])
    assert len(load(pa.table({"x": chunks})).train) == 1
    numbers = pa.chunked_array([pa.array([], pa.int64()), pa.array([1, 1])])
    assert (
        len(load(pa.table({"id": numbers, "t": pa.array([0, 1]), "v": pa.array([1, 2])}), time="t").train)
        == 1
    )


def test_a_class_that_may_mean_none_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b,label\n1.5,2,1\n2.5,3,NA\n")
    said: list[str] = []
    assert load(path, wide=True, say=said.append).train.classes == ("1", "NA")
    assert said == [f"{path}: 'NA' is read as a class; if it means that there is none: --missing-label NA"]
    assert load(path, wide=True, missing_label="NA").train.classes == ("1",)
