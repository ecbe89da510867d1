"""What a file means does not depend on the order of its columns, on its other rows, or on what lies beside it."""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from scipy.io import wavfile

import backcast
from backcast.cli import main
from backcast.data.preprocessing import Preprocessing
from test_forms import QUICK


def write(path: Path, *rows: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n")
    return str(path)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 2
    return capsys.readouterr().err.splitlines()[-1]


def predicted(run: str, data: str, out: Path, *more: str) -> list[dict[str, str]]:
    assert main(["predict", run, data, "--out", str(out), *more]) == 0
    with out.open() as file:
        return list(csv.DictReader(file))


def test_features_are_known_by_their_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = np.random.default_rng(0)
    rows = [(i, t, round(generator.normal() + 3 * (i % 2), 3), round(generator.normal(), 3), "ab"[i % 2]) for i in range(20) for t in range(8)]  # fmt: skip
    one = write(tmp_path / "one.csv", "id,t,p,q,label", *(f"{i},{t},{p},{q},{k}" for i, t, p, q, k in rows))
    two = write(tmp_path / "two.csv", "id,t,q,p,new", *(f"{i},{t},{q},{p},9" for i, t, p, q, _ in rows))
    run = str(tmp_path / "run")
    assert main(["train", one, "--time", "t", *QUICK, "--out", run]) == 0
    assert predicted(run, one, tmp_path / "1.csv") == predicted(run, two, tmp_path / "2.csv")
    wide = write(tmp_path / "wide.csv", "s1,s2,s3,y", *("1,2,3.5,a", "2,3,4.5,b") * 10)
    other = write(tmp_path / "other.csv", "target,s1,s2,s3", "7,1,2,3.5")
    assert main(["train", wide, "--wide", "--label", "y", *QUICK, "--out", str(tmp_path / "w")]) == 0
    line = refused(capsys, "predict", str(tmp_path / "w"), other, "--out", str(tmp_path / "p.csv"))
    assert "other.csv: its columns 'target', 's1'" in line


def test_symbols_are_known_by_their_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    codes = write(tmp_path / "codes.csv", "x,label", *("007 012 100,a", "012 012 007,b") * 10)
    words = write(tmp_path / "words.csv", "x,label", *("A1 12 13,a", "12 12 A1,b") * 10)
    some = write(tmp_path / "some.csv", "x", "12 13 12", "13 13")
    for name, data, other in (("codes", codes, some), ("words", words, some)):
        run = str(tmp_path / name)
        assert (
            main(["train", data, "--kind", "auto" if name == "codes" else "symbols", *QUICK, "--out", run])
            == 0
        )
        assert main(["evaluate", run, data]) == 0
        assert "not in the" not in capsys.readouterr().err
        assert len(predicted(run, other, tmp_path / "p.csv")) == 2
    foreign = write(tmp_path / "foreign.csv", "x,label", *("foo bar,a", "bar foo,b") * 10)
    line = refused(capsys, "train", foreign, "--from", str(tmp_path / "words"), "--kind", "symbols", *QUICK, "--out", str(tmp_path / "f"))  # fmt: skip
    assert "the model knows none of its symbols ('bar', 'foo')" in line


def test_words_may_come_late_in_a_long_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "late.csv", "id,t,code", *(f"{i // 9},{i},12" for i in range(5000)), "999,1,A3")
    assert "--kind symbols reads words" in refused(capsys, "inspect", path, "--time", "t", "--no-measure")
    assert backcast.load(path, time="t", kind="symbols").train.symbols == ("12", "A3")


def test_labels_that_stand_for_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "nan.csv", "x,label", *("1.5 2,0", "2 3.5,1", "3 1.5,NaN") * 10)
    assert backcast.load(path).train.classes == (0, 1)
    assert "has no label" in refused(capsys, "train", path, *QUICK, "--out", str(tmp_path / "r"))
    full = write(tmp_path / "full.csv", "x,label", *("1.5 2,a", "2 3.5,b") * 10)
    assert main(["train", full, "--missing-label", "unkown", *QUICK, "--out", str(tmp_path / "r")]) == 0
    assert "every row has a label; none is --missing-label 'unkown'" in capsys.readouterr().err


def test_labels_that_are_not_needed_are_not_judged(tmp_path: Path) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text("\n".join(json.dumps({"x": [1.5, 2], "label": label}) for label in ("a", 3, [1])))
    assert backcast.load(path, labels=False).train.labels.tolist() == [-1, -1, -1]


def test_splits_in_python_are_read_as_train_is() -> None:
    numbers = np.arange(10).reshape(2, 5)
    splits = backcast.load({"test": numbers, "train": numbers + 0.5, "validation": numbers})
    assert {part.kind for part in (splits.train, splits.test, splits.validation) if part} == {"real"}
    splits = backcast.load({"train": numbers, "test": numbers[:1]})
    assert splits.test is not None and splits.test.kind == "integers"


def test_splits_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"{start + i},{i}.5 2 3,{'ab'[i % 2]}" for start in (0, 100) for i in range(20)]
    write(tmp_path / "own" / "train.csv", "id,x,label", *lines[:20])
    write(tmp_path / "own" / "test.csv", "id,x,label", *lines[20:])
    write(tmp_path / "own" / "validation.csv", "x,label", *("1.5 2 3,",) * 4)
    run = str(tmp_path / "run")
    assert (
        main(["train", str(tmp_path / "own"), *QUICK, "--out", run]) == 0
    )  # unlabelled rows choose no epoch
    assert "4 of them choose the epoch" in capsys.readouterr().err
    (tmp_path / "own" / "validation.csv").unlink()
    found = predicted(run, str(tmp_path / "own"), tmp_path / "p.csv", "--split", "all")
    assert [row["id"] for row in found] == [line.split(",")[0] for line in lines]
    for split in ("train", "dev", "val"):
        write(tmp_path / "twice" / split / "a" / "1.txt", "text")
    assert "are both validation" in refused(capsys, "inspect", str(tmp_path / "twice"))
    write(tmp_path / "texts" / "a" / "1.txt", "text")
    write(tmp_path / "texts" / "notes.csv", "x", "1 2")
    assert "holds the table notes.csv and the file a/1.txt" in refused(
        capsys, "inspect", str(tmp_path / "texts")
    )
    for name in "ab":
        write(tmp_path / "tables" / name / "1.csv", "x", "1 2")
    assert "a holds tables" in refused(capsys, "inspect", str(tmp_path / "tables"))


def test_an_id_in_two_files_is_refused_with_both(tmp_path: Path) -> None:
    write(tmp_path / "data" / "part1.csv", "id,x,label", "a,1.5,k", "b,2.5,l")
    write(tmp_path / "data" / "part2.csv", "id,x,label", "c,1.5,k", "b,2.5,l")
    where = "data: the id 'b' stands more than once .in part1.csv, line 3 and in part2.csv, line 3"
    with pytest.raises(backcast.InputError, match=where):
        backcast.load(tmp_path / "data")
    write(tmp_path / "data" / "part2.csv", "id,x,label", "c,1.5,k", "d,2.5,l")
    assert backcast.load(tmp_path / "data").train.name == str(tmp_path / "data")


def test_rows_that_are_left_out_do_not_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = backcast.load([[1.0, np.nan], [2.0, 3.0]] * 3).train
    assert rows.missing is not None and rows.missing.total == 3
    assert rows.cut(1).missing is None and rows.select(np.array([1, 3])).missing is None
    assert rows.select(np.array([1, 2])).missing == (1, 1, 1, 0)
    for name in "ab":
        for i in range(5):
            write(tmp_path / "texts" / name / f"{i}.txt", f"text {name}")
    few = [backcast.load(tmp_path / "texts", limit=6).train for _ in range(2)]
    assert set(few[0].labels) == {0, 1} and few[0].ids.tolist() == few[1].ids.tolist()


def test_empty_batches_of_a_table_hold_nothing(tmp_path: Path) -> None:
    table = pa.table({"id": [1, 1, 2], "t": [1, 2, 1], "v": [0.5, 1.5, 2.5]})
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as out:
        for batch in (table[:2], table[:0], table[2:]):
            out.write_batch(
                batch.combine_chunks().to_batches()[0]
                if len(batch)
                else pa.RecordBatch.from_pylist([], table.schema)
            )
    assert backcast.load(tmp_path / "a.arrow", time="t").train.lengths.tolist() == [2, 1]


def test_what_train_turned_out_to_be_the_others_are_read_as(tmp_path: Path) -> None:
    write(tmp_path / "own" / "train.csv", "x,label", *("1 2.5 3,a", "2 3 4,b") * 4)
    write(tmp_path / "own" / "validation.csv", "x,label", "1 2 3,a", "4 5 6,b")
    parts = backcast.load(str(tmp_path / "own")).parts()
    assert [part.kind for part in parts.values()] == ["real", "real"]
    more = write(tmp_path / "more.csv", "x", "7 8 9")
    run = str(tmp_path / "run")
    assert main(["train", str(tmp_path / "own"), "--unlabeled", more, *QUICK, "--out", run]) == 0


def test_numbers_may_come_behind_words(tmp_path: Path) -> None:
    words = write(tmp_path / "words.csv", "x,label", *("a b 1,yes", "b a 2,no") * 4)
    numbers = write(tmp_path / "numbers.csv", "x", "1 2 3")
    for first, *more in ((words, "--unlabeled", numbers), (numbers, "--unlabeled", words, "--epochs", "0")):
        out = str(tmp_path / Path(first).stem)
        assert main(["train", first, *QUICK, *more, "--out", out]) == 0


def test_a_label_is_the_same_with_and_without_its_fraction(tmp_path: Path) -> None:
    written = write(tmp_path / "pandas.csv", "x,label", *("1.5 2 3,0.0", "2.5 3 4,1.0", "1.5 2 2,") * 4)
    run = str(tmp_path / "run")
    assert main(["train", written, "--missing-label", "nan", *QUICK, "--out", run]) == 0
    plain = write(tmp_path / "plain.csv", "x,label", "1.5 2 3,0", "2.5 3 4,1")
    assert main(["evaluate", run, plain]) == 0
    rows = backcast.load([[1.5], [2.5], [3.5]], [0.5, 1.0, 1.5]).train
    other = backcast.load([[1.5]], [1.0]).train.relabel(rows.classes)
    assert other.labels.tolist() == [1]


def test_features_without_a_proper_name_are_found_again(tmp_path: Path) -> None:
    rows = [f"{i},{t},{i}.5,{t},{'ab'[i % 2]}" for i in range(8) for t in range(4)]
    table = write(tmp_path / "comma.csv", 'id,t,"speed, km/h",v,label', *rows)
    run = str(tmp_path / "run")
    assert main(["train", table, "--time", "t", *QUICK, "--out", run]) == 0
    assert main(["evaluate", run, table, "--split", "all"]) == 0


def test_a_model_of_arrays_reads_a_table_with_a_time(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(8, 4, 1))
    np.savez(tmp_path / "x.npz", x=x, y=np.arange(8) % 2)
    run = str(tmp_path / "run")
    assert main(["train", str(tmp_path / "x.npz"), *QUICK, "--out", run]) == 0
    table = write(
        tmp_path / "long.csv", "id,t,v,label", *(f"{i},{t},{i}.5,{i % 2}" for i in range(8) for t in range(4))
    )
    assert main(["evaluate", run, table, "--time", "t"]) == 0


def test_all_splits_of_a_folder_know_the_models_classes_and_ids_of_two_types(tmp_path: Path) -> None:
    table = write(tmp_path / "both.csv", "x,label", *(f"{i}.5 2 3,{'ab'[i % 2]}" for i in range(8)))
    run = str(tmp_path / "run")
    assert main(["train", table, *QUICK, "--out", run]) == 0
    write(tmp_path / "parts" / "train.csv", "id,x,label", *(f"{i},{i}.5 2 3,b" for i in range(4)))
    write(tmp_path / "parts" / "test.csv", "id,x,label", *(f"t{i},{i}.5 2 3,{'ab'[i % 2]}" for i in range(4)))
    assert main(["evaluate", run, str(tmp_path / "parts"), "--split", "all"]) == 0
    out = tmp_path / "p.parquet"
    assert main(["predict", run, str(tmp_path / "parts"), "--split", "all", "--out", str(out)]) == 0
    assert pq.read_table(out)["id"].to_pylist() == ["0", "1", "2", "3", "t0", "t1", "t2", "t3"]


@pytest.mark.parametrize("index", ["", "Unnamed: 0", "__index_level_0__"])
def test_an_index_is_no_feature_unless_it_is_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], index: str
) -> None:
    long = write(tmp_path / "long.csv", f"{index},id,t,v,label", "0,a,0,1.5,x", "1,b,0,2.5,y")
    wide = write(tmp_path / "wide.csv", f"{index},s0,s1,label", "0,1.5,2,x", "1,2.5,3,y")
    for data, how in ((long, ["--time", "t"]), (wide, ["--wide"])):
        assert "column 1 " in (line := refused(capsys, "inspect", data, *how)) and "--x" in line, line
    assert backcast.load(long, time="t", x="v").train.columns == ("v",)
    if index:
        assert backcast.load(wide, wide=True, x=f"{index},s0").train.columns == (index, "s0")
        assert backcast.load(wide, wide=True, id=index).train.columns == ("s0", "s1")


def test_nothing_that_is_given_is_left_out_in_silence(tmp_path: Path) -> None:
    rows = [[1.5, 2.5], [2.5, 3.5]]
    assert backcast.load({"train": rows, "dev": rows}).parts().keys() == {"train", "validation"}
    np.save(tmp_path / "x.npy", np.array(rows))
    for data, message in (
        ({"train": rows, "val": rows, "valid": rows}, "leave 'valid' out"),
        ({"train": rows, "more": rows}, "leave 'more' out"),
    ):
        with pytest.raises(backcast.InputError, match=message):
            backcast.load(data)
    for data in ({"train": rows}, tmp_path / "x.npy"):
        with pytest.raises(backcast.InputError, match="brings its labels"):
            backcast.load(data, [0, 1])
    for name in ("train", "eval", "test"):
        write(tmp_path / "splits" / f"{name}.csv", "x,label", "1 2,a")
    with pytest.raises(backcast.InputError, match="`eval` and `test` files are both test"):
        backcast.load(str(tmp_path / "splits"))


def test_what_chooses_columns_is_refused_where_there_are_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = np.random.default_rng(0).normal(size=(8, 4, 1)), np.arange(8) % 2
    np.savez(tmp_path / "new.npz", x=x, y=y, state=1 - y)
    new = str(tmp_path / "new.npz")
    write(tmp_path / "sounds" / "a" / "1.txt", "some text")
    ts = write(tmp_path / "a.ts", "@univariate true", "@classLabel true a b", "@data", "1,2:a", "3,2:b")
    for data in (new, ts, str(tmp_path / "sounds"), "digits-silence"):
        for options in (["--label", "state"], ["--time", "t"], ["--wide"], ["--no-header"]):
            assert f"{options[0]} is for tables, and this is none" in refused(
                capsys, "inspect", data, *options
            )
    for rows in (x, list(x)):
        with pytest.raises(backcast.InputError, match="x: label is for tables"):
            backcast.load(rows, label="state")
    # What a run says of its own table is nothing that was said of another file.
    rows = [f"{i},{t},{i}.5,{i % 2}" for i in range(8) for t in range(4)]
    table = write(tmp_path / "long.csv", "machine,t,v,state", *rows)
    columns, run = ["--id", "machine", "--time", "t", "--label", "state"], str(tmp_path / "run")
    assert main(["train", table, *columns, "--unlabeled", new, *QUICK, "--out", run]) == 0
    assert main(["evaluate", run, new]) == 0
    assert "--label is for tables" in refused(capsys, "evaluate", run, new, "--label", "state")


def test_two_forms_of_a_table_exclude_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.csv", "id,t,v,label", "0,0,1.5,x", "1,0,2.5,y")
    for options in (["--wide", "--time", "t"], ["--wide", "--text", "v"], ["--time", "t", "--text", "v"]):
        assert "exclude each other" in refused(capsys, "inspect", path, *options)
    with pytest.raises(backcast.InputError, match="--wide and --time exclude each other"):
        backcast.load(path, wide=True, time="t")


def test_files_of_any_ending_are_texts_if_that_is_said(tmp_path: Path) -> None:
    for name, text in (("a/1.log", "größer"), ("a/2.txt", "plain"), ("b/3", "{}"), ("b/4.json", "[1]")):
        write(tmp_path / "logs" / name, text)
    rows = backcast.load(tmp_path / "logs", kind="characters").train
    assert rows.kind == "characters" and rows.lengths.tolist() == [7, 6, 3, 4] and rows.classes == ("a", "b")
    (tmp_path / "logs" / "b" / "5.bin").write_bytes(b"\xff\xfe")
    with pytest.raises(backcast.InputError, match=r"5\.bin: byte 0 is not UTF-8"):
        backcast.load(tmp_path / "logs", kind="characters")
    with pytest.raises(backcast.InputError, match=r"2\.txt: is of another kind than .*--kind characters"):
        backcast.load(tmp_path / "logs")
    write(tmp_path / "other" / "1.log", "text")
    with pytest.raises(backcast.InputError, match=r"1\.log holds raw bytes.* --kind characters reads"):
        backcast.load(tmp_path / "other", kind="real")


def test_links_to_folders_are_followed_and_not_in_circles(tmp_path: Path) -> None:
    for name in ("data/a", "data/c", "real"):
        write(tmp_path / name / "1.txt", name)
    (tmp_path / "data" / "b").symlink_to(tmp_path / "real")
    (tmp_path / "data" / "c" / "up").symlink_to(tmp_path / "data")
    rows = backcast.load(str(tmp_path / "data")).train
    assert rows.classes == ("a", "b", "c") and len(rows) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' names are text")
def test_a_name_that_is_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "data" / "a" / "1.txt", "text")
    (tmp_path / "data" / "a" / os.fsdecode(b"\xff.txt")).write_text("text")
    assert "its name is not UTF-8" in refused(capsys, "inspect", str(tmp_path / "data"))


def test_sounds_of_two_formats_are_not_mixed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name, samples in (("1", np.ones(9, np.float32)), ("2", np.ones(9, np.int16))):
        wavfile.write(tmp_path / "data" / f"{name}.wav", 8000, samples)
    with pytest.raises(backcast.InputError, match=r"2\.wav has samples of int16, those before it of float32"):
        backcast.load(str(tmp_path / "data"))


def test_a_number_that_has_no_spread(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = write(tmp_path / "huge.csv", "x,label", *("1.5 2 3,a", "2.5 1.7e308 4,b") * 4)
    assert "channel 0 holds numbers too large" in refused(
        capsys, "train", table, *QUICK, "--out", str(tmp_path / "run")
    )


def test_a_missing_value_is_found_by_id_and_column(tmp_path: Path) -> None:
    long = write(tmp_path / "long.csv", "id,t,v,w", "b,0,1.5,2", "b,1,,2", "a,0,2.5,")
    wide = write(tmp_path / "wide.csv", "id,s0,s1,s2", "7,1.5,2,3", "9,2.5,?,4")
    for rows, place in (
        (backcast.load(long, time="t").train, "the sequence 'a', step 0, column `w`"),
        (backcast.load(long, time="t", x="v").train, "the sequence 'b', step 1, column `v`"),
        (backcast.load(wide, wide=True).train, "the sequence 9, column `s1`"),
        (backcast.load([[1.5], [np.nan, 2.5]]).train, "row 1, step 0, channel 0"),
    ):
        with pytest.raises(backcast.InputError, match=f"{place} is missing"):
            Preprocessing.fit(rows)


def test_the_hubs_class_names_in_a_long_table(tmp_path: Path) -> None:
    table = pa.table({"id": [0, 0, 1, 1], "t": [0, 1, 0, 1], "v": [0.5, 1, 2, 3], "label": [0, 0, 1, 1]})
    features = {"info": {"features": {"label": {"names": ["neg", "pos"]}}}}
    table = table.replace_schema_metadata({b"huggingface": json.dumps(features).encode()})
    pq.write_table(table, tmp_path / "long.parquet")
    assert backcast.load(tmp_path / "long.parquet", time="t").train.classes == ("neg", "pos")


def test_labels_beyond_64_bits_and_spans_of_time(tmp_path: Path) -> None:
    rows = write(tmp_path / "wide.csv", "x,label", *(f"{i}.5 2 3,{i % 2 + 2**70}" for i in range(8)))
    table = pa.table({"x": [[float(i), 2.5] for i in range(8)], "label": [2.0**70, 2.0**71] * 4})
    pq.write_table(table, tmp_path / "wide.parquet")
    for data in (rows, str(tmp_path / "wide.parquet")):
        run, out = str(tmp_path / Path(data).suffix), tmp_path / "out.parquet"
        assert main(["train", data, *QUICK, "--out", run]) == 0
        assert main(["predict", run, data, "--out", str(out)]) == 0
        assert {*pq.read_table(out)["prediction"].to_pylist()} <= {*map(str, (2**70, 2**70 + 1, 2**71))}
    spans = pa.array([(1, 2, 3), (4, 5, 6)], pa.month_day_nano_interval())
    assert len(backcast.load(pa.table({"x": [[1.5], [2.5]], "label": spans})).train.classes) == 2
    with pytest.raises(backcast.InputError, match="the DataFrame cannot be read"):
        backcast.load(pd.DataFrame({"x": [2**70]}), wide=True)
