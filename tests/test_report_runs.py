"""Reports of runs as users have them: few rows, labels written in two ways, splits without labels, odd names."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from xml.dom import minidom

import numpy as np
import pytest
from matplotlib.figure import Figure

from backcast import demo
from backcast.build import TrainedModel
from backcast.cli import main
from backcast.config import Config
from backcast.data.sequences import Sequences
from backcast.errors import InputError
from backcast.methods import METHODS
from backcast.phases import phases
from backcast.prepared import prepare
from backcast.report.collect import collect
from backcast.report.figures import accuracy_figure, curve_figure, draw_memory, memory_figure, with_looks
from backcast.report.memory import MOST_ERROR, MemoryCurve, memory_curve
from backcast.report.page import QUANTITIES, _texts
from backcast.report.reconstructions import Recall
from backcast.report.results import Group
from backcast.report.symbols import UNKNOWN
from backcast.run import train as train_model
from backcast.trainer import Interrupted
from test_report import train


def write_splits(folder: Path, **labels: list[object]) -> Path:
    """A table a split, of random rows with these labels; None: an empty cell."""
    generator = np.random.default_rng(0)
    folder.mkdir()
    for split, own in labels.items():
        lines = [" ".join(f"{x:.3f}" for x in generator.normal(size=8)) for _ in own]
        rows = [f"{line},{'' if label is None else label}" for line, label in zip(lines, own, strict=True)]
        (folder / f"{split}.csv").write_text("\n".join(["x,label", *rows]) + "\n")
    return folder


def group_of(run: str) -> Group:
    (group,) = collect([Path(run)], None, lambda line: None).groups
    return group


def drawn(image: str | None) -> minidom.Element:
    """A figure's SVG."""
    assert image is not None
    root = minidom.parseString(base64.b64decode(image.partition(",")[2])).documentElement
    assert root is not None
    return root


def texts_of(image: str | None) -> set[str]:
    return {text.firstChild.data for text in drawn(image).getElementsByTagName("text")}


def page_of(run: str, *more: str) -> str:
    out = "interactive.html" if "--interactive" in more else "report.html"
    assert main(["report", run, *more, "--out", str(Path(run) / out)]) == 0
    return (Path(run) / out).read_text()


@pytest.mark.parametrize(("rows", "said"), [(29, "29 rows, too few to trust"), (30, "30 rows")])
def test_both_pages_say_on_how_many_rows_memory_was_measured(rows: int, said: str, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(60, 8))
    for split, x in (("train", values), ("test", values[:rows])):
        (tmp_path / "data").mkdir(exist_ok=True)
        np.savez(tmp_path / "data" / f"{split}.npz", x=x, y=np.arange(len(x)) % 2)
    run = train(tmp_path / "data", "lstm", tmp_path / "run")
    assert group_of(run).runs[0].memory.rows == rows
    report = page_of(run)
    assert f"The first seed of each group, measured on {said}." in report
    assert f"fitted on training rows and measured on {said}, gives" in report
    assert f"measured on {said} (test)" in page_of(run, "--interactive")


def test_labels_written_in_another_way_in_the_test_rows_are_those_of_the_model(tmp_path: Path) -> None:
    data = write_splits(tmp_path / "data", train=[1, 2] * 20, test=["1.0", "2.0"] * 5)
    run = train(data, "lstm", tmp_path / "run")
    measured = group_of(run).runs[0].measured
    assert measured.classes == (1, 2) and measured.labels.tolist() == [0, 1] * 5
    assert '"classes":["1","2"]' in page_of(run, "--interactive")


@pytest.mark.parametrize("split", ["test", "validation"])
def test_rows_with_labels_are_measured_where_a_split_has_none(split: str, tmp_path: Path) -> None:
    data = write_splits(tmp_path / "data", **{"train": ["a", "b"] * 20, split: [None] * 10})
    run = train(data, "lstm", tmp_path / "run")
    assert group_of(run).accuracy != "–"
    assert "these rows also chose the epoch" in page_of(run)
    alone = train(data, "r-lstm", tmp_path / "alone", "--epochs", "0")
    assert len(group_of(alone).runs[0].measured) == 10, "memory is measured on rows without a label, too"


def test_a_class_of_the_test_rows_alone_is_told_before_training_and_when_it_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels: list[object] = [1, 2] * 20
    run = train(write_splits(tmp_path / "same", train=labels, test=["1.0", "2.0"]), "lstm", tmp_path / "run")
    assert "has classes" not in capsys.readouterr().err
    run = train(write_splits(tmp_path / "more", train=labels, test=[1, 2, 3]), "lstm", tmp_path / "other")
    assert "test: has classes that the training rows have not ('3'); neither" in capsys.readouterr().err
    assert main(["report", run]) == 2
    assert "Leave such rows out, or train on some of them" in capsys.readouterr().err


def test_runs_that_learned_different_classes_are_not_put_into_one_report(tmp_path: Path) -> None:
    data = tmp_path / "two.csv"
    rows = [f"{i} 1 {i % 5},{i % 2},{i % 4},{i % 3 % 2}" for i in range(60)]
    data.write_text("\n".join(["x,coarse,fine,other", *rows]) + "\n")
    coarse, fine, other = (
        Path(train(data, "lstm", tmp_path / label, "--label", label)) for label in ("coarse", "fine", "other")
    )
    for runs in ([coarse, fine], [coarse, other]):
        with pytest.raises(InputError, match="learned different classes"):
            collect(runs, None, lambda line: None)


@pytest.mark.parametrize(
    ("steps", "said", "epochs"),
    [
        (3, ", stopped after 1 of 2 pretraining + 0 of 9 joint epochs", "1 of 2 + 0 of 9"),
        (6, ", stopped after 2 pretraining + 1 of 9 joint epochs", "2 + 1 of 9"),
    ],
)
def test_of_a_run_that_was_stopped_both_pages_say_when_and_show_no_score_of_an_untaught_classifier(
    steps: int, said: str, epochs: str, npz: Path, tmp_path: Path
) -> None:
    done: list[int] = []
    config = Config(
        data=str(npz), method="r-lstm", hidden_size=6, embedding_size=4, feedforward_size=8, truncation=4,
        segment_length=4, pretrain_epochs=2, epochs=9, batch_size=32, device="cpu",
    )  # fmt: skip
    per_epoch = -(-len(prepare(config).train) // 32)
    with pytest.raises(Interrupted):
        train_model(config, tmp_path / "run", on_advance=done.append, stop=lambda: len(done) >= steps * per_epoch / 2)  # fmt: skip
    page, interactive = page_of(str(tmp_path / "run")), page_of(str(tmp_path / "run"), "--interactive")
    assert said in page and said in interactive
    assert f'data-label="epochs">{epochs}<' in page
    taught = steps > 4
    for part in ("accuracy of each group", "confusion matrix", "Chance is", ", accuracy "):
        assert (part in page) == taught
    assert ('"probabilities":null' in interactive) != taught and ('"accuracy":null' in interactive) != taught


@pytest.mark.parametrize("method", METHODS)
def test_every_loss_has_a_curve(method: str) -> None:
    for phase in phases(Config(method=method)):
        assert {objective.name for objective in phase.objectives} <= set(QUANTITIES)


def test_truncation_is_named_only_where_there_is_a_gradient_to_truncate(npz: Path, tmp_path: Path) -> None:
    for number, (expected, method, *more) in enumerate(
        (
            ("4", "lstm"),
            ("none", "lstm", "--truncation", "none"),
            ("–", "transformer"),
            ("–", "r-lstm", "--epochs", "0"),
        )
    ):
        run = train(npz, method, tmp_path / str(number), *more)
        assert f'<td data-label="truncation">{expected}</td>' in page_of(run)


def test_a_name_that_is_not_utf_8_is_no_obstacle_to_either_page(npz: Path, tmp_path: Path) -> None:
    run = train(npz.rename(tmp_path / "caf\udce9.npz"), "r-lstm", tmp_path / "run")
    assert "caf?" in page_of(run) and "caf?" in page_of(run, "--interactive")


def test_groups_that_were_measured_on_other_rows_are_said_to_be_with_the_count_of_each(
    npz: Path, tmp_path: Path
) -> None:
    few, many, same = (
        train(npz, method, tmp_path / f"{method}{share}", "--validation", share)
        for method, share in (("lstm", "0.1"), ("r-lstm", "0.5"), ("r-lstm", "0.1"))
    )
    page = page_of(few, many)
    assert "not measured on the same rows: lstm0.1 on 6 rows; r-lstm0.5 on 30 rows." in page
    assert "and not all runs held out the same" in page
    assert "on 6 rows; r-lstm0.5 on 30 rows." in page_of(few, many, "--interactive")
    page = page_of(few, same)
    assert "not measured on the same" not in page and "not all runs held out" not in page
    seeds = [train(npz, "lstm", tmp_path / f"s{seed}", "--seed", seed) for seed in "12"]
    alike = [train(npz, "r-lstm", tmp_path / f"r{seed}", "--seed", seed) for seed in "12"]
    page = page_of(seeds[0], seeds[1], *alike)
    assert "not measured on the same" not in page, "each group has the same two seeds"
    assert "and not all runs held out the same" in page
    assert "r-lstm0.1 on 6 rows; lstm on 6 rows, each of 2 seeds." in page_of(same, *seeds)


def test_a_group_is_named_by_what_it_has_set_and_long_names_get_room(npz: Path, tmp_path: Path) -> None:
    more = ("--hidden-size", "5", "--dropconnect", "0.25", "--learning-rate", "0.002", "--clip-norm", "2")
    kinds: dict[str, tuple[str, ...]] = {"plain": (), "other": more}
    runs = [
        Path(train(npz, "gru", tmp_path / f"{kind}{seed}", "--seed", str(seed), *settings))
        for kind, settings in kinds.items()
        for seed in (0, 1)
    ]
    results = collect(runs, None, lambda line: None)
    plain, other = results.groups
    assert plain.name == "gru --hidden-size 6"
    assert other.name == "gru --hidden-size 5 --dropconnect 0.25 --learning-rate 0.002 --clip-norm 2.0"
    short = replace(results, groups=[replace(group, name="gru") for group in results.groups])
    heights = [float(drawn(accuracy_figure(each)).getAttribute("height")[:-2]) for each in (short, results)]
    assert heights[1] - heights[0] > 20, "points: other's name takes three lines"


def test_channels_have_their_names_and_it_is_said_that_not_all_are_drawn(tmp_path: Path) -> None:
    lines = [f"{i},{t},{t % 2},{i},{t % 3},0.5,{t},{'ab'[i % 2]}" for i in range(20) for t in range(6)]
    table = tmp_path / "steps.csv"
    table.write_text("\n".join(["id,t,speed,heat,a very long name of a column,d,e,label", *lines]) + "\n")
    page = page_of(train(table, "r-lstm", tmp_path / "run", "--time", "t"))
    assert "the first 3 of 5 channels are drawn." in page
    image = page.partition('alt="truth beside what run says" src="')[2].partition('"')[0]
    assert {"speed", "heat", "a very lo…a column"} <= texts_of(image)


def test_a_curve_that_hardly_changes_has_its_whole_numbers_beside_it(npz: Path, tmp_path: Path) -> None:
    run = Path(train(npz, "lstm", tmp_path / "run"))
    (entry,) = [line for line in (run / "metrics.jsonl").read_text().splitlines() if "epoch" in line][-1:]
    entries = [
        {**json.loads(entry), "step": step, "classification": 1.62 + step * 1e-7} for step in (1, 2, 3)
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in entries))
    image = curve_figure(collect([run], None, lambda line: None), "classification", "the loss")
    texts = texts_of(image)
    assert not any("+" in text or "e" in text for text in texts - {"the loss", "training steps"})
    assert {"1", "2", "3"} <= texts and not any("." in text for text in texts if not text.startswith("1.62"))


def test_errors_above_the_limit_lie_at_the_upper_border_and_the_captions_say_so(
    npz: Path, tmp_path: Path
) -> None:
    run = train(npz, "lstm", tmp_path / "run")
    results = collect([Path(run)], None, lambda line: None)
    (group,) = results.groups
    curve = replace(group.runs[0].memory, error=np.where(group.runs[0].memory.distances % 2, 0.5, 9.0))
    figure = Figure()
    axes = figure.subplots()
    draw_memory(axes, replace(results, groups=[replace(group, runs=[replace(group.runs[0], memory=curve)])]))
    assert axes.get_ylim() == (0, MOST_ERROR)
    assert set(axes.lines[0].get_ydata()) == {0.5, MOST_ERROR}
    for page in (page_of(run), page_of(run, "--interactive")):
        assert f"larger than {MOST_ERROR} lies at the upper border" in page
        assert "the class" in page and "neighbouring elements tell of each other" in page


def test_pretraining_is_shaded_only_where_no_group_learned_from_labels_meanwhile(
    npz: Path, tmp_path: Path
) -> None:
    runs = [Path(train(npz, method, tmp_path / method)) for method in ("lstm", "r-lstm", "p-lstm")]
    for asked, shaded in ((runs, False), (runs[1:], True), (runs[:1], False)):
        results = collect(asked, None, lambda line: None)
        assert ("pretraining" in texts_of(curve_figure(results, "classification", "loss"))) == shaded
    results = collect(runs, None, lambda line: None)
    assert "pretraining" in texts_of(curve_figure(results, "reconstruction", "loss")), "of r-lstm alone"


def test_data_that_were_named_from_another_folder_are_said_to_be_with_the_run(
    npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(npz.parent)
    run = train(npz.name, "lstm", tmp_path / "run")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    capsys.readouterr()
    assert main(["report", run]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(
        f"backcast: {run}: the data that it was trained on: {npz.name}: there is no such file"
    )
    assert said.endswith(f"; run this in the folder from which it was trained, if {npz.name} lies there")


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("environment.json", {"rows": None}, "environment.json: is damaged: `rows` are no counts"),
        ("environment.json", {"rows": {"train": "x"}}, "environment.json: is damaged: `rows` are no counts"),
        ("environment.json", {"command": 3}, "environment.json: is damaged: `command` is no list"),
        (
            "environment.json",
            [1],
            "is not a run (there is no config.yaml in it, or no environment.json of ours)",
        ),
        ("metrics.jsonl", [1], "metrics.jsonl: is damaged: entry 1 is no object"),
        ("metrics.jsonl", {"seconds": None}, "metrics.jsonl: is damaged: entry 1 has no seconds"),
        ("metrics.jsonl", {"phase": 1}, "metrics.jsonl: is damaged: entry 1 has no phase"),
        (
            "metrics.jsonl",
            {"validation_loss": None},
            "metrics.jsonl: is damaged: entry 1 has no validation_loss",
        ),
    ],
)
def test_a_run_with_damaged_files_that_are_still_json_is_refused_in_one_line(
    name: str, change: object, said: str, npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(npz, "lstm", tmp_path / "run")
    file = Path(run) / name
    found = json.loads(file.read_text().splitlines()[-1] if name == "metrics.jsonl" else file.read_text())
    file.write_text(json.dumps({**found, **change} if isinstance(change, dict) else change) + "\n")
    capsys.readouterr()
    assert main(["report", run]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_lines_of_many_groups_are_told_apart(npz: Path, tmp_path: Path) -> None:
    results = collect([Path(train(npz, "lstm", tmp_path / "run"))], None, lambda line: None)
    (group,) = results.groups
    many = replace(results, groups=[replace(group, name=f"g{number}") for number in range(56)])
    assert len({look for look, _ in with_looks(many.groups)}) == 56
    for image in (memory_figure(many), curve_figure(many, "classification", "loss")):
        styles = [path.getAttribute("style") for path in drawn(image).getElementsByTagName("path")]
        looks = {
            (re.search("stroke: (#.{6})", style)[1], tuple(re.findall("dasharray: (.*?);", style)))  # type: ignore[index]
            for style in styles
            if re.search("fill: none.*stroke-width: 1.[58]", style)
        }
        assert len(looks) == 56


def test_a_folder_with_a_control_character_in_its_name_draws_figures_that_can_be_read(
    npz: Path, tmp_path: Path
) -> None:
    run = train(npz, "lstm", tmp_path / "r\x01n")
    images = re.findall(r'src="(data:image/svg[^"]*)"', page_of(run))
    assert len(images) > 3 and any(r"r\x01n" in " ".join(texts_of(image)) for image in images)


def test_the_demo_measures_memory_as_the_report_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted_on = []

    def measure(model: TrainedModel, fit_rows: Sequences, test_rows: Sequences) -> MemoryCurve:
        fitted_on.append(fit_rows.starts)
        return memory_curve(model, fit_rows.select(np.arange(9)), test_rows.select(np.arange(9)))

    for place in ("backcast.demo", "backcast.report.collect"):
        monkeypatch.setattr(f"{place}.memory_curve", measure)
    job = demo._Job("lstm", tmp_path / "run", seed=0, scale=0.001, resume=False, overwrite=False)
    demo._run_job(job, lambda steps: None, lambda: False)
    group_of(str(tmp_path / "run"))
    np.testing.assert_array_equal(*fitted_on)


def test_of_a_symbol_unknown_to_the_model_no_answer_is_right() -> None:
    truth = np.array([0.0, 1.0, 2.0, 2.0])
    recalled = Recall(truth, np.array([4]), np.array([[0.0, 0.0, 2.0, 1.0]]), None)
    (text,) = _texts(recalled, ["a", "b", UNKNOWN])
    assert [good for _, _, good in text.pairs] == [True, False, False, False]
    assert text.title == "reconstructed from step 4: 1 of these 4 right"


def test_what_is_counted_once_is_not_said_of_many(npz: Path, tmp_path: Path) -> None:
    run, other = (train(npz, "lstm", tmp_path / seed, "--seed", seed) for seed in "01")
    assert "not all runs held out the same" not in page_of(run)
    assert "not all runs held out the same" in page_of(
        run, other, "--out", str(tmp_path / "0" / "report.html")
    )
    data = write_splits(tmp_path / "data", train=["a", "b"] * 20, test=["a"] * 5 + [None])
    assert "1 class in the 5 rows with a label" in page_of(train(data, "lstm", tmp_path / "one"))
