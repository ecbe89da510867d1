"""Symbols on the interactive page: named alike, right or wrong alike, and asked where they are read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backcast.report.interactive import answers
from backcast.report.interactive.answers import ask
from backcast.report.interactive.chosen import shown_runs
from backcast.report.interactive.detail import WINDOW, Detail, choose_steps
from backcast.report.interactive.packing import pack_codes
from backcast.report.interactive.page import interactive_page
from backcast.report.reconstructions import Recall, recall, spread
from backcast.report.symbols import UNKNOWN
from test_interactive import data_of, measured, train, unpack


def test_words_are_by_name_and_one_that_training_had_not_is_never_right(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    generator = np.random.default_rng(0)
    for split, words in (("train", ["x", "naïve", "<b>"]), ("test", ["x", "naïve", "new!"])):
        lines = [json.dumps({"x": generator.choice(words, 12).tolist(), "label": i % 2}) for i in range(40)]
        (data / f"{split}.jsonl").write_text("\n".join(lines))
    results = measured(train(data, "rp-lstm", tmp_path / "run"))
    page = interactive_page(results, "")
    shown, run = data_of(page), results.groups[0].runs[0]
    assert {"x", "naïve", "new!"} <= set(shown["symbols"]) <= {"x", "naïve", "new!", "<b>", UNKNOWN}
    row = shown["rows"][0]
    which = [str(i) for i in run.measured.ids].index(row["id"])
    truth = [shown["symbols"][code] for code in unpack(row["truth"])]
    assert truth == [run.measured.symbols[code] for code in run.measured.row(which)]
    anchors = unpack(row["anchors"]).astype(np.int64)
    found = recall(run.model, run.measured, which, anchors)
    assert found.past is not None
    codes, names = unpack(row["answers"][0]["past"]["values"]), [*run.model.preprocessing.vocabulary, UNKNOWN]
    expected = [None if np.isnan(v) else names[int(v)] for line, a in zip(found.past, anchors, strict=True) for v in line[:a]]  # fmt: skip
    assert [None if code == 65_535 else shown["symbols"][code] for code in codes] == expected
    overall = unpack(row["answers"][0]["past"]["overall"])
    right = [t == s for t, s in zip(truth, expected[-len(truth) :], strict=True) if s is not None]
    np.testing.assert_allclose(overall[-1], 1 - np.mean(right), rtol=1e-6)


def test_symbols_are_right_or_wrong_alike_in_picture_and_number_whatever_they_are_written_as(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers in one split are words in the other, and the network says what is true, of unknown symbols "unknown"."""
    data = tmp_path / "data"
    data.mkdir()
    for split, of in (("train", [3, 4]), ("test", ["3", "004", "new"])):
        lines = [json.dumps({"x": [of[(i + j) % len(of)] for j in range(9)], "label": i % 2}) for i in range(20)]  # fmt: skip
        (data / f"{split}.jsonl").write_text("\n".join(lines))
    results = measured(train(data, "r-lstm", tmp_path / "run"))

    def knowing(*arguments: Any) -> Recall:
        found = recall(*arguments)
        assert found.past is not None
        return replace(found, past=np.where(np.isnan(found.past), np.nan, found.truth))

    monkeypatch.setattr(answers, "recall", knowing)
    shown = data_of(interactive_page(results, ""))
    assert set(shown["symbols"]) == {"3", "4", "new", UNKNOWN}
    for row in shown["rows"]:
        past, truth = row["answers"][0]["past"], unpack(row["truth"])
        parts = np.split(unpack(past["values"]), np.cumsum(unpack(past["count"]))[:-1])
        for said, overall in zip(parts, unpack(past["overall"]), strict=True):
            asked = said != 65_535
            names = np.array(shown["symbols"])[truth[: len(said)][asked]]
            wrong = said[asked] != truth[: len(said)][asked]
            np.testing.assert_array_equal(wrong, names == "new")
            np.testing.assert_allclose(overall, wrong.mean() if asked.any() else np.nan, rtol=1e-6)


def test_text_is_asked_in_full_where_it_is_shown_and_here_and_there_before(tmp_path: Path) -> None:
    assert spread(range(0, 100, 10), 10, 3) == list(range(0, 100, 10)) == spread(range(0, 100, 10), None)
    assert spread(range(0, 100, 10), 5, 3) == [0, 30, 70, 80, 90] and spread(range(5), 2, 3) == [3, 4]
    assert spread(range(0, 100, 10), 4) == [0, 30, 60, 90] and spread(range(9), 1) == [8]
    x = np.random.default_rng(0).integers(0, 5, (20, 800))
    np.savez(tmp_path / "text.npz", x=x, y=np.arange(20) % 2)
    results = measured(train(tmp_path / "text.npz", "r-lstm", tmp_path / "run", "--validation", "0.2"))
    steps = choose_steps(shown_runs(results), 800, Detail(1, 8, 100))
    found = ask(results.groups[0].runs[0], 0, replace(steps, decoded=400)).past
    assert found is not None and steps.anchors[-1] == 800
    known = ~np.isnan(found.values[-1])
    assert known[800 - WINDOW : 799].all(), "all but the element that the decoder is given"
    assert known[:4].all() and 100 < known[: 800 - WINDOW].sum() < 200


def test_symbols_of_a_large_vocabulary_are_not_taken_for_unknown_ones() -> None:
    for codes, type, bound in ((65_534, "u2", 2**16), (65_535, "u4", 2**32)):
        packed = pack_codes(np.array([0.0, codes, np.nan]))
        assert packed["type"] == type and unpack(packed).tolist() == [0, codes, bound - 1]
    assert unpack(pack_codes(np.array([np.nan]))).tolist() == [65_535]
