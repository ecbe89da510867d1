"""The documents of the paper's experiments: right numbers, honest words, whole pages."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.dom import minidom

import numpy as np
import pytest
from matplotlib.figure import Figure

from backcast.errors import InputError
from backcast.paper import figures, published
from backcast.paper.captions import caption, warning
from backcast.paper.claims import all_claims, write_claims
from backcast.paper.claims_figure import LOOKS, PAPER
from backcast.paper.csv_form import csv_text
from backcast.paper.data_sets import DataSet, data_set_csv, data_set_table, read_data_sets
from backcast.paper.documents import document, write_data_sets, write_experiment
from backcast.paper.experiment import Cell, Claim, CurvePoint, Experiment, Published, RunResult
from backcast.paper.experiments import EXPERIMENTS
from backcast.paper.figures import experiment_figure, file_content
from backcast.paper.outcomes import NOT_MEASURED, mean_curve, outcomes
from backcast.paper.page import write_page
from backcast.paper.scales import scale
from backcast.paper.statistics import paired, spread
from backcast.paper.tables import markdown, published_text, reasons, tables
from backcast.paper.verdicts import counts, verdicts

Results = dict[str, tuple[RunResult, ...]]
FORMS = {
    "table": "table2",
    "curves": "figure5",
    "against length": "figure3",
    "against steps": "figure4",
    "ablation": "figure6",
}


def make_experiment(form: str, scale: str = "small", claims: tuple[Claim, ...] = ()) -> Experiment:
    """The paper's experiment of this form: a cell wherever it has a number, but for what it cites of others."""
    name = FORMS[form]
    numbers = dict(published.PUBLISHED[name])
    rows, columns = (tuple(dict.fromkeys(key[part] for key in numbers)) for part in (0, 1))
    if form == "ablation":
        rows = ("r-LSTM", *rows)
    places: dict[str, Callable[[str], int]] = {
        "against length": lambda column: int(column) ** 2 // 4,
        "against steps": lambda column: int(column) if column.isdigit() else 0,
    }
    cells = [
        Cell(
            row,
            column,
            {"data": row if form == "curves" else f"{row}/{column}"},
            numbers.get((row, column)),
            places[form](column) if form in places and column != published.FULL else None,
            published.FIGURE3_SECONDS.get((row, column)) if form == "against length" else None,
        )
        for row in rows
        for column in columns
        if ((row, column) in numbers or (form == "ablation" and row == rows[0]))
        and row not in ("iRNN", "uRNN")
    ]
    return Experiment(name, f"The title of {name}", scale, form, "accuracy", "A caption.", rows, columns, tuple(cells), claims)  # type: ignore[arg-type]  # fmt: skip


def place(cell: Cell) -> tuple[str, str]:
    return cell.row, cell.column


def run(
    cell: Cell, seed: int, accuracy: float | None, status: str = "finished", reason: str = ""
) -> RunResult:
    curve = tuple(CurvePoint(10 * k, 0.1 * k, 0.09 * k + 0.01 * seed) for k in range(1, 4))
    return RunResult(
        cell.checksum, seed, status, reason, accuracy, accuracy, 200, 1000, 30, (3,), 60.0 + seed, 0.25,
        1234, "a machine, 1 thread", curve=curve,
    )  # type: ignore[arg-type]  # fmt: skip


def make_results(experiment: Experiment, seeds: int = 3) -> Results:
    """Three seeds a cell; of the last cells one has a seed less, one failed, one is infeasible, one was not run."""
    generator = np.random.default_rng(0)
    results = {
        cell.checksum: tuple(run(cell, seed, 0.5 + 0.1 * generator.random()) for seed in range(seeds))
        for cell in experiment.cells
    }
    by_checksum = {cell.checksum: cell for cell in experiment.cells}
    if len(results) > 4:
        *_, fewer, failed, infeasible, absent = results
        results[fewer] = results[fewer][:-1]
        results[failed] = tuple(
            run(by_checksum[failed], seed, None, "failed", "loss |nan|\nat step 3") for seed in range(seeds)
        )
        results[infeasible] = (run(by_checksum[infeasible], 0, None, "infeasible", "a row needs 3 GB"),)
        del results[absent]
    return results


def compare(better: list[float | None], worse: list[float | None], quantity: str = "accuracy", scale: str = "small") -> tuple[Experiment, Results]:  # fmt: skip
    """Two cells with these accuracies by seed, None where a run failed, and one claim."""
    cells = (Cell("one", "data", {"data": "1"}), Cell("other", "data", {"data": "2"}))
    claim = Claim("one beats other", ("one", "data"), ("other", "data"))
    experiment = Experiment(
        "extension", "An extension", scale, "table", quantity, "", ("one", "other"), ("data",), cells, (claim,)
    )  # type: ignore[arg-type]  # fmt: skip
    results = {
        cell.checksum: tuple(
            run(cell, seed, value, "failed" if value is None else "finished", "why" if value is None else "")
            for seed, value in enumerate(values)
        )
        for cell, values in zip(cells, (better, worse), strict=True)
    }
    return experiment, results


def test_spread_is_mean_deviation_and_students_interval() -> None:
    found = spread({0: 1.0, 1: 2.0, 2: 3.0, 3: 6.0})
    assert found is not None and found.count == 4
    assert found.mean == 3.0
    assert found.deviation == pytest.approx((14 / 3) ** 0.5)  # squares 4 + 1 + 0 + 9 over n - 1
    half = 3.182446 * (14 / 3) ** 0.5 / 2  # the 97.5 % point of t with 3 degrees of freedom
    assert (found.low, found.high) == (pytest.approx(3 - half, abs=1e-5), pytest.approx(3 + half, abs=1e-5))


def test_one_value_has_no_interval_and_none_has_no_spread() -> None:
    found = spread({7: 4.0})
    assert found is not None and (found.mean, found.deviation, found.low, found.high) == (
        4.0,
        None,
        None,
        None,
    )
    assert spread({}) is None


def test_pairs_are_of_the_seeds_that_both_have() -> None:
    assert paired({2: 5.0, 0: 1.0, 1: 9.0}, {0: 4.0, 2: 3.0, 5: 1.0}) == {0: -3.0, 2: 2.0}


@pytest.mark.parametrize(
    ("better", "worse", "answer", "reason"),
    [
        ([0.60, 0.62, 0.61], [0.50, 0.51, 0.52], "agrees", ""),
        ([0.50, 0.51, 0.52], [0.60, 0.62, 0.61], "disagrees", ""),
        ([0.50, 0.70, 0.60], [0.60, 0.50, 0.60], "not decided at this scale", "the interval contains zero"),
        ([0.50, 0.50], [0.50, 0.50], "not decided at this scale", "the interval contains zero"),
        ([0.90], [0.10], "not decided at this scale", "fewer than two seeds that both have"),
        ([0.90, None], [None, 0.10], "not decided at this scale", "fewer than two seeds that both have"),
        ([0.90, 0.90], [None, None], "not decided at this scale", "other / data: failed"),
        ([], [0.10, 0.20], "not decided at this scale", "one / data: not run"),
    ],
)
def test_a_verdict_needs_an_interval_on_one_side(
    better: list[float | None], worse: list[float | None], answer: str, reason: str
) -> None:
    (verdict,) = verdicts(*compare(better, worse))
    assert (verdict.answer, verdict.reason) == (answer, reason)


def test_a_verdict_says_difference_interval_and_pairs() -> None:
    (verdict,) = verdicts(*compare([0.60, 0.62, 0.9], [0.50, 0.50]))
    # differences 10 and 12 points: mean 11, deviation √2, t 12.7062 with one degree of freedom
    assert verdict.ours == "+11.0 points (95 % interval -1.7 to +23.7, 2 pairs)"
    assert verdict.theirs == "–"
    (single,) = verdicts(*compare([0.60], [0.50]))
    assert single.ours == "+10.0 points (1 pair, so no interval)"


def test_of_errors_the_lower_is_better() -> None:
    (verdict,) = verdicts(*compare([0.97, 0.96, 0.97], [0.90, 0.91, 0.90], "error"))
    assert verdict.answer == "agrees" and verdict.difference is not None and verdict.difference.mean > 5
    assert verdict.ours.startswith("+6.33 points")


def test_what_was_trained_on_other_rows_is_not_compared() -> None:
    experiment, results = compare([0.60, 0.62, 0.61], [0.50, 0.51, 0.52])
    other = experiment.cells[1].checksum
    results[other] = (replace(results[other][0], data_sha256="other"), *results[other][1:])
    (verdict,) = verdicts(experiment, results)
    assert (verdict.reason, verdict.ours) == ("they had different rows", "–")


def test_what_was_tested_on_other_rows_is_not_compared() -> None:
    experiment, results = compare([0.60, 0.62, 0.61], [0.50, 0.51, 0.52])
    one, other = (cell.checksum for cell in experiment.cells)
    results[one] = tuple(replace(run, test_sha256="these") for run in results[one])
    (verdict,) = verdicts(experiment, results)
    assert verdict.answer == "agrees", "earlier results do not say which"
    results[other] = (replace(results[other][0], test_sha256="those"), *results[other][1:])
    (verdict,) = verdicts(experiment, results)
    assert (verdict.reason, verdict.ours) == ("they had different rows", "–")
    results[one] = (replace(results[one][0], test_sha256="those"), *results[one][1:])
    assert "not all have the same rows" in " ".join(caption(experiment, outcomes(experiment, results)))


def test_a_question_of_ours_is_answered_with_yes_or_no() -> None:
    experiment, results = compare([0.60, 0.62, 0.61], [0.50, 0.51, 0.52])
    question = replace(experiment.claims[0], ours=True)
    turned = replace(question, better=question.worse, worse=question.better)
    found = verdicts(replace(experiment, claims=(question, turned, experiment.claims[0])), results)
    assert [one.said for one in found] == ["yes", "no", "agrees"]
    said = "Of 2 questions of our own, our runs say yes to 1, no to 1 and leave 0 undecided."
    assert said in counts(found[:2])
    assert "Of 1 questions of our own, our runs say yes to 0, no to 1" in counts(found), "one is the paper's"


def test_an_ablation_loses_nothing_against_a_run_on_other_rows() -> None:
    experiment = make_experiment("ablation")
    results = make_results(experiment)
    whole = experiment.cells[0].checksum
    results[whole] = (replace(results[whole][0], data_sha256="other"), *results[whole][1:])
    assert outcomes(experiment, make_results(experiment))[place(experiment.cells[1])].losses.keys() == {
        0,
        1,
        2,
    }
    assert not outcomes(experiment, results)[place(experiment.cells[1])].losses


def test_seconds_of_two_machines_are_not_averaged() -> None:
    experiment = make_experiment("against length")
    results = make_results(experiment)
    cell = experiment.cells[0]
    before = outcomes(experiment, results)[cell.row, cell.column]
    assert len(before.seconds) == 3 and "Seconds per step are those" not in " ".join(caption(experiment, {(cell.row, cell.column): before}))  # fmt: skip
    slow = replace(results[cell.checksum][0], device="another", seconds_per_step=99.0)
    results[cell.checksum] = (slow, *results[cell.checksum][1:])
    after = outcomes(experiment, results)[cell.row, cell.column]
    assert len(after.values) == 3 and after.seconds == {1: 0.25, 2: 0.25}
    assert "Seconds per step are those of the runs on a machine, 1 thread (seeds 1, 2)." in " ".join(
        caption(experiment, {(cell.row, cell.column): after})
    )
    assert "0.25 ± 0 (2 of 3 seeds)" in markdown(tables(experiment, outcomes(experiment, results))[1])
    shared = replace(slow, device="a machine, 1 thread", jobs=4)
    results[cell.checksum] = (shared, *results[cell.checksum][1:])
    assert outcomes(experiment, results)[cell.row, cell.column].seconds == {1: 0.25, 2: 0.25}


def test_two_claims_about_the_same_runs_count_once() -> None:
    experiment, results = compare([0.60, 0.62, 0.61], [0.50, 0.51, 0.52])
    again = replace(experiment, claims=(*experiment.claims, replace(experiment.claims[0], text="once more")))
    assert counts(verdicts(again, results)).startswith("Of 1 claims of the paper, our runs agree with 1,")


def test_what_is_undecided_for_want_of_runs_is_counted() -> None:
    experiment, results = compare([0.60, 0.40, 0.61], [0.50, 0.51, 0.52])
    assert "leave 1 undecided. " in counts(verdicts(experiment, results))
    seed_0 = {checksum: runs[:1] for checksum, runs in results.items()}
    for few in (seed_0, {}):
        said = "leave 1 undecided, 1 of them without two seeds to compare."
        assert said in counts(verdicts(experiment, few))


def test_the_papers_difference_stands_beside_ours() -> None:
    claim = Claim(
        "r beats a truncated LSTM", ("r-LSTM, truncated", "CIFAR-10"), ("LSTM, truncated", "CIFAR-10")
    )
    (verdict,) = verdicts(make_experiment("table", claims=(claim,)), {})
    assert verdict.theirs == "+16.9 points" and verdict.reason.count("not run") == 2
    factors = {
        "pretraining": "+2.9 points",
        "second decoder layer": "+1.05 points",
    }  # with the paper's digits
    claims = tuple(Claim(f"{row} helps", ("r-LSTM", "CIFAR-10"), (row, "CIFAR-10")) for row in factors)
    found = verdicts(make_experiment("ablation", claims=claims), {})
    assert [verdict.theirs for verdict in found] == [*factors.values()]


@pytest.mark.parametrize("form", FORMS)
def test_tables_are_whole_and_say_in_words_what_is_missing(form: str) -> None:
    experiment = make_experiment(form)
    results = outcomes(experiment, make_results(experiment))
    shown = tables(experiment, results)
    assert len(shown) == (2 if form == "against length" else 1)
    for table in shown:
        lines = [line for line in markdown(table).splitlines() if line.startswith("|")]
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
        assert widths == {len(table.columns) + 2}
        assert len(lines) == len(table.lines) + 2
    if form != "curves":  # three configurations alone
        text = markdown(shown[0])
        words = [
            "failed",
            "infeasible",
            "not run",
            "(2 of 3 seeds)",
            " ± ",
            *(["95 % interval"] * (form != "ablation")),
        ]
        assert all(word in text for word in words)
        assert any(
            "failed: loss |nan| at step 3" in line and "seeds 0, 1, 2" in line for line in reasons(results)
        )
        assert any("seed 0: infeasible: a row needs 3 GB" in line for line in reasons(results))


def test_a_table_has_ours_above_the_papers() -> None:
    experiment = make_experiment("table")
    cell = experiment.cell("LSTM, truncated", "MNIST")
    assert cell is not None
    results = {cell.checksum: (run(cell, 0, 0.10), run(cell, 1, 0.14))}
    (table,) = tables(experiment, outcomes(experiment, results))
    lines = {line.name: line.cells for line in table.lines}
    assert lines["LSTM, truncated"] == ("12.0 ± 2.8", "not run", "not run")
    assert lines["LSTM, truncated (paper)"] == ("11.3", "88.8", "49.0")
    fewer = replace(experiment, cells=tuple(one for one in experiment.cells if one.column == "MNIST"))
    (table,) = tables(fewer, outcomes(fewer, results))
    lines = {line.name: line.cells for line in table.lines}
    assert lines["LSTM, truncated"] == ("12.0 ± 2.8", "–", "–")


def test_an_ablation_pairs_with_its_first_row() -> None:
    experiment = make_experiment("ablation")
    whole, without = experiment.cells[0], experiment.cells[2]
    results = {
        whole.checksum: (run(whole, 0, 0.60), run(whole, 1, 0.50)),
        without.checksum: (run(without, 0, 0.58), run(without, 1, 0.46)),
    }
    (table,) = tables(experiment, outcomes(experiment, results))
    lines = {line.name: line.cells for line in table.lines}
    # losses 2 and 4: mean 3, deviation √2
    assert lines["without joint training"] == ("52.0 ± 8.5", "+3.0 (-9.7 to +15.7)", "3.6")
    assert lines["r-LSTM"] == ("55.0 ± 7.1", "–", "–")


def test_the_table_against_length_says_whose_length_it_is() -> None:
    experiment = make_experiment("against length")
    accuracy, seconds = tables(experiment, outcomes(experiment, make_results(experiment)))
    lines = {line.name: line.cells for line in accuracy.lines}
    assert lines["length T, steps"][0] == "400" and lines["length T, steps (paper)"][0] == "1,600"
    assert lines["LSTM, full BPTT (paper)"][-1] == "out of memory"
    times = {line.name: line.cells for line in seconds.lines}
    assert times["LSTM, full BPTT (paper)"][-2:] == ("~26.4", "out of memory")
    assert times["p-LSTM"][0] == "0.25 ± 0" and times["p-LSTM (paper)"][:2] == ("~2.9", "–")


def test_curves_have_training_and_test_of_one_run() -> None:
    experiment = make_experiment("curves")
    results = make_results(experiment)
    assert len(results) == 3 and len(experiment.cells) == 6
    band = mean_curve(outcomes(experiment, results)["r-LSTM", "test"])
    low, mean, high = band[-1]
    assert low.step == mean.step == high.step == 30
    accuracies = [low.test_accuracy, mean.test_accuracy, high.test_accuracy]
    assert accuracies == pytest.approx([0.27, 0.28, 0.29])


def test_the_caption_says_scale_machine_seeds_and_time() -> None:
    experiment, results = compare([0.6, 0.6, None], [0.5, 0.5, 0.5])
    text = " ".join(caption(experiment, outcomes(experiment, results)))
    for part in ("5 runs finished (seeds 0, 1, 2), 1 did not", "1,000 rows", "tested on 200", "60 s to 62 s per run", "a machine, 1 thread"):  # fmt: skip
        assert part in text
    assert warning("small", []) == "Scale small: not the paper's setting."
    single, one_seed = compare([0.6], [0.5])
    assert "one seed, so no spread" in " ".join(caption(single, outcomes(single, one_seed)))


def test_a_small_data_set_cannot_pass_for_the_papers(tmp_path: Path) -> None:
    table = make_experiment("table", "paper")
    own, other = table.cells[:2]
    cells = (replace(own, settings={"data": "mnist"}), replace(other, settings={"data": "dbpedia"}))
    experiment = replace(table, cells=cells, rows=(own.row, other.row))
    runs = [replace(run(cell, 0, 0.5), train_rows=60_000) for cell in cells]
    for rows, said in ((560_000, "the paper's setting"), (5_000, "DBpedia has 5,000 training rows, the paper's 560,000")):  # fmt: skip
        results = {cell.checksum: (replace(one, train_rows=rows if cell == cells[1] else 60_000),) for cell, one in zip(cells, runs, strict=True)}  # fmt: skip
        what = document(experiment, results, "backcast reproduce table2")
        write_experiment(what, tmp_path)
        write_claims(all_claims([what]), [what.warning], tmp_path, "backcast reproduce all")
        write_data_sets([DataSet("MNIST", 784, 10, 60_000, 10_000), DataSet("DBpedia", 300, 14, rows, 70)], tmp_path, "…", "paper")  # fmt: skip
        for name in ("table2.md", "claims.md", "table1.md"):
            assert said in (tmp_path / name).read_text(), (name, rows)
        figure = file_content(what.figure).decode()
        assert ("not the paper's data" in figure) == (rows == 5_000)


@pytest.mark.parametrize("form", FORMS)
def test_the_csv_has_a_line_a_cell_and_unrounded_numbers(form: str) -> None:
    experiment = make_experiment(form)
    results = make_results(experiment)
    lines = list(csv.DictReader(io.StringIO(csv_text(experiment, outcomes(experiment, results)))))
    places = [(line["row"], line["column"]) for line in lines]
    assert set(places) >= {(cell.row, cell.column) for cell in experiment.cells}
    assert len(places) == len(set(places))
    for line in lines:
        cell = experiment.cell(line["row"], line["column"])
        values = [one.accuracy for one in results.get(cell.checksum if cell else "", ()) if one.accuracy]
        assert int(line["seeds"]) == len(values)
        if values:
            assert float(line["mean"]) == pytest.approx(100 * np.mean(values), rel=1e-14)
            assert line["status"] == "finished" and (line["train_rows"], line["test_rows"]) == ("1000", "200")
        else:
            assert line["mean"] == "" and line["status"] != "finished"
        assert cell is None or line["checksum"] == cell.checksum


def test_a_smoke_run_shows_no_number_of_ours(tmp_path: Path) -> None:
    claim = Claim("r beats p", ("r-LSTM", "40"), ("p-LSTM", "40"))
    experiment = make_experiment("against length", "smoke", (claim,))
    results = make_results(experiment)
    write_experiment(document(experiment, results, "backcast reproduce figure3"), tmp_path)
    text = (tmp_path / "figure3.md").read_text()
    assert text.count(NOT_MEASURED) >= 3 and "±" not in text and "| 0.25 |" not in text
    assert "nothing is measured here" in (tmp_path / "figure3.svg").read_text()
    for line in csv.DictReader(io.StringIO((tmp_path / "figure3.csv").read_text())):
        assert line["mean"] == line["seconds_per_step"] == ""
    assert [verdict.answer for verdict in verdicts(experiment, results)] == ["not decided at this scale"]


def test_published_numbers_are_the_papers() -> None:
    assert published.TABLE2["LSTM, truncated", "MNIST"] == Published(11.3)
    assert published.TABLE2["r-LSTM, full BPTT", "CIFAR-10"] == Published(72.2)
    assert ("iRNN", "CIFAR-10") not in published.TABLE2
    assert published.TABLE4["p-LSTM", "DBpedia"] == Published(2.85)
    assert published.TABLE5["0 steps", "20×30"] == Published(41.6)
    assert published.FIGURE3["Transformer", "96"] == Published(1.9, approximate=True)
    assert ("LSTM, full BPTT", "128") not in published.FIGURE3
    assert published.FIGURE3_SECONDS["LSTM, full BPTT", "112"] == Published(26.4, approximate=True)
    assert published.FIGURE4["r-LSTM", "1"] == Published(46.0)
    assert published.FIGURE4["p-LSTM", "0"] == Published(35, approximate=True)
    assert published.FIGURE6["second decoder layer", "CIFAR-10"] == Published(1.05)


def test_published_numbers_are_percentages_and_tables_agree() -> None:
    for numbers in (*published.PUBLISHED.values(), published.FIGURE3_SECONDS):
        assert all(0 <= one.value <= 100 for one in numbers.values())
    sizes = {name: len(numbers) for name, numbers in published.PUBLISHED.items()}
    assert sizes == {"table2": 22, "table3": 6, "table4": 4, "table5": 12, "figure3": 37, "figure4": 13, "figure5": 6, "figure6": 9}  # fmt: skip
    assert len(published.FIGURE3_SECONDS) == 27 and "48" not in published.TIMED
    assert list(published.LENGTHS.values()) == [1600, 2304, 3136, 5184, 6400, 9216, 12544, 16384]
    for column in published.IMAGES:
        row = "r-LSTM, full BPTT"
        assert published.TABLE3[row, column] == published.TABLE2[row, column]
    for method in ("r-LSTM", "p-LSTM"):
        assert published.FIGURE4[method, "300"] == published.TABLE2[f"{method}, truncated", "CIFAR-10"]
    assert published.FIGURE4["r-LSTM", "0"] == published.TABLE5["0 steps", "1×600"]
    lost = published.TABLE2["r-LSTM, truncated", "CIFAR-10"].value - published.TABLE2["LSTM, truncated", "CIFAR-10"].value  # fmt: skip
    assert published.FIGURE6["auxiliary loss", "CIFAR-10"].value == pytest.approx(lost)


def test_published_numbers_keep_their_digits() -> None:
    shown = [published_text(one) for one in (Published(46.0), Published(1.85), Published(61, True), None)]
    assert shown == ["46.0", "1.85", "~61", "–"]


@pytest.mark.parametrize(
    ("form", "scale"),
    [*((form, scale) for form in FORMS for scale in ("small", "smoke")), ("table", "nothing")],
)
def test_a_figure_of_every_form_is_drawn_without_a_warning(form: str, scale: str) -> None:
    experiment = make_experiment(form, scale)
    results = {} if scale == "nothing" else make_results(experiment)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        content = file_content(experiment_figure(experiment, outcomes(experiment, results)))
    text = " ".join(
        node.firstChild.data
        for node in minidom.parseString(content).getElementsByTagName("text")
        if node.firstChild
    )
    assert "paper" in text and f"scale {scale}" in text
    if scale != "small":
        assert "nothing is measured here" in text or "no run has finished" in text


@pytest.mark.parametrize("form", ["table", "curves", "against length"])
def test_a_figure_without_published_numbers_has_no_panel_of_the_paper(form: str) -> None:
    given = make_experiment(form)
    cells = tuple(Cell(cell.row, cell.column, cell.settings, None, cell.x) for cell in given.cells)
    experiment = Experiment("extension", "Ours", "paper", given.form, "accuracy", "", given.rows, given.columns, cells)  # fmt: skip
    results = outcomes(experiment, make_results(experiment, seeds=1))
    assert b">paper" not in file_content(experiment_figure(experiment, results))


def test_seconds_far_below_the_slowest_can_be_told_apart() -> None:
    experiment, figure = make_experiment("against length"), Figure(layout="constrained")
    times = dict(zip(experiment.rows, (0.01, 0.03, 0.05, 0.02, 1.0), strict=True))
    results = {
        cell.checksum: (replace(run(cell, 0, 0.5), seconds_per_step=times[cell.row]),)
        for cell in experiment.cells
    }
    figures._against_length(figure, experiment, outcomes(experiment, results))
    seconds = next(axes for axes in figure.axes if axes.get_ylabel() == "seconds of a training step")
    heights = seconds.transData.transform([(100, times[row]) for row in experiment.rows])[:, 1]
    apart = np.diff(np.sort(heights)) / seconds.bbox.height
    assert apart.min() > 0.05


def test_the_papers_half_of_a_shrunk_experiment_has_the_papers_own_names() -> None:
    shrunk = scale("small", dogs_are_there=False)
    figure4, figure3 = (EXPERIMENTS[name](shrunk) for name in ("figure4", "figure3"))
    results = outcomes(figure4, make_results(figure4, seeds=1))
    content = file_content(experiment_figure(figure4, results)).decode()
    assert ">300</text>" in content and ">75</text>" in content and "(paper: 300)" not in content
    accuracy = tables(figure3, outcomes(figure3, {}))[0]
    names = {line.name for line in accuracy.lines}
    assert {"r-LSTM 19×2 (paper: r-LSTM 20×30)", "r-LSTM 20×30 (paper)"} <= names


def test_the_page_stands_alone_and_has_every_experiment(tmp_path: Path) -> None:
    claim = Claim("r <beats> p", ("r-LSTM, truncated", "MNIST"), ("p-LSTM, truncated", "MNIST"))
    experiments = [make_experiment(form, claims=(claim,) if form == "table" else ()) for form in FORMS]
    found = {key: runs for one in experiments for key, runs in make_results(one).items()}
    sets = [DataSet("MNIST, 1,000 rows", 784.0, 10, 1000, 200)]
    documents = [document(one, found, f"backcast reproduce {one.name}") for one in experiments]
    path = write_page(
        documents, all_claims(documents), tmp_path, "backcast reproduce all", sets, "A copy, re-encoded."
    )
    page = path.read_text()
    assert path.name == "report.html" and list(path.parent.iterdir()) == [path]
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?(http|//|file)""", page)
    assert "prefers-color-scheme: dark" in page
    for experiment in experiments:
        assert f'id="{experiment.name}"' in page and f'href="#{experiment.name}"' in page
    assert page.count('src="data:image/svg+xml;base64,') == len(experiments) + 1  # of the claims
    assert "r &lt;beats&gt; p" in page and "Of 1 claims" in page and "loss |nan| at step 3" in page
    assert "<code>backcast reproduce table2</code>" in page
    assert page.index("A copy, re-encoded.") < page.index('id="claims"')
    assert page.count("Scale small: not the paper&#39;s setting.") == 1 + len(experiments)


def test_an_experiment_is_three_files(tmp_path: Path) -> None:
    experiment, results = compare([0.60, 0.62, 0.61], [0.50, 0.51, 0.52])
    what = document(experiment, results, "backcast reproduce extension --seeds 3")
    write_experiment(what, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "extension.csv",
        "extension.md",
        "extension.svg",
    ]
    text = (tmp_path / "extension.md").read_text()
    assert "**Scale small: not the paper's setting.**" in text and "one beats other: **agrees**" in text
    assert "`backcast reproduce extension --seeds 3`" in text and "(extension.svg)" in text
    blocked = tmp_path / "extension.md"
    with pytest.raises(InputError, match="cannot be written"):
        write_experiment(what, blocked)


def test_the_claims_are_one_picture_of_what_was_compared(tmp_path: Path) -> None:
    """An answer has its own colour; the paper's number is there where it has one; what has no pair is left out."""

    def drawn(experiment: Experiment, results: Results) -> str | None:
        what = document(experiment, results, "…")
        (claims,) = all_claims([what])
        write_claims([claims], [what.warning], tmp_path, "…")
        return claims.figure and file_content(claims.figure).decode()

    below, above = [0.50, 0.51, 0.52], [0.60, 0.62, 0.61]
    pictures = {
        "agrees": drawn(*compare(above, below)),
        "disagrees": drawn(*compare(below, above)),
        "not decided at this scale": drawn(*compare(above, [0.7, 0.5, 0.6])),
    }
    for answer, picture in pictures.items():
        assert picture is not None and "one beats other" in picture and "not the paper" in picture
        assert [one for one, other in pictures.items() if LOOKS[answer]["color"] in (other or "")] == [answer]
    assert "(claims.svg)" in (tmp_path / "claims.md").read_text()
    assert (tmp_path / "claims.svg").read_text() == pictures["not decided at this scale"]

    experiment, results = compare(above, below)
    cells = tuple(replace(cell, published=Published(50.0)) for cell in experiment.cells)
    with_paper, without = drawn(replace(experiment, cells=cells), results), pictures["agrees"]
    assert with_paper is not None and without is not None
    assert with_paper.count(PAPER["color"]) > without.count(PAPER["color"])

    assert drawn(experiment, {}) is None and "(claims.svg)" not in (tmp_path / "claims.md").read_text()
    ours = replace(experiment, claims=(replace(experiment.claims[0], ours=True),))
    asked = drawn(ours, results)
    assert (
        asked == (tmp_path / "questions.svg").read_text()
        and ">yes<" in asked
        and ">agrees<" in (without or "")
    )


def test_the_data_sets_stand_beside_the_papers(tmp_path: Path) -> None:
    sets = [
        DataSet("Stanford Dogs, side 40", 1600.0, 120, 12_000, 8_580),
        DataSet("Stanford Dogs, side 48", 2304.0, 120, 12_000, 8_580),
        DataSet("ours", 60.55, 2, 10, 5),
    ]
    instead = [
        line.name
        for line in data_set_table([DataSet("CIFAR-10 (figure 3), 10 × 10", 100.0, 10, 40, 5)]).lines
    ]
    assert instead == ["Stanford Dogs (paper)", "CIFAR-10 (figure 3), 10 × 10, in place of Stanford Dogs"]
    lines = [(line.name, line.cells) for line in data_set_table(sets).lines]
    assert lines[0] == ("Stanford Dogs (paper)", ("1,600 – 16,384", "120", "150,000", "–"))
    assert [name for name, _ in lines[1:]] == [one.name for one in sets]
    first, _, last = csv.DictReader(io.StringIO(data_set_csv(sets, "small")))
    assert (first["paper_training_examples"], last["paper_training_examples"]) == ("150000", "")
    assert first["scale"] == "small"
    write_data_sets(sets, tmp_path, "backcast reproduce table1", "small", "A copy, re-encoded.")
    assert read_data_sets(tmp_path, "small") == sets and read_data_sets(tmp_path / "none", "small") == []
    assert read_data_sets(tmp_path, "paper") == [], "another scale reads other rows"
    text = (tmp_path / "table1.md").read_text()
    assert "| ours | 60.5 | 2 | 10 | 5 |" in text and "A copy, re-encoded." in text


def test_the_caption_has_the_note_and_says_where_seeds_had_other_data(tmp_path: Path) -> None:
    experiment = make_experiment("table")
    runs = [run(experiment.cells[0], seed, 0.5) for seed in (0, 1)]
    same = {experiment.cells[0].checksum: tuple(runs)}
    what = document(experiment, same, "backcast reproduce table2", "A copy, re-encoded.")
    write_experiment(what, tmp_path)
    text = (tmp_path / "table2.md").read_text()
    assert "A copy, re-encoded." in text and "not all have the same rows" not in text
    write_claims(
        all_claims([what]), [what.warning], tmp_path, "backcast reproduce all", "A copy, re-encoded."
    )
    assert "A copy, re-encoded." in (tmp_path / "claims.md").read_text()
    several = {experiment.cells[0].checksum: (runs[0], replace(runs[1], data_sha256="other", jobs=2))}
    write_experiment(document(experiment, several, "backcast reproduce table2"), tmp_path)
    text = (tmp_path / "table2.md").read_text()
    assert "not all have the same rows" in text and "2 runs at once" in text and "re-encoded" not in text
