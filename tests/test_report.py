"""The report: the memory curve measures memory, and the page stands alone."""

from __future__ import annotations

import base64
import html
import json
import re
import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.dom import minidom

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from backcast.build import TrainedModel
from backcast.cli import main
from backcast.config import Config
from backcast.data.forms.arrays import from_arrays
from backcast.data.preprocessing import Preprocessing
from backcast.data.sequences import Sequences
from backcast.data.sources import identity
from backcast.errors import InputError
from backcast.legible import shortened
from backcast.nn.model import Model
from backcast.prepared import prepare
from backcast.report import memory
from backcast.report.collect import collect
from backcast.report.confusion import confusion_figure
from backcast.report.memory import class_curve, memory_curve, symbol_vectors
from backcast.report.page import write_report
from backcast.report.reconstructions import recall
from backcast.report.symbols import UNKNOWN, symbol_names
from test_data import write_pictures

TINY = [
    "--hidden-size", "6", "--embedding-size", "4", "--feedforward-size", "8", "--truncation", "4", "--device", "cpu",
    "--segment-length", "4", "--anchors", "2", "--pretrain-epochs", "1", "--epochs", "1",
]  # fmt: skip
LENGTH = 40


class Window(nn.Module):
    """A network that remembers the last `width` steps perfectly, and nothing else."""

    def __init__(self, width: int, strength: float = 1.0) -> None:
        super().__init__()
        self.width, self.strength = width, strength

    def zero_state(self, batch_size: int) -> tuple[Tensor]:
        return (torch.zeros(batch_size, max(self.width, 1)),)

    def forward(self, x: Tensor, state: tuple[Tensor]) -> tuple[Tensor, tuple[Tensor]]:
        line = torch.cat([state[0], x[:, :, 0] * self.strength], dim=1)
        kept = line[:, -self.width :] if self.width else torch.zeros(len(x), 1)
        return kept[:, None], (kept,)


def noise(rows: int, seed: int) -> Sequences:
    return from_arrays(
        np.random.default_rng(seed).normal(size=(rows, LENGTH)).astype(np.float32), name="noise"
    )


def measure(encoder: nn.Module) -> tuple[int, np.ndarray]:
    fit, test = noise(500, 0), noise(300, 1)
    network = Model(encoder, None, None, None, None, symbols=0)
    model = TrainedModel(network, Preprocessing.fit(fit), (), Config(), None, torch.device("cpu"))
    curve = memory_curve(model, fit, test)
    assert curve.distances.tolist() == list(range(1, LENGTH + 1))
    return curve.remembers_steps, curve.error


@pytest.mark.parametrize("width", [1, 10, 40])
def test_a_network_that_keeps_n_steps_remembers_n_steps(width: int) -> None:
    steps, error = measure(Window(width))
    assert steps == width
    assert (error[:width] < 0.01).all() and (error[width:] > 0.9).all()


def test_a_network_that_keeps_nothing_remembers_nothing_and_so_does_one_with_faint_echoes() -> None:
    assert measure(Window(0))[0] == 0
    assert measure(Window(40, strength=1e-5))[0] == 0


def test_what_the_class_alone_tells_of_a_row_is_measured_too() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    values = rng.normal(size=(400, LENGTH))
    values[:, :30] += 4 * labels[:, None]  # the class shifts the first 30 steps, and no others
    rows = from_arrays(values, labels)
    network = Model(Window(0), None, None, None, None, 0)
    model = TrainedModel(network, Preprocessing.fit(rows), rows.classes, Config(), None, torch.device("cpu"))
    assert memory_curve(model, rows, rows).remembers_steps == 0
    curve = class_curve(model, rows, rows)
    assert curve.remembers_steps == LENGTH
    assert (curve.error[-25:] < 0.3).all() and (curve.error[: LENGTH - 35] > 0.95).all()
    unlabelled = replace(rows, labels=np.full(400, -1))
    for fit, test in ((unlabelled, rows), (rows, unlabelled)):
        error = class_curve(model, fit, test).error
        assert ((error > 0.95) & (error < 1.05)).all(), "a row without a label tells nothing"


def test_where_the_input_does_not_vary_there_is_nothing_to_remember() -> None:
    rows = from_arrays(
        np.concatenate([np.random.default_rng(0).normal(size=(200, 30)), np.zeros((200, 10))], axis=1)
    )
    model = TrainedModel(
        Model(Window(40), None, None, None, None, 0), Preprocessing.fit(rows), (), Config(), None, torch.device("cpu")
    )  # fmt: skip
    curve = memory_curve(model, rows, rows)
    assert np.isnan(curve.error[:10]).all() and curve.remembers_steps == 40


def test_few_rows_and_rows_of_very_unequal_lengths_are_measured() -> None:
    lengths = np.array([60] * 20 + [5] * 4)
    rows = from_arrays(np.random.default_rng(0).normal(size=(24, 60)), lengths=lengths)
    network = Model(Window(3), None, None, None, None, 0)
    model = TrainedModel(network, Preprocessing.fit(rows), (), Config(), None, torch.device("cpu"))
    for fit, test in ((rows, rows.select(np.arange(20, 24))), (rows.select(np.arange(1)), rows)):
        curve = memory_curve(model, fit, test)
        assert len(curve.distances) in (5, 60) and np.isfinite(curve.error).all()


def test_where_rows_are_sorted_by_class_not_only_the_first_are_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("backcast.report.memory.FIT_ROWS", 300)
    monkeypatch.setattr("backcast.report.memory.TEST_ROWS", 200)
    values = np.concatenate([np.zeros((500, LENGTH)), np.random.default_rng(0).normal(size=(500, LENGTH))])
    rows = from_arrays(values.astype(np.float32))
    network = Model(Window(LENGTH), None, None, None, None, 0)
    model = TrainedModel(network, Preprocessing.fit(rows), (), Config(), None, torch.device("cpu"))
    assert memory_curve(model, rows, rows).remembers_steps == LENGTH
    chosen_on, plain = [], memory._squared_errors

    def seen(outputs: Any, targets: Any, others: Any, truths: Any, ridge: float) -> Any:
        chosen_on.append(others)
        return plain(outputs, targets, others, truths, ridge)

    monkeypatch.setattr(memory, "_squared_errors", seen)
    memory_curve(model, rows, rows)
    flat = np.ptp(chosen_on[0], axis=1) < 1e-6
    assert 0 < flat.sum() < len(flat) == 60, "the ridge is not chosen on one class either"


def test_targets_taken_in_blocks_give_the_same_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    _, whole = measure(Window(10))
    monkeypatch.setattr("backcast.report.memory.MOST_NUMBERS", 2_000)
    np.testing.assert_allclose(measure(Window(10))[1], whole, rtol=1e-9)


def rows_of(page: str) -> list[tuple[str, str, str]]:
    """Name, accuracy and number of seeds of every row of the results."""
    return re.findall(
        r"<tr><td>(.*?)</td><td class=\"spread\" data-label=\"\w+ accuracy, %\">(.*?)</td>\s*"
        r"<td .*?balanced accuracy, %\">.*?</td><td .*?macro-F1, %\">.*?</td>\s*<td data-label=\"seeds\">(\d)</td>",
        page,
    )


def train(data: Path | str, method: str, out: Path, *more: str) -> str:
    assert main(["train", str(data), "--method", method, *TINY, "--out", str(out), *more]) == 0
    return str(out)


def assert_stands_alone(page: str) -> None:
    assert (
        not re.search(r"""(src|href)=["'](?!data:)""", page)
        and "<script" not in page
        and "@import" not in page
    )
    assert page.startswith("<!doctype html>") and page.rstrip().endswith("</html>")


def test_seeds_are_grouped_and_every_method_is_measured(npz: Path, tmp_path: Path) -> None:
    runs = [train(npz, "r-lstm", tmp_path / f"r{seed}", "--seed", str(seed)) for seed in (0, 1)]
    runs += [train(npz, method, tmp_path / method) for method in ("lstm", "p-lstm", "rp-lstm")]
    assert main(["report", *runs, "--out", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert_stands_alone(page)
    table = rows_of(page)
    assert [(name, seeds) for name, _, seeds in table] == [
        ("r-lstm", "2"),
        ("lstm", "1"),
        ("p-lstm", "1"),
        ("rp-lstm", "1"),
    ]
    assert "±" in table[0][1] and "±" not in table[1][1]
    assert "validation accuracy" in page and "mine.npz" in page
    shown = re.findall(r"accuracy (\d+\.\d\d) %", page)
    assert len(shown) == len(runs), "every run's own accuracy, beside its command"
    assert f"{np.mean([float(value) for value in shown[:2]]):.2f} ±" in table[0][1]
    assert page.count('alt="confusion matrix of') == 4, "one a group"
    assert f"backcast report {runs[0]}" in page and "prefers-color-scheme: dark" in page


def test_a_seed_that_is_there_twice_is_no_spread(npz: Path, tmp_path: Path) -> None:
    runs = [train(npz, "gru", tmp_path / name) for name in ("a", "_b", "c")]
    assert main(["report", *runs, "--out", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert [(name, seeds) for name, _, seeds in rows_of(page)] == [("a", "1"), ("_b", "1"), ("c", "1")]
    assert re.findall(r'data-label="epochs">(.*?)<', page) == ["1", "1", "1"], "a GRU alone has no phase 1"
    assert page.count("from Python") == 3, "no command of ours trained them"
    drawn = [
        base64.b64decode(one).decode() for one in re.findall(r"data:image/svg\+xml;base64,([^\"']+)", page)
    ]
    legends = [one for one in drawn if ">a</text>" in one]
    assert legends and all("_b</text>" in one for one in legends), "an underscore hides nothing from a legend"


def test_pictures_that_were_cut_are_drawn_as_lines(tmp_path: Path) -> None:
    run = train("digits-silence", "r-lstm", tmp_path / "run", "--max-length", "70", "--limit", "60")
    assert main(["report", run]) == 0
    assert 'src="data:image/png' not in (Path(run) / "report.html").read_text()


def test_pictures_symbols_and_permuted_pictures(tmp_path: Path) -> None:
    write_pictures(tmp_path, "mnist")
    generator = np.random.default_rng(0)
    np.savez(tmp_path / "symbols.npz", x=generator.integers(0, 4, (40, 20)), y=np.arange(40) % 2)
    for data in ("pmnist", str(tmp_path / "symbols.npz")):
        run = train(data, "rp-lstm", tmp_path / Path(data).stem, "--data-dir", str(tmp_path))
        assert main(["report", run]) == 0
        page = (Path(run) / "report.html").read_text()
        assert_stands_alone(page)
        assert ("<mark>" in page) == (data != "pmnist")
        if data == "pmnist":
            assert page.count('src="data:image/png') == 2, "what it reconstructs, and what it predicts"


def test_each_seed_is_measured_on_the_rows_that_it_held_out_itself(tmp_path: Path) -> None:
    """Without a test split every seed holds out other rows; those of another seed it was trained on."""
    generator = np.random.default_rng(0)
    np.savez(tmp_path / "noise.npz", x=generator.normal(size=(60, 5)), y=generator.integers(0, 2, 60))
    runs = [
        Path(train(tmp_path / "noise.npz", "lstm", tmp_path / f"s{seed}", "--seed", str(seed)))
        for seed in (0, 1)
    ]
    (group,) = collect(runs, None, lambda line: None).groups
    for run in group.runs:
        held_out = prepare(run.config).validation
        assert held_out is not None
        np.testing.assert_array_equal(run.measured.starts, held_out.starts)
    assert not np.array_equal(group.runs[0].measured.starts, group.runs[1].measured.starts)


@pytest.mark.parametrize("backwards", [True, False])
def test_a_perfect_decoder_is_shown_as_the_truth(
    backwards: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cue names the place of each target: a decoder that knows the row must reproduce its whole past."""
    from backcast.build import load_model
    from backcast.nn.decoder import Decoder

    rows = from_arrays(np.random.default_rng(0).normal(size=(30, 23)), np.arange(30) % 2)
    np.savez(tmp_path / "rows.npz", x=rows.values.reshape(30, 23), y=np.arange(30) % 2)
    run = train(
        tmp_path / "rows.npz", "r-lstm", tmp_path / "run", "--backwards" if backwards else "--no-backwards"
    )
    model = load_model(run)
    truth = model.preprocessing.batch(rows, np.array([5])).x[0]

    def knows(self: Decoder, fed: Tensor, places: Tensor, state: object) -> tuple[Tensor, object]:
        return truth[places], state

    monkeypatch.setattr(Decoder, "forward", knows)
    found = recall(model, rows, 5)
    assert found.past is not None and found.anchors.tolist() == [6, 12, 18, 23]
    np.testing.assert_allclose(found.truth[:, 0], rows.row(5)[:, 0], rtol=1e-5, atol=1e-5)
    for anchor, past in zip(found.anchors, found.past, strict=True):
        known = ~np.isnan(past[:, 0])
        assert not known[anchor:].any() and known[1 : anchor - 1].all()
        np.testing.assert_allclose(past[known], found.truth[known], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backwards", ["--backwards", "--no-backwards"])
def test_what_lies_behind_an_anchor_does_not_reach_its_reconstruction(backwards: str, tmp_path: Path) -> None:
    from backcast.build import load_model

    values = np.random.default_rng(0).normal(size=(30, 23))
    np.savez(tmp_path / "rows.npz", x=values, y=np.arange(30) % 2)
    model = load_model(train(tmp_path / "rows.npz", "rp-lstm", tmp_path / "run", backwards))
    first = recall(model, from_arrays(values), 5)
    values[5, 12:] += 100.0
    second = recall(model, from_arrays(values), 5)
    assert first.anchors.tolist() == [6, 12, 18, 23]
    assert first.past is not None and second.past is not None and first.future is not None
    np.testing.assert_array_equal(first.past[:2], second.past[:2])
    assert not np.array_equal(first.past[3], second.past[3], equal_nan=True)
    expected = [list(range(a + 1, min(a + 4, 22) + 1)) for a in first.anchors]
    assert [np.flatnonzero(~np.isnan(f[:, 0])).tolist() for f in first.future] == expected


@pytest.mark.parametrize("kind", ["real", "symbols"])
def test_segments_are_decoded_a_few_at_a_time_with_the_same_result(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backcast.build import load_model

    generator = np.random.default_rng(0)
    x = generator.normal(size=(20, 90)) if kind == "real" else generator.integers(0, 200, (20, 90))
    np.savez(tmp_path / "rows.npz", x=x, y=np.arange(20) % 2)
    model = load_model(train(tmp_path / "rows.npz", "r-lstm", tmp_path / "run"))
    rows = from_arrays(x)
    sizes: list[int] = []
    model.network.decoder.register_forward_hook(lambda module, given, said: sizes.append(said[0].numel()))
    whole = recall(model, rows, 3).past
    assert max(sizes) > 9 * max(model.preprocessing.symbols, 1)
    width = max(model.preprocessing.symbols, 4 * 6)
    monkeypatch.setattr("backcast.report.reconstructions.MOST_NUMBERS", 9 * width)
    sizes.clear()
    pieces = recall(model, rows, 3).past
    assert max(sizes) == 9 * max(model.preprocessing.symbols, 1)
    assert whole is not None and pieces is not None
    np.testing.assert_allclose(pieces, whole, rtol=1e-5, atol=1e-6)


def test_what_is_no_run_or_not_finished_or_on_other_data_is_one_line(
    npz: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(npz, "lstm", tmp_path / "run")
    np.savez(tmp_path / "other.npz", **dict(np.load(npz)))
    other = train(tmp_path / "other.npz", "lstm", tmp_path / "other")
    for arguments, message in (
        ([str(tmp_path)], "is not a run"),
        ([str(tmp_path / "nowhere")], "is not a run"),
        ([run, other], "one report is about one data set"),
        ([run, "--out", str(tmp_path / "none" / "r.html")], "there is no folder"),
    ):
        capsys.readouterr()
        assert main(["report", *arguments]) == 2
        assert message in capsys.readouterr().err
    settings = tmp_path / "other" / "config.yaml"
    settings.write_text(re.sub(r"(?m)^data: .*$", "data: null", settings.read_text()))
    assert main(["report", other]) == 2
    assert "rows given in Python" in capsys.readouterr().err
    (tmp_path / "run" / "model" / "model.safetensors").unlink()
    assert main(["report", run]) == 2


class SymbolWindow(nn.Module):
    """Remembers the last 3 symbols, where they are below `known`; a higher one leaves no trace."""

    def __init__(self, symbols: int, known: int) -> None:
        super().__init__()
        self.symbols, self.known = symbols, known

    def zero_state(self, batch_size: int) -> tuple[Tensor]:
        return (torch.zeros(batch_size, 3, dtype=torch.int64),)

    def forward(self, x: Tensor, state: tuple[Tensor]) -> tuple[Tensor, tuple[Tensor]]:
        kept = torch.cat([state[0], x], dim=1)[:, -3:]
        return torch.eye(self.symbols)[kept][:, :, : self.known].flatten(1)[:, None], (kept,)


def test_many_symbols_cost_what_few_do_and_give_nearly_the_same_curve(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = np.random.default_rng(0)
    rows = from_arrays(generator.integers(0, 60, (1500, 8)), kind="symbols")
    preprocessing = Preprocessing.fit(rows)
    network = Model(SymbolWindow(preprocessing.symbols, 30), None, None, None, None, 0)
    model = TrainedModel(network, preprocessing, (), Config(), None, torch.device("cpu"))
    fit, test = rows.select(np.arange(1000)), rows.select(np.arange(1000, 1500))
    exact = memory_curve(model, fit, test)
    monkeypatch.setattr("backcast.report.memory.MOST_SYMBOLS", 40)
    projected = memory_curve(model, fit, test)
    assert exact.remembers_steps == projected.remembers_steps == 3
    np.testing.assert_allclose(projected.error, exact.error, atol=0.05)
    assert 0.4 < exact.error[0] < 0.6


def test_targets_of_50_000_symbols_fit_in_memory() -> None:
    tracemalloc.start()
    table = symbol_vectors(50_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert table is not None and table.shape == (50_000, 300) and peak < 200e6
    assert symbol_vectors(0) is None and (symbol_vectors(257) == np.eye(257)).all()


def test_symbols_are_shown_as_what_they_are() -> None:
    assert symbol_names(("a", " ", "\n", "\t", "\x07", "\u0301", "\ud800", "é"), "characters") == [
        "a", "␣", "↵", "⇥", "\\x07", "◌\u0301", "\\ud800", "é", UNKNOWN,
    ]  # fmt: skip
    assert symbol_names((0, 10, 32, 65, 126, 127, 255), "bytes") == [
        "00",
        "0a",
        "␣",
        "A",
        "~",
        "7f",
        "ff",
        UNKNOWN,
    ]
    assert symbol_names((-3, 12), "integers") == ["-3", "12", UNKNOWN]
    words = symbol_names(("New York", "", "w" * 30), "categories")
    assert symbol_names(("e\u0301te\u0301",), "categories")[0] == "e\u0301te\u0301", "it has its own letter"
    assert words[:2] == ["New York", "''"] and len(words[2]) == 24 and words[-1] == UNKNOWN
    assert shortened("abcdefghij", 5) == "ab…ij" and shortened("abc", 5) == "abc"


def matrix(names: list[object], absent: int | None = None) -> str:
    """The text of a confusion matrix's SVG; the shares in it differ from class to class."""
    confusion = 7 * np.eye(len(names), dtype=np.int64) + 4321 * np.eye(len(names), k=1, dtype=np.int64)
    if absent is not None:
        confusion[absent] = 0
    runs = [SimpleNamespace(model=SimpleNamespace(classes=tuple(names)))]
    image = confusion_figure(SimpleNamespace(confusion=confusion, runs=runs))  # type: ignore[arg-type]
    assert image is not None
    drawn = base64.b64decode(image.removeprefix("data:image/svg+xml;base64,")).decode()
    minidom.parseString(drawn)
    return html.unescape(drawn)


@pytest.mark.parametrize("classes", [2, 10, 40, 120, 300])
def test_a_confusion_matrix_names_its_classes_and_counts_where_there_is_room(classes: int) -> None:
    drawn = matrix([f"quite a long name, number {number}" for number in range(classes)], absent=1)
    named = 2 * classes if classes <= 120 else 2 * len(range(0, classes, 3))
    assert len(re.findall(r">quite a l….{8}<", drawn)) == named
    assert drawn.count(">4321<") == (classes - 2 if 2 < classes <= 20 else 1 if classes == 2 else 0)


def test_a_confusion_matrix_of_any_names() -> None:
    drawn = matrix(["$x$ and $", "日本語", "\x00<&>\n", True, 3.5])
    for name in (r"$x$ and $", "日本語", r"\x00<&>\n", "True", "3.5"):
        assert f">{name}<" in drawn


def write_rows(path: Path, rows: list[tuple[object, object]]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps({"x": x, "label": label}) + "\n" for x, label in rows))


def own_splits(folder: Path, *splits: str) -> Path:
    """Ragged rows of words, a sixth of them without a label; `rare` only in the training rows, `new!` only elsewhere."""
    generator = np.random.default_rng(0)
    for split in splits:
        words = ["New York", "x", "naïve", *([] if split == "train" else ["new!"])]
        labels = ["common"] * 3 + ["middling"] + (["rare"] if split == "train" else [])
        rows = [(generator.choice(words, generator.integers(3, 20)).tolist(), labels[i % len(labels)] if i % 6 else None) for i in range(60)]  # fmt: skip
        write_rows(folder / f"{split}.jsonl", rows)
    return folder


def test_splits_of_ones_own_ragged_partly_labelled_with_a_class_missing_and_weights(tmp_path: Path) -> None:
    data = own_splits(tmp_path / "data", "train", "validation", "test")
    asked = ["--missing-label", "", "--class-weights", "balanced", "--labeled", "0.5"]
    runs = [train(data, "rp-lstm", tmp_path / f"r{seed}", *asked, "--seed", str(seed)) for seed in (0, 1)]
    assert main(["report", *runs, "--out", str(tmp_path / "report.html")]) == 0
    page = html.unescape((tmp_path / "report.html").read_text())
    assert_stands_alone(page)
    (group,) = collect([Path(run) for run in runs], None, lambda line: None).groups
    assert group.confusion is not None and group.confusion.shape == (3, 3)
    assert group.confusion.sum() == 100 and not group.confusion[2].any(), "both seeds, labelled rows"
    labelled = group.runs[0].environment["rows"]["labelled"]
    assert 0 < labelled < 30 and f"trained on 60 rows, {labelled} of them with a label," in page
    assert "3 classes in the 50 rows with a label" in page and "2 classes in the 50 rows with a label" in page
    assert "measured on (test)" in page and group.balanced_accuracy in page and group.macro_f1 in page
    assert "--class-weights balanced" in page and "New York" in page and UNKNOWN in page
    curves = [base64.b64decode(image).decode() for image in re.findall(r'training curve" src="data:image/svg\+xml;base64,(.*?)"', page)]  # fmt: skip
    assert sum("validation balanced accuracy, %" in curve for curve in curves) == 1
    kept = [max(run.epochs, key=lambda entry: entry.get("validation_balanced_accuracy", -1)) for run in group.runs]  # fmt: skip
    assert [run.kept_epoch for run in group.runs] == kept


def test_validation_rows_of_the_data_are_the_same_for_every_seed(tmp_path: Path) -> None:
    data = own_splits(tmp_path / "data", "train", "validation")
    runs = [train(data, "lstm", tmp_path / f"r{s}", "--missing-label", "", "--seed", s) for s in "01"]
    assert main(["report", *runs, "--out", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "measured on (validation)" in page and "also chose the epoch" in page
    assert "held out the same" not in page and "validation balanced accuracy" not in page


@pytest.mark.parametrize("kind", ["characters", "bytes"])
def test_text_is_shown_as_text(kind: str, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(10):
            text = f"{name * 6} <b>\n & é\t{'~' * number}"
            (tmp_path / "data" / name / f"{number}.txt").write_text(text, encoding="utf-8")
    run = train(tmp_path / "data", "rp-lstm", tmp_path / "run", "--kind", kind)
    assert main(["report", run]) == 0
    page = (Path(run) / "report.html").read_text()
    assert_stands_alone(page)
    truths = [html.unescape(truth) for truth in re.findall(r"<span>(.*?)<br>", page)]
    assert set("<b>␣&~") <= set(truths) and "<mark>" in page and "␣ is a blank" in page
    if kind == "characters":
        assert {"é", "↵", "⇥"} <= set(truths) and 'class="pairs letters"' in page
        assert "↵ is a new line" in page and UNKNOWN not in truths
    else:
        assert {"0a", "09", "c3", "a9"} <= set(truths) and "in hexadecimal" in page


def test_one_file_under_two_names_is_one_data_set(
    npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = [train(npz, "lstm", tmp_path / "r0"), train("mine.npz", "lstm", tmp_path / "r1", "--seed", "1")]
    runs.append(train("./mine.npz", "lstm", tmp_path / "r2", "--seed", "2"))
    (group,) = collect([Path(run) for run in runs], None, lambda line: None).groups
    assert len(group.runs) == 3
    assert identity("long" * 100) == "long" * 100, "no path can be so long; it is another name all the same"


def test_a_report_with_an_interactive_page_of_what_has_no_states_is_refused(
    npz: Path, tmp_path: Path
) -> None:
    run = Path(train(npz, "transformer", tmp_path / "run"))
    with pytest.raises(InputError, match="has no state at a step"):
        write_report([run], tmp_path / "report.html", interactive=tmp_path / "interactive.html")
    assert not (tmp_path / "report.html").exists()


def test_rows_other_than_those_trained_on_are_refused_where_that_can_be_told(
    npz: Path, tmp_path: Path
) -> None:
    run, more = tmp_path / "run", tmp_path / "more.npz"
    arrays = dict(np.load(npz))
    np.savez(more, x=arrays["x"])
    train(npz, "r-lstm", run, "--labeled", "0.5")
    train(npz, "r-lstm", tmp_path / "unlabeled", "--unlabeled", str(more))
    assert main(["report", str(run), "--out", str(tmp_path / "report.html")]) == 0
    arrays["x"][0, 0, 0] += 1
    np.savez(npz, **arrays)
    with pytest.raises(InputError, match=r"was trained on other rows than .*mine\.npz holds now"):
        collect([run], None, lambda line: None)
    assert len(collect([tmp_path / "unlabeled"], None, lambda line: None).groups) == 1
    settings = run / "environment.json"
    for change in ({"backcast": "0.0.1"}, {"data_checksum": None}):
        before = settings.read_text()
        settings.write_text(json.dumps({**json.loads(before), **change}))
        assert len(collect([run], None, lambda line: None).groups) == 1
        settings.write_text(before)
