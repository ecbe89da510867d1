"""The command as its user meets it: what it prints, what it writes, how it refuses."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import backcast
from backcast.cli import main
from backcast.config import FIELDS, Config, flag
from backcast.data.reading import Reading
from backcast.errors import InputError
from backcast.trainer import Interrupted
from test_data import write_pictures

QUICK = [
    "--hidden-size", "6", "--embedding-size", "4", "--feedforward-size", "8", "--truncation", "4",
    "--segment-length", "4", "--anchors", "2", "--pretrain-epochs", "1", "--epochs", "2", "--device", "cpu",
]  # fmt: skip


def snapshot(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def refuse(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Runs a command that must fail with status 2 and one line; returns the line."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("backcast: ") and captured.err.count("\n") == 1
    return captured.err


@pytest.fixture
def run(npz: Path, tmp_path: Path) -> Path:
    assert main(["train", str(npz), *QUICK, "--out", str(tmp_path / "run")]) == 0
    return tmp_path / "run"


def test_what_to_do_next_is_never_to_measure_on_the_training_rows(
    npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(npz), *QUICK, "--out", str(tmp_path / "run")]) == 0
    assert f"next: backcast evaluate {tmp_path / 'run'} ROWS-IT-HAS-NOT-SEEN" in capsys.readouterr().out
    folder = tmp_path / "one"
    for row in range(8):
        (folder / "ab"[row % 2]).mkdir(parents=True, exist_ok=True)
        (folder / "ab"[row % 2] / f"{row}.txt").write_text("abcab" * (1 + row % 3))
    for part in ("train", "test"):
        shutil.copytree(folder, tmp_path / "two" / part)
    for data, wanted in ((folder, "ROWS-IT-HAS-NOT-SEEN"), (tmp_path / "two", str(tmp_path / "two"))):
        out = tmp_path / f"run-{data.name}"
        assert main(["train", str(data), *QUICK, "--out", str(out)]) == 0
        assert f"next: backcast evaluate {out} {wanted}, backcast report" in capsys.readouterr().out
    np.savez(tmp_path / "new.npz", **np.load(npz))
    assert main(["evaluate", str(tmp_path / "run"), str(tmp_path / "new.npz")]) == 0
    assert "was trained on" not in capsys.readouterr().err


def test_commands_to_paste_are_quoted(
    npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train = ["train", str(npz), *QUICK, "--out", str(tmp_path / "my run")]
    assert main(train) == 0
    following = capsys.readouterr().out.split("next: ")[1]
    assert f"backcast evaluate '{tmp_path / 'my run'}' ROWS" in following
    assert f"backcast report '{tmp_path / 'my run'}'" in following

    def stopped(*given: object, **more: object) -> None:
        raise Interrupted

    monkeypatch.setattr("backcast.run.train", stopped)
    assert main([*train, "--overwrite"]) == 1
    assert f"go on with: backcast train --resume --out '{tmp_path / 'my run'}'" in capsys.readouterr().err


def test_train_evaluate_predict_on_arrays_of_ones_own(
    run: Path, npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run), str(npz), "--json", str(tmp_path / "e.json")]) == 0
    said = capsys.readouterr()
    line = said.out.splitlines()[-1]
    assert "was trained on these rows" in said.err
    result = json.loads((tmp_path / "e.json").read_text())
    assert line.startswith(f"accuracy {result['accuracy']:.4f} (") and result["rows"] == 60

    for name in ("p.csv", "p.jsonl", "p.parquet"):
        assert main(["predict", str(run), str(npz), "--out", str(tmp_path / name)]) == 0
    with (tmp_path / "p.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", "prediction", "p_0", "p_1"]
    assert [row["id"] for row in rows] == [f"row-{i}" for i in range(60)]
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert pq.read_table(tmp_path / "p.parquet").to_pylist() == lines
    for row, other in zip(rows, lines, strict=True):
        assert int(row["prediction"]) == other["prediction"] == int(other["p_1"] > other["p_0"])
        assert abs(float(row["p_1"]) - other["p_1"]) < 1e-6 and abs(other["p_0"] + other["p_1"] - 1) < 1e-6
    y = np.load(npz)["y"]
    correct = sum(int(row["prediction"]) == label for row, label in zip(rows, y, strict=True))
    assert correct == result["correct"]
    assert backcast.load_model(run).predict(backcast.load(npz).train) == [
        int(row["prediction"]) for row in rows
    ]


def test_one_row_is_not_called_rows(
    run: Path, npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "one.npz", x=np.zeros((1, 5, 2)), y=[1])
    capsys.readouterr()
    assert main(["evaluate", str(run), str(tmp_path / "one.npz")]) == 0
    assert main(["predict", str(run), str(tmp_path / "one.npz"), "--out", str(tmp_path / "p.csv")]) == 0
    evaluated, predicted = capsys.readouterr().out.splitlines()
    assert " of 1 row, " in evaluated and predicted.startswith("1 row (")


def test_predictions_do_not_depend_on_what_else_is_in_the_batch(run: Path, npz: Path, tmp_path: Path) -> None:
    found = []
    for size in ("1", "7", "256"):
        path = tmp_path / f"{size}.jsonl"
        main(["predict", str(run), str(npz), "--out", str(path), "--batch-size", size])
        found.append([json.loads(line)["p_1"] for line in path.read_text().splitlines()])
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    np.testing.assert_allclose(found[0], found[2], atol=1e-5)


def test_the_folder_of_the_model_alone_is_enough_to_predict(run: Path, npz: Path, tmp_path: Path) -> None:
    (run / "model").rename(tmp_path / "only")
    assert main(["predict", str(tmp_path / "only"), str(npz), "--out", str(tmp_path / "p.csv")]) == 0


def test_pictures_from_a_local_copy_by_the_papers_preset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(tmp_path, "mnist")
    quick = [*QUICK, "--data-dir", str(tmp_path), "--batch-size", "8"]
    for data in ("mnist", "pmnist"):
        out = tmp_path / data
        assert main(["train", data, "--preset", f"paper/{data}", *quick, "--out", str(out)]) == 0
        assert "last epoch" in capsys.readouterr().out  # the paper holds nothing out
        assert main(["evaluate", str(out), data, "--data-dir", str(tmp_path)]) == 0
        assert f"of 10 rows, {data}, test)" in capsys.readouterr().out
    assert (
        main(["evaluate", str(tmp_path / "mnist"), "mnist", "--data-dir", str(tmp_path), "--split", "all"])
        == 0
    )
    assert "of 50 rows" in capsys.readouterr().out
    line = refuse(["evaluate", str(tmp_path / "mnist"), "pmnist", "--data-dir", str(tmp_path)], capsys)
    assert "trained on the plain order" in line


def test_settings_are_what_they_say_whatever_wrote_them() -> None:
    assert Config(seed=2**53 + 1).seed == 2**53 + 1 and Config(seed=5.0).seed == 5
    assert Config(x=["celsius", "ampere"]).x == "celsius,ampere"
    assert Reading(x=["celsius", "ampere"]).x == "celsius,ampere"  # as `load(…, x=[…])` passes it
    assert Config(device=torch.device("cpu")).device == "cpu"
    assert Config(missing_label=-1).missing_label == "-1" and Config(data=Path("a.csv")).data == "a.csv"
    for wrong in ({"seed": 0.5}, {"label": ["a"]}, {"text": {"a": 1}}):
        with pytest.raises(InputError):
            Config(**wrong)


def test_settings_come_from_preset_then_file_then_flags(npz: Path, tmp_path: Path) -> None:
    from backcast.run import read_config

    (tmp_path / "c.yaml").write_text(
        f"data: {npz}\nepochs: 3\nhidden-size: 5\nhalve_at: [1, 2]\ntruncation: none\n"
    )
    arguments = [
        "train",
        "--preset",
        "paper/mnist",
        "--config",
        str(tmp_path / "c.yaml"),
        *QUICK[2:],
        "--epochs",
        "1",
    ]
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 0
    config = read_config(tmp_path / "run")
    assert (config.data, config.hidden_size, config.epochs) == (str(npz), 5, 1)
    assert (config.decoder_input, config.optimizer, config.batch_size) == ("scheduled", "rmsprop", 128)
    assert config.halve_at == (1, 2) and config.truncation == 4
    assert (
        main(["train", "--config", str(tmp_path / "run" / "config.yaml"), "--out", str(tmp_path / "again")])
        == 0
    )
    assert read_config(tmp_path / "again") == config


def test_a_run_that_is_there_is_not_touched_unless_asked(
    run: Path, npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    train = ["train", str(npz), *QUICK, "--out", str(run)]
    capsys.readouterr()
    assert "--resume, --overwrite or another folder" in refuse(train, capsys)
    assert "--seed 0, not --seed 1" in refuse([*train, "--resume", "--seed", "1"], capsys)
    assert "--truncation 4, not --truncation none" in refuse(
        [*train, "--resume", "--truncation", "none"], capsys
    )
    assert "--joint, not --no-joint" in refuse([*train, "--resume", "--no-joint"], capsys)
    assert "exclude each other" in refuse([*train, "--resume", "--overwrite"], capsys)
    np.savez(tmp_path / "mine.npz", x=np.zeros((4, 3, 2)), y=[0, 1, 0, 1])
    assert "are not those" in refuse([*train, "--resume"], capsys)
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert main([*train, "--overwrite", "--seed", "1"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.npz"], "nothing.npz: there is no such file"),
        (["digit-silence"], "did you mean 'digits-silence'?"),
        (["DATA", "--trunction", "3"], "unknown option --trunction; did you mean '--truncation'?"),
        (["DATA", "--method", "rlstm"], "did you mean 'r-lstm'?"),
        (["DATA", "--preset", "paper/minst"], "did you mean 'paper/mnist'?"),
        (["DATA", "--truncation", "-1"], "--truncation -1: must be a whole number at least 0"),
        (["DATA", "--truncation", "some"], "--truncation some: must be a whole number or none"),
        (["DATA", "--truncation", str(2**63)], "is too large; it must be below 2**63"),
        (["DATA", "--segment-length", "0"], "--segment-length 0"),
        (["DATA", "--anchors", "0"], "--anchors 0"),
        (["DATA", "--anchors", "1.5"], "--anchors 1.5"),
        (["DATA", "--epochs", "-3"], "--epochs -3"),
        (["DATA", "--learning-rate", "nan"], "--learning-rate nan"),
        (["DATA", "--learning-rate", "0"], "--learning-rate 0: must be a number above 0"),
        (["DATA", "--learning-rate", "inf"], "--learning-rate inf"),
        (["DATA", "--dropconnect", "1"], "--dropconnect 1"),
        (["DATA", "--method", "lstm", "--unlabeled", "more.npz"], "which lstm has not"),
        (["DATA", "--halve-at", "3,x"], "--halve-at x"),
        (["DATA", "--batch-size", "1e400"], "--batch-size 1e400"),
        (["DATA", "--device", "tpu9"], "--device tpu9"),
        (["DATA", "--device", "cuda:7"], "--device cuda:7"),
        (["DATA", "--epochs", "0", "--method", "lstm"], "nothing to train"),
        (["DATA", "--embedding-size", "0"], "--no-position-cue"),
        (["DATA", "--from", "nowhere"], "nowhere: there is no trained model"),
        (["DATA", "--unlabeled", "nowhere.npz"], "nowhere.npz"),
        (["DATA", "--missing-label", "none yet"], "--missing-label none yet"),
        (["DATA", "--config", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["mnist", "--data-dir", "nowhere"], "--data-dir nowhere"),
        ([], "which DATA?"),
        (["--resume"], "--resume needs --out RUN"),
        (["--resume", "--out", "nowhere"], "--resume needs --out RUN, the folder of a run that was begun"),
    ],
)
def test_options_that_do_not_fit_are_one_line_and_write_nothing(
    arguments: list[str], message: str, npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    before = snapshot(tmp_path)
    given = [str(npz) if word == "DATA" else word for word in arguments]
    assert message in refuse(["train", *given], capsys)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.zeros(60)}, "every label is 0"),
        ({"y": None}, "have no labels"),
        ({"x": np.full((60, 12, 2), np.nan)}, "the sequence 'row-0', step 0"),
        (
            {"x": np.zeros((0, 12, 2)), "y": np.zeros(0), "lengths": np.zeros(0, int), "ids": np.zeros(0)},
            "no rows",
        ),
        ({"lengths": np.zeros(60, int)}, "row 0 has the length 0"),
    ],
)
def test_data_that_do_not_fit_are_one_line_and_write_nothing(
    change: dict[str, np.ndarray | None],
    message: str,
    npz: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arrays = {**dict(np.load(npz)), **change}
    np.savez(npz, **{name: value for name, value in arrays.items() if value is not None})
    before = snapshot(tmp_path)
    assert message in refuse(["train", str(npz), "--out", str(tmp_path / "run")], capsys)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((60, 12), np.float32)}, "of 1 channel, but the model reads real vectors of 2"),
        ({"y": np.arange(60)}, "row 2 has the label 2, which the model was not trained on"),
        ({"x": np.full((60, 12, 2), np.inf)}, "row 0, step 0, channel 0 is inf"),
    ],
)
def test_data_that_do_not_fit_the_model_are_refused(
    change: dict[str, np.ndarray], message: str, run: Path, npz: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    np.savez(tmp_path / "other.npz", **{**dict(np.load(npz)), **change})
    capsys.readouterr()
    assert message in refuse(["evaluate", str(run), str(tmp_path / "other.npz")], capsys)


def test_labels_that_are_all_different_are_asked_about(
    npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    question = "every class has one row, so none can be held out; is that the label column?"
    train = ["train", str(tmp_path / "new.npz"), *QUICK, "--overwrite", "--out", str(tmp_path / "run")]
    numbers = np.random.default_rng(0).normal(size=60)
    for y, asked in ((numbers, 1), (np.arange(60), 1), (np.arange(60) // 2, 0)):
        np.savez(tmp_path / "new.npz", **{**np.load(npz), "y": y})
        assert main(train) == 0
        assert capsys.readouterr().err.count(question) == asked


def test_predicting_needs_no_labels_and_evaluating_does(
    run: Path, npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "bare.npz", x=np.load(npz)["x"])
    assert main(["predict", str(run), str(tmp_path / "bare.npz"), "--out", str(tmp_path / "p.csv")]) == 0
    capsys.readouterr()
    assert "no row has a label" in refuse(["evaluate", str(run), str(tmp_path / "bare.npz")], capsys)


def test_what_train_suggests_next_works_and_labels_do_not_matter_to_predict(
    npz: Path, tmp_path: Path
) -> None:
    arrays = dict(np.load(npz))
    arrays["y"][:5] = -1
    np.savez(tmp_path / "partly.npz", **arrays)
    data, run = str(tmp_path / "partly.npz"), str(tmp_path / "run")
    assert main(["train", data, "--missing-label", "-1", *QUICK, "--out", run]) == 0
    assert main(["evaluate", run, data]) == 0
    arrays["y"][:] = 77
    np.savez(tmp_path / "other.npz", **arrays)
    assert main(["predict", run, str(tmp_path / "other.npz"), "--out", str(tmp_path / "p.csv")]) == 0


def test_output_that_cannot_be_written_is_refused_before_the_work(
    run: Path, npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    capsys.readouterr()
    assert "cannot be written" in refuse(
        ["train", str(npz), *QUICK, "--out", str(tmp_path / "file" / "run")], capsys
    )
    predict = ["predict", str(run), str(npz), "--out"]
    assert ".csv, .parquet, .jsonl" in refuse([*predict, str(tmp_path / "p.txt")], capsys)
    assert "there is no folder" in refuse([*predict, str(tmp_path / "none" / "p.csv")], capsys)
    evaluate = ["evaluate", str(run), str(npz), "--json"]
    assert f"--json {tmp_path}: is a folder" in refuse([*evaluate, str(tmp_path)], capsys)
    table = tmp_path / "rows.csv"
    table.write_text("x,label\n1 2,0\n")
    for option, command in (("--out", "predict"), ("--json", "evaluate")):
        words = [command, str(run), str(table), option, str(table)]
        assert f"{option} {table}: holds the rows that are to be read" in refuse(words, capsys)

    def read_only(dir: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", read_only)
    for words in ([*predict, "p.csv"], [*evaluate, "e.json"]):
        words[-1] = str(tmp_path / words[-1])
        assert f"{words[-1]}: {tmp_path} cannot be written: Permission" in refuse(words, capsys)


def test_a_dash_is_standard_output(
    run: Path, npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = snapshot(tmp_path)
    capsys.readouterr()
    assert main(["predict", str(run), str(npz), "--out", "-"]) == 0
    said = capsys.readouterr()
    assert [row["id"] for row in csv.DictReader(said.out.splitlines())] == [f"row-{i}" for i in range(60)]
    assert said.err == f"backcast: 60 rows ({npz}, all)\n"
    assert main(["evaluate", str(run), str(npz), "--json", "-"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["rows"] == 60 and "backcast: accuracy " in said.err
    assert snapshot(tmp_path) == before


def test_from_python_what_is_no_rows_is_refused(run: Path, npz: Path, tmp_path: Path) -> None:
    model, splits = backcast.load_model(run), backcast.load(npz)
    for wrong in (str(npz), splits, np.zeros((3, 12, 2)), None):
        name = type(wrong).__name__
        message = rf"rows must be what load\(\.\.\.\)\.train or from_arrays\(\.\.\.\) gives, not a {name}"
        for use in (model.predict_proba, model.evaluate, model.prepare):
            with pytest.raises(backcast.InputError, match=message):
                use(wrong)
        if wrong is not None:
            with pytest.raises(backcast.InputError, match=message):
                backcast.train(backcast.Config(), tmp_path / "new", rows=wrong)
    for use in (
        model.predict_proba,
        model.evaluate,
        lambda rows: backcast.train(model.config, "new", rows=rows),
    ):
        with pytest.raises(backcast.InputError, match="there are no rows in it; was none selected"):
            use(splits.train.select([]))
    with pytest.raises(backcast.InputError, match="longest must be a whole number from 1, not 0"):
        splits.train.cut(0)
    with pytest.raises(backcast.InputError, match=r"config must be a Config\(...\), not a dict"):
        backcast.train({"epochs": 1}, tmp_path / "new", rows=splits.train)
    assert not (tmp_path / "new").exists()


def test_a_damaged_model_is_refused(run: Path, npz: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    weights = run / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    assert "cannot be read" in refuse(["evaluate", str(run), str(npz)], capsys)
    (run / "model" / "config.json").write_text("{")
    assert "cannot be read" in refuse(["evaluate", str(run), str(npz)], capsys)
    assert "no trained model" in refuse(["evaluate", str(run / "checkpoints"), str(npz)], capsys)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("anchor: 2", "unknown setting 'anchor'; did you mean 'anchors'?"),
        ("anchors: [", "is not YAML"),
        ("anchors: many", "--anchors many: must be"),
    ],
)
def test_a_damaged_config_is_named_by_its_file(
    line: str, said: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "config.yaml").write_text(f"{line}\n")
    capsys.readouterr()
    for words in (["report", str(run)], ["train", "--resume", "--out", str(run)]):
        assert f"backcast: {run / 'config.yaml'}: {said}" in refuse(words, capsys)


def test_two_processes_in_one_folder_are_refused(
    npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from filelock import FileLock

    (tmp_path / "run").mkdir()
    with FileLock(tmp_path / "run" / ".lock"):
        line = refuse(["train", str(npz), *QUICK, "--out", str(tmp_path / "run")], capsys)
    assert "another process is at work in it" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian", "mnist"], "COMMAND trian: is not one of demo, train, "),
        (["trian", "mnist"], "; did you mean 'train'? (see backcast --help)"),
        (["benchmark", "memroy"], "did you mean 'memory'? (see backcast benchmark --help)"),
        (["7"], "COMMAND 7: is not one of demo, "),
    ],
)
def test_an_unknown_command_is_answered_with_the_nearest(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refuse(words, capsys)


@pytest.mark.parametrize(
    "command", ["", "demo", "train", "evaluate", "predict", "report", "stream", "export", "ls"]
)
def test_help_answers_at_once_and_imports_nothing_heavy(command: str) -> None:
    code = (
        "import sys; from backcast.cli import main\n"
        f"try: main({[*command.split(), '--help']!r})\n"
        "except SystemExit as e: assert e.code == 0\n"
        "heavy = {'torch', 'numpy', 'sklearn', 'matplotlib', 'pyarrow'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    environment = {**os.environ, "COLUMNS": "100"}
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert found.returncode == 0, found.stderr
    assert "usage: backcast" in found.stdout


@pytest.mark.parametrize("command", ["ls experiments", "train --help"])
def test_a_closed_pipe_ends_quietly(command: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    words = [sys.executable, "-m", "backcast", *command.split()]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, env=environment, text=True, **pipes) as process:
        process.stdout.close()
        assert (process.wait(60), process.stderr.read()) == (0, "")


def test_closed_streams_are_as_good_as_nowhere(npz: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "backcast", "train", str(npz), *QUICK, "--out", str(tmp_path / "run")]
    done = subprocess.run(["bash", "-c", '"$@" >&- 2>&-', "bash", *words], check=False)
    assert done.returncode == 0 and (tmp_path / "run" / "model" / "model.safetensors").exists()


def test_python_dash_m_works() -> None:
    began = time.monotonic()
    found = subprocess.run(
        [sys.executable, "-m", "backcast", "--version"], capture_output=True, text=True, check=True
    )
    assert found.stdout.startswith("backcast 0.") and time.monotonic() - began < 10


def test_every_setting_is_a_flag_and_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = capsys.readouterr().out
    for name in FIELDS:
        assert flag(name) in text


@pytest.mark.parametrize("what", ["methods", "datasets", "presets", "demo"])
def test_ls_names_what_there_is(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", what]) == 0
    expected = {"methods": "rp-lstm", "datasets": "pmnist", "presets": "paper/cifar10", "demo": "r-lstm-plus"}
    assert expected[what] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "module", "said"),
    [
        (["train", "x.npz"], "train", "a smaller --batch-size, --truncation or --hidden-size needs less"),
        (["evaluate", "run", "x.npz"], "evaluate", "a smaller --batch-size needs less"),
        (["report", "run"], "report", "a report of fewer runs needs less"),
        (["ls", "methods"], "ls", ""),
    ],
)
def test_where_memory_ran_out_only_options_of_the_command_are_named(
    words: list[str],
    module: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(arguments: object) -> int:
        raise MemoryError

    monkeypatch.setattr(f"backcast.commands.{module}.run", run)
    assert main(words) == 1
    assert capsys.readouterr().err == f"backcast: out of memory{said and '; '}{said}\n"
