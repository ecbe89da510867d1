"""`backcast inspect` and `backcast cache`, as they are called."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib import rc_context

from backcast.cli import main
from backcast.data import preprocessing
from backcast.data.forms.arrays import from_arrays
from backcast.data.preprocessing import pieces
from backcast.data.sequences import Picture, Sequences
from backcast.rows_figure import examples, write_figure
from test_data import write_pictures


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BACKCAST_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


def told(capsys: pytest.CaptureFixture[str], *words: object) -> list[str]:
    capsys.readouterr()
    assert main([str(word) for word in words]) == 0
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def write_long(path: Path, classes: int = 3, rows: int = 30) -> Path:
    """A ragged table of three channels; the first class is the commonest; one value and one label are missing."""
    generator = np.random.default_rng(0)
    lines = ["id,time,a,b,c,kind of row"]
    for i in range(rows):
        label = "" if i == 7 else f"k{max(0, i - rows + classes)}"
        for t in range(5 + i):
            a, b, c = generator.normal(size=3)
            lines.append(f"{i},{t},{a:.3f},{100 * b:.3f},{'' if (i, t) == (4, 2) else f'{c:.3f}'},{label}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_every_part_is_told_and_the_line_it_ends_with_trains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_long(tmp_path / "my rows.csv")
    lines = told(capsys, "inspect", data, "--time", "time", "--label", "kind of row")
    for wanted in ("rows 30", "elements real vectors of 3 channels", "columns a, b, c", "lengths 5 to 34 steps, median 20",
                   "classes 3 in all; k0: 27 (93.1 %), k1: 1 (3.4 %), k2: 1 (3.4 %)", "unlabelled 1 row",
                   "missing 1 value; the first in row 4, step 2, column `c`",
                   "--truncation 300 the default; no row is longer, so every step carries the gradient",
                   "--class-weights balanced the largest class has 27.0 times the rows of the smallest"):  # fmt: skip
        assert wanted in lines, wanted
    assert sum("#" in line for line in lines) <= 8
    assert any(line.startswith("a step ") and "forward and backward" in line for line in lines)
    assert any(line.startswith("memory ") and "MB kept for the backward pass" in line for line in lines)
    words, alone = ([*shlex.split(line)] for line in (lines[-3], lines[-1]))
    assert words[:3] == alone[:3] == ["backcast", "train", str(data)]
    assert (
        "--anchors" in words
        and "--anchors" not in alone
        and alone[-4:] == ["--method", "lstm", "--epochs", "60"]
        and alone[alone.index("--truncation") + 1] == "none"  # as no row is long
    )
    assert words[words.index("--missing-label") + 1] == "" and "--fill-missing" in words
    toy = ["--epochs", "1", "--pretrain-epochs", "1", "--hidden-size", "4", "--device", "cpu"]
    assert main([*words[1:], *toy]) == main([*alone[1:], *toy]) == 0


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize("labels", [True, False])
def test_values_missing_outside_of_the_training_rows_are_refused_before_training_and_told_by_inspect(
    split: str, labels: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = np.random.default_rng(0)
    (tmp_path / "data").mkdir()
    for name in ("train", "validation", "test"):
        x = generator.normal(size=(12, 5))
        x[3, 2] = np.nan if name == split else 0.0
        np.savez(tmp_path / "data" / f"{name}.npz", x=x, **({"y": np.arange(12) % 2} if labels else {}))
    toy = ["--pretrain-epochs", "1", "--hidden-size", "4", "--device", "cpu", "--out", str(tmp_path / "run")]
    toy += ["--epochs", str(int(labels))]
    assert main(["train", str(tmp_path / "data"), *toy]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"{split}.npz: row 3, step 2, channel 0 is missing" in said and "--fill-missing" in said
    assert not (tmp_path / "run").exists()
    lines = told(capsys, "inspect", tmp_path / "data", "--no-measure")
    words = shlex.split(lines[-1 if not labels else -3])
    assert "--fill-missing" in words and main([*words[1:], *toy]) == 0
    assert main(["report", str(tmp_path / "run")]) == 0


def test_unlabelled_rows_get_a_line_that_pretrains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "-mine.npy", np.random.default_rng(0).integers(0, 9, (20, 400)))
    lines = told(capsys, "inspect", "./-mine.npy", "--missing-label=-1")
    assert "classes none" in lines
    assert "elements whole numbers as symbols; --kind real reads them as numbers" in lines
    given = told(capsys, "inspect", "./-mine.npy", "--kind", "symbols", "--no-measure")
    assert "elements whole numbers as symbols" in given
    assert any(line.startswith("symbols 9 different; the commonest: ") for line in lines)
    assert any(line.startswith("measured: r-lstm, pretraining phase") for line in lines)
    assert any(line.endswith("longer rows would need no more") for line in lines)
    assert lines[-1] == (
        "backcast train ./-mine.npy --missing-label=-1 --truncation 300 --anchors 4 --segment-length 100 --epochs 0"
    )
    assert main([*shlex.split(lines[-1])[1:], "--pretrain-epochs", "1", "--hidden-size", "4"]) == 0


def test_splits_are_told_one_by_one_and_measuring_can_be_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(tmp_path, "mnist")
    lines = told(capsys, "inspect", "pmnist", "--data-dir", tmp_path, "--permutation-seed", 3, "--no-measure")
    assert {"pmnist, train", "pmnist, test", "rows 40", "rows 10", "lengths 36 steps each"} <= set(lines)
    assert "order pmnist seed 3: all rows are read in this one random order" in lines
    assert "picture 6 × 6" in lines, "not line by line"
    plain = told(capsys, "inspect", "mnist", "--data-dir", tmp_path, "--no-measure")
    assert "picture 6 × 6, read line by line" in plain
    assert not any(line.startswith("measured") for line in lines)
    (tmp_path / "two").mkdir()
    for split, labels in (("train", "ab"), ("test", "abc")):
        texts = "".join(f"some {label} text,{label}\n" for label in labels)
        (tmp_path / "two" / f"{split}.csv").write_text("text,label\n" + texts)
    lines = told(capsys, "inspect", "two", "--no-measure")
    assert "classes that the training rows have not: c" in lines


def test_many_classes_and_a_constant_channel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("many.npz", x=np.stack([np.ones((60, 4)), np.tile([-1.0, 1.0], (60, 2))], axis=2), y=range(60))
    lines = told(capsys, "inspect", "many.npz", "--no-measure")
    assert any("… and 40 more" in line for line in lines)
    assert any(line.startswith("note every class has one row: is that the label column?") for line in lines)
    assert "values mean ± std of each channel: 1 ± 0, 0 ± 1" in lines


def test_constant_channels_are_found_in_one_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []

    def counted(rows: Sequences) -> Iterator[np.ndarray]:
        passes.append(rows)
        return pieces(rows)

    monkeypatch.setattr(preprocessing, "pieces", counted)
    np.save(tmp_path / "constant.npy", np.ones((20, 4, 12)))
    lines = told(capsys, "inspect", "constant.npy", "--no-measure")
    assert any("1 ± 0, 1 ± 0" in line for line in lines) and "… and 4 more" in " ".join(lines)
    assert len(passes) == 3, "one besides those for mean and spread"


def test_names_with_escape_codes_do_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"{i},{t},1,{t},\x1b[31m{i % 2}" for i in range(4) for t in range(3)]
    (tmp_path / "rows.csv").write_text("\n".join(["id,t,\x1b[1mx,y,label", *lines]) + "\n")
    text = " ".join(told(capsys, "inspect", "rows.csv", "--time", "t", "--no-measure"))
    assert r"\x1b[31m0: 2 (50.0 %)" in text and r"columns \x1b[1mx, y" in text and "\x1b" not in text


def test_a_picture_of_a_few_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(**arguments: object) -> None:
        raise OSError(30, "Read-only file system")

    data = write_long(tmp_path / "rows.csv")
    for ending in ("png", "pdf", "svg"):
        told(
            capsys,
            "inspect",
            data,
            "--time",
            "time",
            "--x",
            "a,b,c",
            "--no-measure",
            "--out",
            f"rows.{ending}",
        )
        assert (tmp_path / f"rows.{ending}").stat().st_size > 5_000
    monkeypatch.setattr("tempfile.TemporaryFile", read_only)
    for out, message in (("rows.gif", ".png, .pdf, .svg"), ("nowhere/rows.png", "there is no folder"),
                         ("rows.png", "cannot be written: Read-only file system")):  # fmt: skip
        assert main(["inspect", "no such data", "--out", out]) == 2  # before it looks for the data
        assert message in capsys.readouterr().err


def test_rows_of_every_kind_can_be_drawn(tmp_path: Path) -> None:
    from dataclasses import replace

    from backcast.data.forms.python_objects import from_python
    from backcast.data.reading import Reading

    generator = np.random.default_rng(0)
    grey = from_arrays(generator.integers(0, 256, (9, 12)).astype(float), np.arange(9))
    long = generator.normal(size=(2, 9000, 10))
    long[:, :, 3] = np.nan
    texts = ["a $b$ and \t 日本語 \0 " * 99, "c"]
    kinds = {
        "picture": replace(grey, picture=Picture(3, 4)),
        "cut": replace(grey, picture=Picture(3, 4)).cut(7),
        "colours": replace(from_arrays(generator.random((2, 12, 3))), picture=Picture(3, 4)),
        "long": from_arrays(long, ["one", "two"], fill_missing=True),
        "step": from_arrays(generator.random((1, 1))),
        "text": from_python(texts, Reading(), None, None).train,
        "bytes": from_python(texts, Reading(kind="bytes"), None, None).train,
        "words": from_python([["a", "b"], ["c"]], Reading(), None, None).train,
        "numbers": from_arrays(generator.integers(0, 99, (3, 5000))),
    }
    for name, rows in kinds.items():
        write_figure(tmp_path / f"{name}.png", rows)
        assert (tmp_path / f"{name}.png").stat().st_size > 1_000, name
    assert examples(grey) == [0, 1, 2, 3, 4, 5] and examples(kinds["words"]) == [0, 1]


def test_long_and_odd_names_stay_apart_in_a_picture(tmp_path: Path) -> None:
    from dataclasses import replace

    def texts(rows: Sequences) -> str:
        with rc_context({"svg.fonttype": "none"}):
            write_figure(tmp_path / "rows.svg", rows)
        return (tmp_path / "rows.svg").read_text()

    generator = np.random.default_rng(0)
    rows = from_arrays(generator.normal(size=(2, 9, 2)), [f"{'n' * 70}{end}" for end in "xy"])
    rows = replace(rows, columns=("_speed", "heat\x1b"), ids=np.array(["i" * 99, "short"]))
    drawn = texts(rows)
    assert f"{'n' * 30}…{'n' * 28}x    (row iiiiiiiiii…iiiiiiiii, 9 steps)" in drawn
    assert "> _speed<" in drawn and r"heat\x1b" in drawn and "channel 0" not in drawn
    names = [f"a word that is long {end}" for end in "xy"]
    drawn = texts(replace(from_arrays(generator.integers(0, 2, (2, 9))), symbols=tuple(names)))
    assert ">a word tha…is long x<" in drawn and ">a word tha…is long y<" in drawn


def test_the_cache_is_listed_and_cleaned(npz: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "cache") == [f"0 imports, 0.0 MB in {cache}"]
    assert told(capsys, "cache", "--clean") == ["removed 0 imports, 0.0 MB"]
    told(capsys, "inspect", npz, "--no-measure")
    told(capsys, "inspect", npz, "--no-measure", "--fill-missing")
    first, second, total = told(capsys, "cache")
    assert first.startswith("60 rows ") and first.endswith(str(npz)) and "used 20" in second
    assert total.startswith("2 imports, 0.0 MB")
    (old, _) = cache.glob("*/meta.json")
    os.utime(old, (time.time() - 8 * 86_400,) * 2)
    (cache / f"{'0' * 32}.part-1").mkdir()
    assert told(capsys, "cache", "--clean", "--older-than", "7") == [
        "removed 1 import and 1 cut short, 0.0 MB"
    ]
    assert len(told(capsys, "cache")) == 2
    assert told(capsys, "cache", "--clean")[0].startswith("removed 1 import, ")
    assert not list(cache.glob("*.*"))
    for wrong in (["--older-than", "7"], ["--clean", "--older-than", "-1"]):
        assert main(["cache", *wrong]) == 2
