"""The interactive page: what it holds is what the networks say, it stays small, and nothing in it runs that is not ours."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from backcast.cli import main
from backcast.errors import InputError
from backcast.prepared import prepare
from backcast.report.collect import collect
from backcast.report.interactive import data as page_contents
from backcast.report.interactive import detail as details
from backcast.report.interactive.answers import _judged, ask, by_distance
from backcast.report.interactive.chosen import shown_rows, shown_runs
from backcast.report.interactive.data import page_data
from backcast.report.interactive.detail import MOST_BYTES, Detail, Steps, choose_steps, row_bytes
from backcast.report.interactive.page import SCRIPTS, interactive_page
from backcast.report.reconstructions import recall
from backcast.report.results import Group, Results, RunResult
from backcast.run import read_config

TINY = [
    "--hidden-size", "6", "--embedding-size", "4", "--feedforward-size", "8", "--truncation", "4", "--device", "cpu",
    "--segment-length", "4", "--anchors", "2", "--pretrain-epochs", "1", "--epochs", "1",
]  # fmt: skip
TYPES = {"u1": np.uint8, "u2": np.uint16, "u4": np.uint32, "f4": np.float32}


def train(data: Path | str, method: str, out: Path, *more: str) -> Path:
    assert main(["train", str(data), "--method", method, *TINY, "--out", str(out), *more]) == 0
    return out


def measured(*runs: Path) -> Results:
    return collect(list(runs), None, lambda line: None)


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert found is not None
    return json.loads(found[1])


def unpack(packed: dict[str, str]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed["data"]), TYPES[packed["type"]])


def fractions(packed: dict[str, str], most: float = 1.0) -> np.ndarray:
    codes = unpack(packed)
    return np.where(codes == 255, np.nan, codes / 254 * most)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run a method on ragged rows of two channels and three classes."""
    folder = tmp_path_factory.mktemp("interactive")
    generator = np.random.default_rng(0)
    x = generator.normal(size=(60, 40, 2)) * (1, 7) + (0, 50)
    np.savez(
        folder / "mine.npz", x=x, y=np.array(["a", "b", "c"])[np.arange(60) % 3],
        lengths=generator.integers(20, 41, 60), ids=np.array([f"row-{i}" for i in range(60)]),
    )  # fmt: skip
    return {
        method: train(folder / "mine.npz", method, folder / method)
        for method in ("lstm", "r-lstm", "p-lstm", "rp-lstm", "transformer")
    }


@pytest.fixture(scope="module")
def recurrent(runs: dict[str, Path]) -> Results:
    return measured(*(runs[method] for method in ("lstm", "r-lstm", "p-lstm", "rp-lstm")))


def test_probabilities_are_what_the_model_says_of_so_many_steps(recurrent: Results) -> None:
    data = data_of(interactive_page(recurrent, "the command"))
    run, shown_row = recurrent.groups[1].runs[0], data["rows"][2]
    which = [str(i) for i in run.measured.ids].index(shown_row["id"])
    row = run.measured.select(np.array([which]))
    places = unpack(shown_row["places"])
    assert places.tolist() == list(range(1, int(row.lengths[0]) + 1)) and shown_row["steps"] == places[-1]
    answer = shown_row["answers"][1]
    found = fractions(answer["probabilities"]).reshape(len(places), 3)
    said = np.array(data["classes"])[unpack(answer["classes"])].reshape(len(places), 3)
    for place, steps in enumerate(places):
        expected = run.model.predict_proba(row.cut(int(steps)))[0]
        np.testing.assert_allclose(
            found[place], expected[[run.model.classes.index(n) for n in said[place]]], atol=3e-3
        )
    assert data["classes"][shown_row["label"]] == run.measured.classes[run.measured.labels[which]]


@pytest.mark.parametrize("labels", ["known", "missing"])
def test_of_many_classes_the_likeliest_at_every_place_are_named_and_the_followed_one_is_drawn(
    labels: str, tmp_path: Path
) -> None:
    classes, steps = 30, 25
    x = np.random.default_rng(0).normal(size=(classes * 2, steps))
    y = np.array([f"c{i % classes:02}" for i in range(len(x))])
    tests = y if labels == "known" else np.full(len(x), "")
    (tmp_path / "data").mkdir()
    for split, names in (("train", y), ("test", tests)):
        np.savez(tmp_path / "data" / f"{split}.npz", x=x, y=names)
    wide = ["--hidden-size", "32", "--feedforward-size", "32"]
    run = train(tmp_path / "data", "lstm", tmp_path / "run", "--missing-label", "", *wide)
    results = measured(run)
    model = results.groups[0].runs[0].model
    generator = torch.Generator().manual_seed(0)
    for weights in model.network.parameters():  # or it would name much the same classes everywhere
        weights.data.normal_(std=1.0, generator=generator)
    data = data_of(interactive_page(results, "the command"))
    named = []
    for shown in data["rows"]:
        (answer,) = shown["answers"]
        which = [str(i) for i in results.measured.ids].index(shown["id"])
        row = results.measured.select(np.array([which]))
        said = np.array(data["classes"])[unpack(answer["classes"])].reshape(steps, 3)
        shares, line = fractions(answer["probabilities"]).reshape(steps, 3), fractions(answer["followed"])
        assert (shown["label"] is None) == (labels == "missing")
        followed = said[-1, 0] if labels == "missing" else y[which]
        for place in range(steps):
            expected = model.predict_proba(row.cut(place + 1))[0]
            np.testing.assert_allclose(shares[place], np.sort(expected)[::-1][:3], atol=3e-3)
            own = expected[[model.classes.index(name) for name in said[place]]]
            np.testing.assert_allclose(shares[place], own, atol=3e-3)
            assert abs(line[place] - expected[model.classes.index(followed)]) < 3e-3
        named.append(len(set(said.ravel())))
    assert max(named) > 10, "ten classes a row would not be enough"


def test_reconstructions_and_predictions_are_those_of_the_report_in_the_units_of_the_data(
    recurrent: Results,
) -> None:
    data = data_of(interactive_page(recurrent, "the command"))
    for number, group in enumerate(recurrent.groups):
        run, row = group.runs[0], data["rows"][0]
        which = [str(i) for i in run.measured.ids].index(row["id"])
        anchors = unpack(row["anchors"]).astype(np.int64)
        assert len(anchors) == row["steps"], "in a short row every step is one"
        found = recall(run.model, run.measured, which, anchors)
        span = np.array(row["high"]) - np.array(row["low"])
        np.testing.assert_allclose(
            fractions(row["truth"]).reshape(-1, 2) * span + row["low"], found.truth, atol=3e-3 * span.max()
        )
        for kind, values in (("past", found.past), ("future", found.future)):
            answer = row["answers"][number][kind]
            assert (answer is None) == (values is None) == (kind not in _has(group.config.method))
            if values is None:
                continue
            said = fractions(answer["values"]).reshape(-1, 2) * span + row["low"]
            parts = np.split(said, np.cumsum(unpack(answer["count"]))[:-1])
            for part, start, line in zip(parts, unpack(answer["start"]), values, strict=True):
                expected = np.clip(line[start : start + len(part)], row["low"], row["high"])
                np.testing.assert_allclose(part, expected, atol=3e-3 * span.max())
                outside = np.delete(line, np.arange(start, start + len(part)), axis=0)
                assert np.isnan(outside).all(), "nothing that was said is left out"


def _has(method: str) -> list[str]:
    return {"lstm": [], "r-lstm": ["past"], "p-lstm": ["future"], "rp-lstm": ["past", "future"]}[method]


def test_a_value_that_is_missing_at_the_start_of_a_row_is_drawn_as_it_is_read_as_the_mean(
    tmp_path: Path,
) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(40, 12, 2)) + 5
    x[::3, 0, 1] = np.nan  # --fill-missing finds nothing before it
    np.savez(tmp_path / "rows.npz", x=x, y=np.arange(40) % 2)
    results = measured(train(tmp_path / "rows.npz", "r-lstm", tmp_path / "run", "--fill-missing"))
    data = data_of(interactive_page(results, "the command"))
    run = results.groups[0].runs[0]
    mean = run.model.preprocessing.mean[1]
    missing = {
        str(run.measured.ids[i]) for i in range(len(run.measured)) if np.isnan(run.measured.row(i)).any()
    }
    shown = [row for row in data["rows"] if row["id"] in missing]
    assert shown
    for row in shown:
        span = np.array(row["high"]) - np.array(row["low"])
        drawn = fractions(row["truth"]).reshape(-1, 2) * span + row["low"]
        np.testing.assert_allclose(drawn[0, 1], mean, atol=0.01 * span[1])


def test_error_over_distance_is_that_of_its_definition(recurrent: Results) -> None:
    run = recurrent.groups[3].runs[0]
    shown = shown_runs(recurrent)
    steps = choose_steps(shown, int(run.measured.lengths[0]), Detail(1, 128, 100))
    answers, found = ask(run, 0, steps), recall(run.model, run.measured, 0, steps.anchors)
    std = np.array(run.model.preprocessing.std)
    assert answers.past is not None and answers.future is not None
    for answer, sign, reach in ((answers.past, -1, len(found.truth)), (answers.future, 1, 4)):
        assert answer.reach == reach and answer.errors.shape == (len(steps.anchors), reach)
        for i, anchor in enumerate(steps.anchors):
            everything = []
            for distance in range(1, reach + 1):
                position = anchor + sign * distance
                inside = 0 <= position < len(found.truth)
                error = np.nan
                if inside:
                    error = np.mean(((answer.values[i, position] - found.truth[position]) / std) ** 2)
                np.testing.assert_allclose(answer.errors[i, distance - 1], error, rtol=1e-9)
                everything.append(error)
            known = [error for error in everything if not np.isnan(error)]
            np.testing.assert_allclose(answer.overall[i], np.mean(known) if known else np.nan, rtol=1e-9)


def test_channels_that_are_constant_do_not_dilute_the_error(tmp_path: Path) -> None:
    x = np.zeros((40, 12, 4))
    x[:, :, 0] = np.random.default_rng(0).permuted(np.tile([-1.0, 1.0], (40, 6)), axis=1)
    (tmp_path / "data").mkdir()
    for split in ("train", "test"):
        np.savez(tmp_path / "data" / f"{split}.npz", x=x, y=np.arange(40) % 2)
    run = measured(train(tmp_path / "data", "r-lstm", tmp_path / "run")).groups[0].runs[0]
    assert run.model.preprocessing.std == (1.0,) * 4, "which does not tell the first from the others"
    steps = Steps(*[np.array([12])] * 2, np.arange(12), 12)
    found = recall(run.model, run.measured, 0, steps.anchors)
    mean = np.where(np.isnan(found.past), np.nan, np.array(run.model.preprocessing.mean))
    answer = _judged(run, found, mean, -(np.arange(12) - steps.anchors[:, None]), 12)
    np.testing.assert_allclose(answer.overall, 1.0, rtol=1e-6)


def test_distances_are_put_into_equal_parts() -> None:
    wrong, distances = np.array([[np.nan, 1.0, 3.0, 8.0, 9.0]]), np.array([[5, 4, 3, 2, 1]])
    np.testing.assert_array_equal(by_distance(wrong, distances, 4, 2), [[8.5, 2.0]])
    np.testing.assert_array_equal(by_distance(wrong, distances, 5, 9), [[9, 8, 3, 1, np.nan]])
    np.testing.assert_array_equal(by_distance(wrong, distances - 4, 2, 1), [[np.nan]])


def test_the_memory_curve_and_its_number_are_those_of_the_report(recurrent: Results) -> None:
    for group, shown in zip(
        recurrent.groups, data_of(interactive_page(recurrent, ""))["groups"], strict=True
    ):
        curve = group.runs[0].memory
        assert shown["remembers"] == curve.remembers_steps and shown["name"] == group.name
        np.testing.assert_array_equal(unpack(shown["distances"]), curve.distances)
        np.testing.assert_allclose(fractions(shown["error"], 1.25), np.minimum(curve.error, 1.25), atol=3e-3)


def test_the_rows_are_of_all_classes_in_turn_and_no_run_was_trained_on_them(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    data = runs["lstm"].parent / "mine.npz"
    others = [
        train(data, "lstm", tmp_path / f"s{seed}", "--seed", str(seed), "--validation", "0.4")
        for seed in (1, 2)
    ]
    alone = [train(data, "r-lstm", tmp_path / "r2", "--seed", "2", "--validation", "0.4")]
    results = measured(*others, *alone)
    shown = shown_runs(results)
    assert [each.run.config.seed for each in shown] == [2, 2], "the seed that both groups have"
    other = train(data, "r-lstm", tmp_path / "r1", "--seed", "1", "--validation", "0.4", "--anchors", "1")
    shown = shown_runs(measured(alone[0], other))
    assert [each.run.config.seed for each in shown] == [2, 1]
    rows = shown_rows(measured(alone[0], other), shown, 12)
    assert rows
    for each, column in zip(shown, np.transpose(rows), strict=True):
        starts = each.run.measured.starts[column]
        assert not set(starts) & set(prepare(each.run.config).train.starts)
        assert len(set(starts)) == len(starts)
    np.testing.assert_array_equal(*(each.run.measured.starts[c] for each, c in zip(shown, np.transpose(rows), strict=True)))  # fmt: skip
    labels = [int(shown[0].run.measured.labels[row[0]]) for row in rows]
    assert labels[: len(set(labels))] == sorted(set(labels))


def test_all_groups_are_shown_by_one_seed(recurrent: Results) -> None:
    def seeds(group: Group, *seeds: int) -> Group:
        (run,) = group.runs
        return replace(group, runs=[replace(run, config=replace(run.config, seed=seed)) for seed in seeds])

    first, second, third, _ = recurrent.groups
    for groups, shown in (
        ([seeds(first, 7, 1, 2), seeds(second, 2, 1), seeds(third, 2, 3, 1)], [1, 1, 1]),
        ([seeds(first, 7, 1), seeds(second, 2, 1), seeds(third, 2)], [7, 2, 2]),
    ):
        found = shown_runs(replace(recurrent, groups=groups))
        assert [each.run.config.seed for each in found] == shown


def test_what_cannot_be_looked_into_is_one_line_and_nothing_is_written(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = runs["lstm"].parent / "mine.npz"
    out = tmp_path / "page.html"
    everything = train(data, "lstm", tmp_path / "all", "--validation", "0")
    pretrained = train(data, "r-lstm", tmp_path / "pretrained", "--epochs", "0")
    seeds = [
        train(data, "lstm", tmp_path / f"s{s}", "--seed", s, "--validation", "0.05", "--anchors", s)
        for s in "46"
    ]
    np.savez(tmp_path / "other.npz", **dict(np.load(data)))
    other = train(tmp_path / "other.npz", "lstm", tmp_path / "other")
    text = tmp_path / "text"
    for name in "ab":
        (text / name).mkdir(parents=True)
        for number in range(8):
            (text / name / f"{number}.txt").write_text(name * 9 + str(number))
    kinds = [train(text, "lstm", tmp_path / kind, "--kind", kind) for kind in ("characters", "bytes")]
    for asked, message in (
        ([runs["transformer"]], "attends to whole rows and has no state"),
        ([everything], "none were held out; train with --validation 0.1, or with a test or validation split"),
        ([pretrained], "here none were held out; train with a test or validation split in DATA"),
        (seeds, "no row was held out by all of them"),
        ([runs["lstm"], other], "one report is about one data set"),
        (kinds, "reads its rows in another way"),
        ([tmp_path], "is not a run"),
    ):
        capsys.readouterr()
        assert main(["report", *map(str, asked), "--interactive", "--out", str(out)]) == 2
        said = capsys.readouterr().err.splitlines()
        assert message in said[-1] and not list(tmp_path.glob("page.html*"))
    assert (
        main(["report", str(runs["lstm"]), "--interactive", "--out", str(tmp_path / "no" / "page.html")]) == 2
    )


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
def test_where_classes_are_too_small_to_hold_rows_out_the_share_that_is_named_does(
    rows: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = np.random.default_rng(0).normal(size=(3 * rows, 12))
    np.savez(tmp_path / "few.npz", x=x, y=np.arange(3 * rows) % 3)
    run = train(tmp_path / "few.npz", "lstm", tmp_path / "run")
    capsys.readouterr()
    assert main(["report", str(run), "--interactive"]) == 2
    said = capsys.readouterr().err
    assert "too few rows for the --validation" in said and "--validation 0.1 " not in said
    share = re.search(r"train with (--validation) ([\d.]+), or", said)
    assert (share is None) == (rows == 1)
    if share is not None:
        again = train(tmp_path / "few.npz", "lstm", tmp_path / "again", *share.groups())
        assert main(["report", str(again), "--interactive"]) == 0
        assert len(measured(again).measured) == 3, "one row of each class"


@pytest.mark.parametrize(
    ("setting", "value"),
    [("x", "a"), ("label", "b"), ("missing_label", "c"), ("max_length", 9), ("id", "i"), ("kind", "real")],
)
def test_runs_that_read_the_data_differently_do_not_stand_side_by_side(
    recurrent: Results, setting: str, value: Any
) -> None:
    first, *others = shown_runs(recurrent)
    config = replace(first.run.config, **{setting: value})
    shown = [*others, replace(first, run=replace(first.run, config=config))]
    if setting in ("id", "kind"):  # other names, and what it is taken for anyway
        assert len(shown_rows(recurrent, shown, 3)) == 3
        return
    flag = "--" + setting.replace("_", "-")
    with pytest.raises(InputError, match=rf"lstm: reads its rows in another way than .*r-lstm \({flag}\);"):
        shown_rows(recurrent, shown, 3)


def test_by_default_the_page_lies_in_the_run(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(runs["r-lstm"]), "--interactive"]) == 0
    page = runs["r-lstm"] / "interactive.html"
    assert str(page) in capsys.readouterr().out and page.read_text().startswith("<!doctype html>")


def test_a_pretrained_run_has_reconstructions_and_no_probabilities(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for split in ("train", "test"):
        np.savez(data / f"{split}.npz", x=np.random.default_rng(0).normal(size=(20, 15)))
    run = train(data, "r-lstm", tmp_path / "run", "--epochs", "0")
    (answer,) = data_of(interactive_page(measured(run), ""))["rows"][0]["answers"]
    assert answer["probabilities"] is None and answer["past"] is not None


def test_the_page_names_what_may_have_taught_a_network_the_rows_it_held_out(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    data, doubt = runs["lstm"].parent / "mine.npz", "may have been trained on them"
    pretrained = train(data, "r-lstm", tmp_path / "pretrained", "--epochs", "0")
    tuned = train(data, "r-lstm", tmp_path / "tuned", "--from", str(pretrained))
    more = train(data, "r-lstm", tmp_path / "more", "--unlabeled", str(data))
    results = measured(tuned, more, runs["lstm"])
    seen = set(prepare(read_config(pretrained)).train.starts)
    assert set(results.measured.starts) < seen, "it was pretrained on the rows that the page shows"
    page = interactive_page(results, "")
    assert re.search(
        rf"held out; the data .* tuned began with the network of \S+pretrained, which {doubt}\.", page
    )
    assert re.search(r" more also learned from the rows of \S+mine\.npz, which may be the same\.", page)
    assert "lstm began" not in page and "lstm also" not in page
    assert doubt not in interactive_page(measured(runs["r-lstm"]), "")


@pytest.mark.parametrize("kind", ["real", "symbols"])
def test_long_rows_many_channels_classes_and_groups_fit(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    shape = (20, 3_000, 6) if kind == "real" else (20, 3_000)
    x = generator.normal(size=shape) if kind == "real" else generator.integers(0, 400, shape)
    np.savez(tmp_path / "long.npz", x=x, y=[f"class {i % 10} with a long name {'n' * 99}" for i in range(20)])
    run = train(tmp_path / "long.npz", "rp-lstm", tmp_path / "run", "--validation", "0.5")
    results = measured(run)
    (group,) = results.groups
    answered: dict[tuple[int, ...], Any] = {}

    def ask_once(run: RunResult, which: int, steps: Steps) -> Any:
        """All groups are the same run: it is asked once, and written as often as they are."""
        key = (which, len(steps.anchors), len(steps.drawn))
        if key not in answered:
            answered[key] = ask(run, which, steps)
        return answered[key]

    monkeypatch.setattr(page_contents, "ask", ask_once)
    few, many, too_many = (
        replace(results, groups=[replace(group, name=f"{n} {'long ' * 40}") for n in range(count)])
        for count in (1, 25, 2_000)
    )
    for asked in (few, many):
        page = interactive_page(asked, "the command")
        assert 500_000 < len(page.encode()) <= MOST_BYTES
    with pytest.raises(InputError, match=r"2000 groups of runs .* do not fit on one page of 5 MB"):
        interactive_page(too_many, "the command")


@pytest.mark.parametrize("rung", [0, 3, 9])
def test_a_row_takes_no_more_than_was_reckoned(recurrent: Results, rung: int) -> None:
    shown = shown_runs(recurrent)
    detail = Detail(*details.LADDER[rung])
    rows = shown_rows(recurrent, shown, detail.rows)
    data = page_data(shown, rows, detail)
    assert len(data["rows"]) == min(len(rows), detail.rows)
    for row, written in zip(rows, data["rows"], strict=False):
        taken = len(json.dumps(written, separators=(",", ":")))
        reckoned = row_bytes(shown, row, detail)
        assert 0.3 * reckoned < taken <= reckoned


@pytest.mark.parametrize(("total", "symbols"), [(1, 0), (5, 0), (784, 0), (100_000, 0), (100_000, 1)])
def test_steps_are_few_and_the_first_and_last_among_them(
    recurrent: Results, total: int, symbols: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = shown_runs(recurrent)
    if symbols:
        monkeypatch.setattr(type(shown[0].run.model.preprocessing), "symbols", 300)
    steps = choose_steps(shown, total, Detail(12, 128, 1_000))
    assert steps.places[-1] == total and len(steps.places) <= 200 and set(steps.anchors) <= set(steps.places)
    assert steps.anchors[0] == steps.places[0] and steps.anchors[-1] == total
    assert len(steps.anchors) == min(total, 128 if total < 1_000 else 8)
    assert (
        steps.drawn.min() >= 0
        and steps.drawn.max() < total
        and len(steps.drawn) <= (12_000 if symbols else 1_200)
    )
    if symbols:
        assert set(range(total - 240, total)) <= set(steps.drawn), (
            "what lies before an anchor is there to read"
        )
    if total < 1_000:
        assert steps.decoded * len(steps.anchors) >= total * len(steps.anchors) / 2, "all of the past"


def test_a_network_that_is_not_asked_from_a_state_does_not_say_how_much_the_others_are_asked(
    recurrent: Results,
) -> None:
    shown = shown_runs(recurrent)
    plain, *asked = shown
    assert plain.run.config.method == "lstm"
    short = replace(plain, run=replace(plain.run, config=replace(plain.run.config, segment_length=1)))
    for total in (300, 100_000):
        found, expected = (
            choose_steps(each, total, Detail(12, 64, 100)) for each in ([short, *asked], shown)
        )
        np.testing.assert_array_equal(found.drawn, expected.drawn)
        assert found.decoded == expected.decoded
    assert choose_steps([short], 300, Detail(12, 64, 100)).places[-1] == 300


def test_names_are_data_and_only_our_own_script_may_run(tmp_path: Path) -> None:
    evil = "</script><img src=x onerror=alert(1)>"
    x = np.random.default_rng(0).normal(size=(40, 12))
    np.savez(
        tmp_path / "evil.npz",
        x=x,
        y=np.array([evil, "b"])[np.arange(40) % 2],
        ids=np.array([f"{evil}{i}" for i in range(40)]),
    )
    page = interactive_page(
        measured(train(tmp_path / "evil.npz", "r-lstm", tmp_path / "run")), f"{evil} --out"
    )
    assert "<img" not in page and page.count("</script>") == 2 and evil in data_of(page)["classes"]
    policy = re.search(r'http-equiv="Content-Security-Policy" content="(.*?)"', page)
    assert policy is not None and policy[1].startswith("default-src 'none'; script-src 'sha256-")
    script = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)[0]
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy[1]
    assert "unsafe" not in policy[1] and not re.search(r"""(src|href)=["']|@import|url\(""", page)


def test_the_scripts_set_text_and_never_markup() -> None:
    folder = Path(details.__file__).parent / "scripts"
    assert sorted(path.stem for path in folder.glob("*.js")) == sorted(SCRIPTS)
    for path in folder.glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", path.read_text()
        ), path
        assert len(path.read_text().splitlines()) < 150
