"""`backcast reproduce`: the grid is the paper's, every configuration runs, results are kept, resumed and never mixed up."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import backcast.paper.job as job_module
import backcast.paper.reproduce as reproduce_module
from backcast.cli import main
from backcast.config import resolve
from backcast.errors import InputError
from backcast.paper.experiment import Experiment, RunResult
from backcast.paper.experiments import EXPERIMENTS, choose
from backcast.paper.made_by import as_made
from backcast.paper.options import NAMES
from backcast.paper.planning import Request, places, tasks
from backcast.paper.published import PUBLISHED
from backcast.paper.results_file import RESULTS, append_result, read_results
from backcast.paper.scales import SCALES, scale
from backcast.run import locked
from backcast.side_by_side import Task, side_by_side
from backcast.step_memory import kept_for_backward
from backcast.trainer import Interrupted
from test_data import write_pictures, write_zhang

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))
import fill_results  # noqa: E402


def every_experiment(name: str) -> list[Experiment]:
    return choose("all", scale(name, dogs_are_there=False))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The paper's data sets in small, but for Stanford Dogs, in the Hub's layout."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("mnist", "cifar10"):
        write_pictures(folder, name)
    write_zhang(folder / "dbpedia", 56)
    return folder


@pytest.fixture(scope="module")
def smoke(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything, once."""
    out = tmp_path_factory.mktemp("smoke") / "out"
    assert main([*command("all", data), "--out", str(out)]) == 0
    return out


def command(name: str, data: Path, *more: str) -> list[str]:
    return [
        "reproduce",
        name,
        "--scale",
        "smoke",
        "--seeds",
        "1",
        "--device",
        "cpu",
        "--data-dir",
        str(data),
        *more,
    ]


def lines_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / RESULTS).read_text().splitlines()]


# --- the grid ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCALES)
def test_every_cell_is_a_configuration_and_every_claim_is_about_two_cells(name: str) -> None:
    assert [*NAMES] == ["all", "table1", *EXPERIMENTS]
    for experiment in every_experiment(name):
        places = {(cell.row, cell.column) for cell in experiment.cells}
        assert len(places) == len(experiment.cells)
        assert {row for row, _ in places} == set(experiment.rows)
        assert {column for _, column in places} == set(experiment.columns)
        for cell in experiment.cells:
            config = resolve([cell.settings])
            assert config.validation == 0.0 and config.data is not None
        for claim in experiment.claims:
            assert {claim.better, claim.worse} <= places


def test_every_number_of_the_paper_stands_beside_a_cell_of_ours() -> None:
    for experiment in every_experiment("paper"):
        numbers = PUBLISHED.get(experiment.name, {})
        found = {(cell.row, cell.column): cell.published for cell in experiment.cells if cell.published}
        assert found == dict(numbers) or experiment.name not in PUBLISHED, experiment.name
    small = {e.name: [c.published for c in e.cells if c.published] for e in every_experiment("small")}
    for name, numbers in PUBLISHED.items():
        assert sorted(small[name]) == sorted(numbers.values()), name


def test_the_papers_scale_is_its_settings_to_the_letter() -> None:
    table2 = EXPERIMENTS["table2"](scale("paper", True))
    cell = table2.cell("r-LSTM, truncated", "CIFAR-10")
    assert cell is not None
    config = resolve([cell.settings])
    assert (config.hidden_size, config.batch_size, config.truncation) == (128, 128, 300)
    assert (config.anchors, config.segment_length, config.auxiliary_truncation) == (1, 600, 300)
    assert (config.pretrain_epochs, config.epochs, config.optimizer) == (100, 1000, "rmsprop")
    dogs = EXPERIMENTS["figure3"](scale("paper", False))
    assert [cell.x for cell in dogs.cells if cell.row == "p-LSTM"] == [
        1600,
        2304,
        3136,
        5184,
        6400,
        9216,
        12544,
        16384,
    ]
    assert {cell.settings["data"] for cell in dogs.cells} == {"stanford-dogs"}


def test_an_ablation_differs_in_one_factor() -> None:
    figure6 = EXPERIMENTS["figure6"](scale("small", False))
    whole = dict(figure6.cells[0].settings)
    for cell in figure6.cells[2:]:
        differing = {n for n in {*whole, *cell.settings} if whole.get(n) != cell.settings.get(n)}
        assert len(differing) == 1, cell.row
    alone = resolve([figure6.cells[1].settings])
    assert alone.method == "lstm" and alone.epochs == whole["epochs"] + whole["pretrain_epochs"]


def test_the_small_captions_say_what_the_cells_have() -> None:
    by_name = {one.name: one for one in every_experiment("small")}
    unfed, figure4 = by_name["extension-unfed"], by_name["figure4"]
    mnist, cifar = (
        cell.settings["segment_length"] for cell in unfed.cells[2:4] if cell.settings["anchors"] == 4
    )
    assert f"Four segments have {mnist} steps each on MNIST, {cifar} on CIFAR-10." in unfed.caption
    cuts = {cell.settings["decoder_truncation"] for cell in figure4.cells if cell.row == "r-LSTM"}
    assert cuts == {75} and "cut as often as the supervised gradient usually is" in figure4.caption
    assert "decoder is cut every 300 steps" in by_name["extension-mnist"].caption


def test_a_claim_names_the_papers_setting_where_ours_is_another() -> None:
    small, paper = (
        {claim.text for one in every_experiment(scale) for claim in one.claims}
        for scale in ("small", "paper")
    )
    assert {
        "r-LSTM beats an LSTM with full BPTT at T = 784 (paper: 12,544)",
        "segments of 5×30 (paper: 20×30) beat one long one with 1 step",
        "p-LSTM with 25 (paper: 100) supervised steps beats an LSTM with full BPTT",
    } <= small
    assert "r-LSTM beats an LSTM with full BPTT at T = 12,544" in paper
    assert not [text for text in paper if "(paper:" in text]


def test_rows_that_share_phase_1_share_its_run() -> None:
    request = Request("figure4", "small", 2, (), False, False, Path("out"), None, "cpu", None, 16.0, None)
    of = scale("small", False)
    planned = tasks(request, of, places(request, [EXPERIMENTS["figure4"](of)]), set(), 2)
    first = [task for task in planned if not task.argument.measure]
    assert len(first) == 2 * 2  # r and p, two seeds
    after = [task for task in planned if task.after == first[0].name]
    assert after and all(task.argument.pretrained == first[0].argument.out for task in after)
    assert sum(task.after is not None for task in planned) == 2 * 12
    names = [task.name for task in planned]
    assert all(names.index(task.after) < names.index(task.name) for task in planned if task.after)


def test_with_few_labels_all_methods_have_as_many_updates_of_phase_2() -> None:
    experiment = EXPERIMENTS["extension-labels"](scale("small", False))
    for cell in experiment.cells:
        config = resolve([cell.settings])
        updates = config.epochs * math.ceil(10_000 * config.labeled / config.batch_size)
        assert abs(updates - 2504) < 20
        assert not config.joint or config.method == "lstm"


def test_without_phase_1_there_are_as_many_epochs_and_the_other_cells_are_those_of_the_tables() -> None:
    of = scale("small", False)
    cells = EXPERIMENTS["extension-pretraining"](of).cells
    of_column: dict[str, set[int]] = {}
    for cell in cells:
        config = resolve([cell.settings])
        first = config.pretrain_epochs if config.method != "lstm" else 0
        of_column.setdefault(cell.column, set()).add(config.epochs + first)
        assert config.joint == ("labels" not in cell.row), cell.row
        assert (first > 0) == ("phase 1" in cell.row), cell.row
    assert of_column == {
        "pMNIST": {10}, "CIFAR-10": {10}, "DBpedia, 20×15": {20}, "DBpedia, 1×300": {20},
    }  # fmt: skip
    tables = {cell.checksum for name in ("table2", "table4") for cell in EXPERIMENTS[name](of).cells}
    assert {cell.row for cell in cells if cell.checksum in tables} == {
        "LSTM, truncated", *(f"{name}: phase 1, then {phase}" for name in ("r-LSTM", "p-LSTM") for phase in ("joint", "labels")),
    }  # fmt: skip
    assert sum(cell.checksum in tables for cell in cells) == 4 + 4 + 3  # alone, pictures, text


def test_ours_on_mnist_start_without_a_bias_whatever_their_row() -> None:
    of = scale("small", False)
    for name in ("truncation", "segments", "ablation", "both", "cue", "unfed"):
        experiment = EXPERIMENTS[f"extension-{name}"](of)
        biases = {
            (cell.settings["data"], resolve([cell.settings]).forget_gate_bias) for cell in experiment.cells
        }
        assert biases <= {("mnist", 0), ("cifar10", 1)} and ("mnist", 0) in biases
        assert "bias" in experiment.caption and "bias 0" in experiment.title + " ".join(experiment.columns)
    rows = {cell.row: resolve([cell.settings]) for cell in EXPERIMENTS["extension-mnist"](of).cells}
    assert len(rows) == 6
    assert all(row.endswith(f"bias {config.forget_gate_bias:g}") for row, config in rows.items())


# --- runs ----------------------------------------------------------------------------------------------------


def test_everything_runs_at_smoke_scale(smoke: Path) -> None:
    lines = lines_of(smoke)
    wanted = {cell.checksum for experiment in every_experiment("smoke") for cell in experiment.cells}
    assert {line["checksum"] for line in lines} == wanted and len(lines) == len(wanted)
    assert {line["status"] for line in lines} == {"finished"}
    for name in EXPERIMENTS:
        for ending in ("md", "csv", "svg"):
            assert (smoke / f"{name}.{ending}").stat().st_size > 200
    assert "MNIST" in (smoke / "table1.md").read_text()
    index = (smoke / "claims.md").read_text()
    assert all(claim.text in index for e in every_experiment("smoke") for claim in e.claims)
    page = (smoke / "report.html").read_text()
    assert "smoke: nothing is measured here" in page.lower() and "Figure 6" in page
    assert all(line["curve"] and line["environment"]["torch"] for line in lines)
    assert not list((smoke / "runs").glob("*/checkpoints")) or all(
        "phase-1" in str(p) for p in (smoke / "runs").glob("*/checkpoints")
    )


def test_what_is_there_is_not_run_again(smoke: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (smoke / RESULTS).read_bytes()
    assert main([*command("figure5", data), "--out", str(smoke)]) == 2
    assert "--resume" in capsys.readouterr().err
    for more in ("--resume", "--render"):
        assert main([*command("figure5", data, more), "--out", str(smoke)]) == 0
    assert (smoke / RESULTS).read_bytes() == before
    assert "[1/" not in capsys.readouterr().out


def test_results_of_another_version_are_refused_with_the_command(
    smoke: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    lines = (smoke / RESULTS).read_text().splitlines()
    checksum = json.loads(lines[0])["checksum"]
    (out / RESULTS).write_text(lines[0].replace(checksum, "0" * 16) + "\n" + lines[1] + "\n")
    assert main([*command("table2", data, "--render"), "--out", str(out)]) == 0
    said = capsys.readouterr().err
    assert (
        "1 of 2 results are of another version" in said and "backcast reproduce table2 --scale smoke" in said
    )
    assert (out / "table2.md").read_text().count("| smoke |") + (out / "table2.md").read_text().count(
        "not run"
    ) > 0


def test_a_folder_holds_one_scale(smoke: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in smoke.iterdir() if path.is_file()}
    for more in ("--render", "--resume"):
        assert main(["reproduce", "table2", more, "--out", str(smoke)]) == 2
        assert "are of scale smoke; say --scale smoke" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in smoke.iterdir() if path.is_file()}


def test_documents_that_are_made_again_keep_the_note(smoke: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    result = read_results(smoke / RESULTS)[0]
    append_result(out / RESULTS, replace(result, command=f"{result.command} --note 'Other pictures.'"))
    append_result(out / RESULTS, replace(result, seed=1))
    for more, said in (((), True), (("--note", ""), False), (("--note", "Mine."), False)):
        assert main([*command("table2", data, "--render", *more), "--out", str(out)]) == 0
        assert ("Other pictures." in (out / "table2.md").read_text()) == said


def test_every_document_names_what_its_own_runs_were_made_with(
    smoke: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    of = {name: {cell.checksum for cell in EXPERIMENTS[name](scale("smoke", False)).cells} for name in ("extension-gru", "extension-labels")}  # fmt: skip
    for result in read_results(smoke / RESULTS):
        more = (
            "--jobs 3 --note 'Half of it.'"
            if result.checksum in of["extension-gru"]
            else "--note 'All of it.'"
        )
        if any(result.checksum in checksums for checksums in of.values()):
            append_result(out / RESULTS, replace(result, command=f"{result.command} {more}"))
    words = ["reproduce", "all", "--scale", "smoke", "--render", "--out", str(out)]
    assert main(words) == 0

    def said(name: str) -> tuple[bool, ...]:
        text = (out / name).read_text()
        return tuple(part in text for part in (f"--data-dir {data}", "--device cpu", "--jobs 3", "Half of it.", "All of it."))  # fmt: skip

    assert said("extension-gru.md") == (True, True, True, True, False)
    assert said("extension-labels.md") == (True, True, False, False, True)
    assert said("claims.md") == (True, True, False, True, True)
    assert main([*words[:1], "extension-gru", *words[2:], "--note", "A third."]) == 0
    assert "A third." in (out / "extension-gru.md").read_text()
    assert said("extension-labels.md") == (True, True, False, False, True)


def test_a_command_that_is_none_of_this_version_is_no_obstacle() -> None:
    request = Request("all", "small", 3, (), False, True, Path("out"), None, "cpu", None, 16.0, None)
    result = RunResult("a", 0, "failed")
    for words in ("", "backcast reproduce table2 --later 3", "backcast reproduce 'table2"):
        assert as_made(request, [replace(result, command=words)], None) == request
    noted = [replace(result, command=f"backcast reproduce table2 --out o --note '{note}'") for note in ("A.", "A. B.", "C.")]  # fmt: skip
    assert as_made(request, noted, None).note == "A. B. C."


def test_a_result_that_is_there_again_counts_as_the_last(smoke: Path, tmp_path: Path) -> None:
    first, second = read_results(smoke / RESULTS)[:2]
    for result in (first, second, first):
        append_result(tmp_path / RESULTS, result)
    assert read_results(tmp_path / RESULTS) == [second, first]


def test_a_run_that_went_on_elsewhere_names_both_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_module, "processor", lambda: "B")
    threads = torch.get_num_threads()
    here = f"B, {threads} thread{'s' * (threads > 1)}"
    for name, expected in (("B", here), ("A", here.replace("B", "A") + f", then {here}")):
        environment = {"gpu": None, "processor": name, "threads": threads}
        assert job_module._device(environment, torch.device("cpu")) == expected


def test_a_row_may_be_named_as_it_is_typed() -> None:
    of = [EXPERIMENTS["figure3"](scale("small", False))]
    request = Request("figure3", "small", 1, (), False, True, Path("out"), None, "cpu", None, 16.0, None)
    whole = "r-LSTM 19×2 (paper: r-LSTM 20×30)"
    for name in (whole, "r-LSTM 19×2", "r-LSTM 19x2"):
        assert {place.cell.row for place in places(replace(request, only=(name,)), of)} == {whole}
    with pytest.raises(InputError, match=r'\'r-LSTM 19x2\'\?; it has "LSTM, full BPTT", "Transformer"'):
        places(replace(request, only=("r-LSTM 19x",)), of)


def test_figure_3_is_about_what_its_own_finished_runs_read(
    smoke: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        reproduce_module, "load", lambda *args, **options: None
    )  # Stanford Dogs are there now
    request = Request("figure3", "smoke", 1, (), True, False, Path("out"), None, "cpu", None, 16.0, None)
    others = {cell.checksum for cell in EXPERIMENTS["table2"](scale("smoke", False)).cells}
    elsewhere = [result for result in read_results(smoke / RESULTS) if result.checksum in others]
    r_lstm = next(
        cell for cell in EXPERIMENTS["figure3"](scale("smoke", False)).cells if cell.row == "r-LSTM"
    )
    result = RunResult(r_lstm.checksum, 0, "no data", "not there")
    assert reproduce_module._with_dogs(request, [*elsewhere, result])
    assert not reproduce_module._with_dogs(request, [replace(result, status="finished")])


def test_the_papers_scale_reads_no_pictures_to_see_whether_dogs_are_there() -> None:
    request = Request("all", "paper", 1, (), False, False, Path("out"), None, "cpu", None, 16.0, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reproduce_module, "load", lambda *args, **options: pytest.fail("they were read"))
        assert not reproduce_module._with_dogs(request, [])


def test_a_damaged_line_is_said_with_its_number(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / RESULTS).write_text('{"checksum": 3\n')
    assert main([*command("table2", data, "--resume"), "--out", str(tmp_path)]) == 2
    assert "line 1 is damaged" in capsys.readouterr().err


def test_a_line_that_was_cut_off_is_written_again(smoke: Path, tmp_path: Path) -> None:
    results = read_results(smoke / RESULTS)
    path = tmp_path / RESULTS
    append_result(path, results[0])
    with path.open("a") as file:
        file.write('{"checksum": "cut')
    assert read_results(path) == results[:1]
    append_result(path, results[1])
    assert read_results(path) == results[:2]
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))  # as some editors save it
    assert read_results(path) == results[:2]
    append_result(path, results[2])
    assert read_results(path) == results[:3]


def test_a_data_set_that_is_not_there_stops_its_rows_only(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(data / "cifar10", tmp_path / "data" / "cifar10")
    only = ["--only", "r-LSTM, truncated"]
    assert main([*command("table2", tmp_path / "data", *only), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert "this stops all rows on mnist" in said.err and "this stops all rows on pmnist" in said.err
    assert sorted(line["status"] for line in lines_of(tmp_path / "out")) == ["finished", "no data", "no data"]
    assert "no data" in (tmp_path / "out" / "table2.md").read_text()


def test_results_stay_where_their_data_are_gone(smoke: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    shutil.copy(smoke / RESULTS, out)
    before = (out / RESULTS).read_bytes()
    again = [*command("table5", tmp_path / "nowhere"), "--resume", "--out", str(out)]
    assert main(again) == 0 and (out / RESULTS).read_bytes() == before
    assert "no data" not in (out / "table5.md").read_text()


def test_table_1_keeps_what_it_says_of_data_that_are_gone_and_a_set_that_never_was_counts_as_missing(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(data, tmp_path / "data", ignore=shutil.ignore_patterns("dbpedia"))
    out = ["--out", str(tmp_path / "out")]
    assert main([*command("table1", tmp_path / "data"), *out]) == 1
    assert "DBpedia: " in capsys.readouterr().err
    assert main([*command("table1", data), *out]) == 0
    before = (tmp_path / "out" / "table1.csv").read_text()
    assert "DBpedia" in before
    assert main([*command("table1", tmp_path / "nowhere"), *out]) == 0
    assert (tmp_path / "out" / "table1.csv").read_text() == before
    assert "Data sets" in (tmp_path / "out" / "report.html").read_text()


def test_a_document_has_all_seeds_that_there_are(smoke: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    lines = lines_of(smoke)
    text = "".join(json.dumps({**line, "seed": seed}) + "\n" for seed in (0, 1) for line in lines)
    (out / RESULTS).write_text(text)
    assert main([*command("table5", data), "--resume", "--out", str(out)]) == 0
    shown = (out / "table5.md").read_text()
    assert "(seeds 0, 1)" in shown and "--seeds 2" in shown


def test_a_row_that_does_not_fit_the_budget_is_infeasible(data: Path, tmp_path: Path) -> None:
    rows = ["--only", "LSTM, full BPTT", "--only", "r-LSTM"]
    assert main([*command("figure5", data, *rows, "--memory", "1e-6"), "--out", str(tmp_path)]) == 0
    assert sorted(line["status"] for line in lines_of(tmp_path)) == ["finished", "infeasible"]
    assert (
        main(
            [*command("figure5", data, "--only", "p-LSTM", "--jobs", "2", "--resume"), "--out", str(tmp_path)]
        )
        == 0
    )
    assert lines_of(tmp_path)[-1]["jobs"] == 1, "it ran alone"
    assert "infeasible" in (tmp_path / "figure5.md").read_text()


def test_the_budget_counts_the_phase_that_keeps_most(data: Path) -> None:
    cells = {cell.row: cell for cell in EXPERIMENTS["table4"](scale("smoke", False)).cells}

    def kept(row: str) -> int:
        return kept_for_backward(resolve([cells[row].settings, {"data_dir": str(data), "device": "cpu"}]), 1)

    assert kept("SA-LSTM, full BPTT") > 1.5 * kept("LSTM, full BPTT"), (
        "reads a row twice when it is pretrained"
    )


def test_what_a_step_keeps_is_counted_on_rows_with_a_label(tmp_path: Path) -> None:
    x = np.zeros((4, 20, 1), np.float32)

    def kept(labels: list[int]) -> int:
        np.savez(tmp_path / "rows.npz", x=x, y=labels)
        given = {
            "data": str(tmp_path / "rows.npz"),
            "method": "lstm",
            "truncation": None,
            "missing_label": "-1",
        }
        return kept_for_backward(resolve([given, {"validation": 0, "device": "cpu"}]), 1)

    assert kept([-1, 0, 1, 1]) == kept([0, 0, 1, 1]) > 0


def test_it_is_stopped_and_gone_on_with(data: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "backcast", *command("table5", data), "--out", str(tmp_path / "out")]
    running = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while running.poll() is None and not list((tmp_path / "out").glob("runs/*/metrics.jsonl")):
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    out, error = running.communicate(timeout=120)
    assert running.returncode == 1 and "--resume" in error, out + error
    subprocess.run([*words, "--resume"], check=True, capture_output=True, timeout=300)
    assert sorted(line["status"] for line in lines_of(tmp_path / "out")) == ["finished"] * 12


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tabel2"], "did you mean 'table2'"),
        (["table2", "--only", "r-LSTM, truncatd"], "did you mean 'r-LSTM, truncated'"),
        (["table2", "--scale", "smal"], "did you mean 'small'?"),
        (["table2", "--seeds", "0"], "at least 1"),
        (["table2", "--memory", "none"], "gigabytes"),
        (["table2", "--device", "gpu"], "--device gpu"),
        (["table2", "--resume", "--render"], "exclude each other"),
    ],
)
def test_what_does_not_fit_is_one_line_and_nothing_is_written(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", *words, "--out", str(tmp_path / "out")]) == 2
    found = capsys.readouterr().err.strip()
    assert said in found and "\n" not in found
    assert not (tmp_path / "out").exists()


def test_the_command_of_a_result_runs_it_again(smoke: Path, tmp_path: Path) -> None:
    line = next(line for line in lines_of(smoke) if "figure6" in line["command"])
    words = shlex.split(line["command"])
    words[words.index("--out") + 1] = str(tmp_path / "out")
    assert main(words[1:]) == 0
    assert line["checksum"] in [again["checksum"] for again in lines_of(tmp_path / "out")]


def test_what_no_budget_allowed_is_run_with_another(data: Path, tmp_path: Path) -> None:
    words = [*command("figure5", data, "--only", "LSTM, full BPTT"), "--out", str(tmp_path)]
    assert main([*words, "--memory", "1e-6"]) == 0
    assert main([*words, "--memory", "1e-7", "--resume"]) == 0
    assert [line["status"] for line in lines_of(tmp_path)] == ["infeasible"]
    assert main([*words, "--resume"]) == 0
    assert [line["status"] for line in lines_of(tmp_path)] == ["infeasible", "finished"]
    assert "infeasible" not in (tmp_path / "figure5.md").read_text().split("## ")[0]


def test_a_second_experiment_in_the_folder_joins_the_page(smoke: Path, data: Path, tmp_path: Path) -> None:
    shutil.copytree(smoke, tmp_path / "out", ignore=shutil.ignore_patterns("runs"))
    assert main([*command("figure6", data, "--render"), "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Figure 6" in page and "Figure 3" in page and "Data sets" in page


def test_a_worker_that_is_killed_costs_its_own_row_only(data: Path, tmp_path: Path) -> None:
    (tmp_path / "killer.py").write_text(KILLER)
    words = [
        sys.executable,
        str(tmp_path / "killer.py"),
        *command("figure5", data, "--jobs", "2"),
        "--out",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1, done.stderr
    found = {
        line["command"].split("--only ")[1].split(" --data")[0]: line for line in lines_of(tmp_path / "out")
    }
    assert found["p-LSTM"]["status"] == "failed" and "killed" in found["p-LSTM"]["reason"]
    assert {line["status"] for row, line in found.items() if row != "p-LSTM"} == {"finished"}


KILLER = """
import os, sys
from backcast.paper import job

plain = job._run

def run(job, advance, stop):
    if job.config.method == "p-lstm":
        os.kill(os.getpid(), 9)
    return plain(job, advance, stop)

job._run = run
if __name__ in ("__main__", "__mp_main__"):
    from backcast.cli import main
    if __name__ == "__main__":
        sys.exit(main(sys.argv[1:]))
"""


def test_workers_whose_parent_is_killed_end_too_and_leave_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "orphans.py").write_text(ORPHANS)
    words = [sys.executable, str(tmp_path / "orphans.py"), str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        deadline = time.monotonic() + 60
        while not all((tmp_path / f"{name}.begun").exists() for name in ("long", "short")):
            assert parent.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        parent.kill()
        assert parent.stdout.read() == "", "ends when no worker holds the pipe any more, the idle one neither"
    assert (tmp_path / "long.checkpoint").exists()


ORPHANS = """
import sys, time
from pathlib import Path
from backcast.side_by_side import Task, side_by_side
from backcast.trainer import Interrupted

def work(argument, advance, stop):
    folder, name = argument
    (folder / f"{name}.begun").write_text("begun")
    while name == "long":
        if stop():
            (folder / f"{name}.checkpoint").write_text("")
            raise Interrupted
        time.sleep(0.01)

if __name__ == "__main__":
    tasks = [Task(name, work, (Path(sys.argv[1]), name)) for name in ("long", "short")]
    list(side_by_side(tasks, 2, 1, on_steps=lambda done, before: None, stop=lambda: False))
"""


def test_a_stop_ends_the_workers_and_no_other_process_of_the_caller() -> None:
    other = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(120,))
    other.start()
    try:
        task = Task("wait", wait_for_the_stop, None)
        with pytest.raises(Interrupted):
            list(side_by_side([task], 1, 1, on_steps=lambda done, before: None, stop=lambda: True))
        assert other.is_alive() and multiprocessing.active_children() == [other]
    finally:
        other.kill()
        other.join()


def wait_for_the_stop(argument: None, advance: Callable[[int], None], stop: Callable[[], bool]) -> None:
    while not stop():
        time.sleep(0.01)
    raise Interrupted


def test_two_at_once_in_a_folder_and_a_folder_that_cannot_be_written(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with locked(tmp_path):
        assert main([*command("figure5", data), "--out", str(tmp_path)]) == 2
    assert "another process is at work in it" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main([*command("figure5", data), "--out", str(tmp_path / "file" / "out")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert main([*command("figure5", data, "--render"), "--out", str(tmp_path / "typo")]) == 2
    assert not (tmp_path / "typo").exists()


def test_results_that_another_process_wrote_while_this_one_began_are_seen(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked_late(out: Path) -> AbstractContextManager[None]:
        (out / RESULTS).write_text("")
        return locked(out)

    monkeypatch.setattr(reproduce_module, "locked", locked_late)
    assert main([*command("figure5", data), "--out", str(tmp_path)]) == 2
    assert "holds results already" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        {"accuracy": "0.5"},
        {"status": "finishd"},
        {"seed": "0"},
        {"accuracy": 50.0},
        {"curve": [[1, 2]]},
        {"command": 5},
        {"train_rows": None},
        {"seconds_per_step": "fast"},
        {"kept_bytes": "many"},
    ],
)
def test_a_result_of_another_form_is_damaged_and_one_that_says_more_is_not(
    smoke: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    line = lines_of(smoke)[0]
    (tmp_path / RESULTS).write_text(json.dumps(line | {"of_a_later_version": 1}) + "\n")
    assert read_results(tmp_path / RESULTS)[0].checksum == line["checksum"]
    (tmp_path / RESULTS).write_text(json.dumps(line | change) + "\n")
    with pytest.raises(InputError, match="line 1 is damaged"):
        read_results(tmp_path / RESULTS)


def test_the_documents_of_the_results_stand_in_the_page_of_results() -> None:
    page = (ROOT / "docs" / "results.md").read_text()
    assert fill_results.filled(page) == page


def test_every_result_that_is_kept_is_shown_by_this_version() -> None:
    results = read_results(ROOT / "results" / "small" / RESULTS)
    assert {result.checksum for result in results} <= reproduce_module._known("small")


def test_where_phase_1_failed_the_rows_that_share_it_say_why(data: Path, tmp_path: Path) -> None:
    of = scale("smoke", False)
    request = Request("table5", "smoke", 1, (), False, False, tmp_path, str(data), "cpu", None, 16.0, None)
    first = tasks(request, of, places(request, [EXPERIMENTS["table5"](of)]), set(), 1)[0]
    assert not first.argument.measure
    first.argument.out.mkdir(parents=True)
    (first.argument.out / "config.yaml").write_text("seed: 99\n")  # of somebody else's run
    (first.argument.out / "environment.json").write_text('{"backcast": "0.1.0"}')
    assert main([*command("table5", data), "--out", str(tmp_path)]) == 1
    failed = [line["reason"] for line in lines_of(tmp_path) if line["status"] != "finished"]
    assert len(failed) == 2 and all(
        "in phase 1: " in reason and "was begun with" in reason for reason in failed
    )
