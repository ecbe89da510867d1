"""Streams: however they are cut, the result is that of one pass; and what a session refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import backcast
from backcast.build import RECURRENT, TrainedModel, build_network
from backcast.config import Config
from backcast.data.preprocessing import Preprocessing
from backcast.errors import InputError
from backcast.kernel import using
from backcast.streaming import Overflowed, StreamSession

REAL = Preprocessing("real", 2, (3.0, -50.0), (2.0, 10.0))
WORDS = Preprocessing("categories", 1, (), (), ("buy", "home", "view"))
LETTERS = Preprocessing("characters", 1, (), (), tuple("abc"))
BYTES = Preprocessing("bytes", 1, (), (), tuple(range(97, 100)))
NUMBERS = Preprocessing("integers", 1, (), (), (0, 2, 5))
CLASSES = ("no", "yes", "perhaps")


def make(preprocessing: Preprocessing = REAL, method: str = "lstm", seed: int = 0) -> TrainedModel:
    """A trained model's like, with initial weights."""
    config = Config(method=method, hidden_size=6, embedding_size=4, seed=seed)
    network = build_network(config, preprocessing, len(CLASSES)).eval()
    return TrainedModel(network, preprocessing, CLASSES, config, None, torch.device("cpu"))


def values(rows: int, steps: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, steps, 2)) * (2.0, 10.0) + (3.0, -50.0)


@settings(max_examples=8, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 20), min_size=1, max_size=4),
    pushes=st.integers(0, 5),
    seed=st.integers(0, 1000),
)
@pytest.mark.parametrize("symbols", [False, True])
@pytest.mark.parametrize("method", RECURRENT)
def test_however_a_stream_is_cut_the_result_is_that_of_one_pass(
    method: str, symbols: bool, lengths: list[int], pushes: int, seed: int
) -> None:
    model, generator = make(NUMBERS if symbols else REAL, method), np.random.default_rng(seed)
    x = values(len(lengths), 20)
    if symbols:
        x = generator.integers(0, 7, x.shape[:2])  # some unknown to the model
    session = StreamSession(model, len(lengths))
    read, left = np.zeros(len(lengths), int), np.array(lengths)
    for push in range(pushes + 1):
        rows = generator.permutation(len(lengths))[: generator.integers(1, len(lengths) + 1)]
        steps = generator.integers(0, left[rows] + 1)
        if push == pushes:  # what is left of all
            rows, steps = np.arange(len(lengths)), left.copy()
        pieces = np.stack([np.roll(x[row], -read[row], axis=0) for row in rows])
        session.push(pieces, rows=rows, lengths=steps)
        read[rows] += steps
        left[rows] -= steps
    np.testing.assert_array_equal(session.steps, lengths)
    if any(lengths):
        kept = [row for row, length in enumerate(lengths) if length]
        whole = backcast.load([x[row, : lengths[row]] for row in kept], kind="symbols" if symbols else "real")
        np.testing.assert_allclose(
            session.probabilities(kept), model.predict_proba(whole.train), rtol=0, atol=1e-5
        )


def test_a_model_says_in_a_line_what_it_is() -> None:
    assert repr(make()) == (
        "TrainedModel(lstm, reads real vectors of 2 channels, classes 'no', 'yes', 'perhaps')"
    )
    assert "reads characters, no classes" in repr(replace(make(LETTERS), classes=()))


@pytest.mark.parametrize("method", RECURRENT)
def test_long_pushes_are_read_in_pieces(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backcast.streaming.STEPS_OF_A_CALL", 40)
    model, x = make(method=method), values(2, 61)
    session = StreamSession(model, 2)
    found = session.push(x, lengths=[61, 33])
    one = StreamSession(model).push(x[1:, :33])
    np.testing.assert_allclose(found[1:], one, atol=1e-5)
    np.testing.assert_allclose(found, model.predict_proba(backcast.load([x[0], x[1, :33]]).train), atol=1e-5)


def test_text_bytes_and_words() -> None:
    letters = StreamSession(make(LETTERS))
    letters.push("ab")
    both = StreamSession(make(LETTERS), 2).push(["abzc", "a"])  # z is unknown
    np.testing.assert_allclose(letters.push([["z", "c"]]), both[:1], atol=1e-6)
    for same in (b"abz", "abz", bytearray(b"abz"), [b"abz"], np.array([[97, 98, 122]])):
        np.testing.assert_allclose(
            StreamSession(make(BYTES)).push(same), StreamSession(make(BYTES)).push(b"abz"), atol=1e-6
        )
    words = StreamSession(make(WORDS), 2).push([["home", "buy"], ["view"]])
    np.testing.assert_allclose(
        StreamSession(make(WORDS)).push(np.array([["home", "buy"]])), words[:1], atol=1e-6
    )
    np.testing.assert_allclose(
        StreamSession(make(NUMBERS)).push([["02", "5"]]),
        StreamSession(make(NUMBERS)).push(torch.tensor([[2, 5]])),
    )


def test_symbols_come_in_the_forms_that_fit_takes() -> None:
    pandas = pytest.importorskip("pandas")
    whole, ragged = [[0, 2], [5, 2]], [[0, 2], [5]]
    arrays = [np.array(row) for row in ragged]
    for preprocessing, same, plain in (
        (NUMBERS, pandas.DataFrame(whole), whole),
        (NUMBERS, arrays, ragged),
        (NUMBERS, [torch.tensor(row) for row in ragged], ragged),
        (NUMBERS, [list(row) for row in arrays], ragged),
        (WORDS, pandas.Series([["home", "buy"], ["view"]]), [["home", "buy"], ["view"]]),
        (WORDS, pandas.DataFrame([["home", "buy"], ["view", "buy"]]), [["home", "buy"], ["view", "buy"]]),
        (LETTERS, pandas.Series(["ab", "c"]), ["ab", "c"]),
        (BYTES, [np.frombuffer(b"ab", np.uint8), [np.uint8(99)]], [b"ab", b"c"]),
    ):
        model = make(preprocessing)
        np.testing.assert_array_equal(StreamSession(model, 2).push(same), StreamSession(model, 2).push(plain))


def test_what_stands_behind_the_lengths_is_not_looked_at() -> None:
    for preprocessing, right, padded in (
        (REAL, [[[0.0, 1.0]], [[2.0, 3.0]]], [[[0, 1], [np.nan, 1]], [[2, 3], [np.inf, 1e300]]]),
        (WORDS, [["home"], ["buy"]], [["home", None], ["buy", np.nan]]),
        (NUMBERS, [[0], [5]], [[0, -1.5], [5, 0.5]]),
    ):
        model = make(preprocessing)
        found = StreamSession(model, 2).push(padded, lengths=[1, 1])
        np.testing.assert_array_equal(found, StreamSession(model, 2).push(right))
        with pytest.raises(InputError, match="row 1, step 1"):
            StreamSession(model, 2).push(padded, lengths=[1, 2])


def test_no_step_is_an_answer_too_and_reset_begins_anew() -> None:
    model = make()
    session = StreamSession(model, 3)
    before = session.push(np.zeros((3, 0, 2)))
    with torch.no_grad():
        zeros = model.network.classifier(torch.zeros(1, 6)).softmax(dim=1).numpy()  # type: ignore[misc]
    np.testing.assert_allclose(before, np.repeat(zeros, 3, axis=0), atol=1e-6)
    after = session.push(values(3, 9))
    np.testing.assert_array_equal(session.push([[], [], []]), after)
    session.reset([1])
    assert session.steps.tolist() == [9, 0, 9]
    np.testing.assert_array_equal(session.probabilities(), np.stack([after[0], before[1], after[2]]))
    session.resize(4)
    assert session.steps.tolist() == [9, 0, 9, 0]
    session.resize(1)  # a matrix of one row may be multiplied in another order
    np.testing.assert_allclose(session.probabilities(), after[:1], atol=1e-6)
    session.reset()
    np.testing.assert_allclose(session.probabilities(), before[:1], atol=1e-6)


def test_kept_streams_go_on_under_new_numbers() -> None:
    session, x = StreamSession(make(), 4), values(4, 9)
    session.push(x[:, :5], lengths=[5, 4, 3, 2])
    session.keep([2, 0])
    assert session.steps.tolist() == [3, 5] and session.batch_size == 2
    whole = StreamSession(make(), 2).push(x[[2, 0]], lengths=[7, 9])
    pieces = np.stack([x[2, 3:7], x[0, 5:]])
    np.testing.assert_allclose(session.push(pieces), whole, atol=1e-6)
    session.keep(None)
    assert session.batch_size == 2
    with pytest.raises(
        InputError, match="the number of streams to keep must be a whole number from 1, not 0"
    ):
        session.keep([])


@pytest.mark.parametrize("method", RECURRENT)
def test_a_state_that_was_saved_goes_on(method: str, tmp_path: Path) -> None:
    model, x = make(method=method), values(2, 20)
    session = StreamSession(model, 2)
    answer = session.push(x[:, :7])
    session.save(tmp_path / "state")
    kept = session.state_dict()
    whole = session.push(x[:, 7:])
    other = StreamSession(model, 2)
    other.load(tmp_path / "state")
    np.testing.assert_array_equal(other.push(x[:, 7:]), whole)
    for _ in range(2):  # what is read on does not change the dictionary, neither with all rows nor with some
        session.load_state_dict(kept)
        assert session.steps.tolist() == [7, 7]
        np.testing.assert_array_equal(session.probabilities(), answer)
        np.testing.assert_array_equal(session.push(x[:, 7:], rows=[0, 1]), whole)
        session.load_state_dict(kept)
        np.testing.assert_array_equal(session.push(x[:, 7:]), whole)


def test_a_state_of_another_model_or_of_other_streams_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state"
    StreamSession(make(), 2).save(path)
    with pytest.raises(InputError, match="saved by another model"):
        StreamSession(make(seed=1), 2).load(path)
    with pytest.raises(InputError, match=r"a session of this model holds state\.h, output"):
        StreamSession(make(method="gru"), 2).load(path)
    with pytest.raises(InputError, match=r"holds 2 streams, the session 3.*batch_size=2"):
        StreamSession(make(), 3).load(path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match="cannot be read"):
        StreamSession(make(), 2).load(path)
    with pytest.raises(InputError, match="cannot be read"):
        StreamSession(make(), 2).load(tmp_path / "none")


def test_a_state_fits_only_the_preprocessing_and_the_classes_that_it_was_read_with() -> None:
    for model, others in (
        (make(), [make(replace(REAL, mean=(3.0, -49.0))), make(replace(REAL, std=(2.0, 11.0)))]),
        (make(), [replace(make(), classes=("yes", "no", "perhaps"))]),
        (make(LETTERS), [make(replace(LETTERS, vocabulary=tuple("abd")))]),
    ):
        saved = StreamSession(model).state_dict()
        StreamSession(model).load_state_dict(saved)
        for other in others:  # with the same weights
            for one, same in zip(model.network.parameters(), other.network.parameters(), strict=True):
                assert torch.equal(one, same)
            with pytest.raises(InputError, match="saved by another model"):
                StreamSession(other).load_state_dict(saved)


def test_models_that_cannot_stream_are_refused() -> None:
    with pytest.raises(InputError, match="attends to whole rows"):
        StreamSession(make(method="transformer"))
    shuffled = Preprocessing("real", 1, (0.0,), (1.0,), (), (2, 0, 1), "pmnist-0")
    with pytest.raises(InputError, match="in the order 'pmnist-0'"):
        StreamSession(make(shuffled))
    with pytest.raises(InputError, match="a whole number from 1, not 0"):
        StreamSession(make(), 0)
    with pytest.raises(InputError, match=r"model must be what load_model\(\.\.\.\) gives, not a str"):
        StreamSession("runs/mine")  # type: ignore[arg-type]


def test_features_are_taken_by_position_and_named_tables_must_be_in_order() -> None:
    pandas = pytest.importorskip("pandas")
    named, x = make(replace(REAL, columns=("celsius", "vib"))), values(1, 4)
    right = pandas.DataFrame(x[0], columns=["celsius", "vib"])
    expected = StreamSession(named).push(x)
    for same in ([right], [right.rename(columns={"celsius": 0, "vib": 1})]):
        np.testing.assert_array_equal(StreamSession(named).push(same), expected)
    for wrong in (right[["vib", "celsius"]], right.assign(more=1), right[["vib"]]):
        for pushed in ([wrong], wrong):
            with pytest.raises(
                InputError, match=r"x has the columns '.*; the model reads 'celsius', 'vib': name"
            ):
                StreamSession(named).push(pushed)
    steps = make(Preprocessing("real", 1, (0.0,), (1.0,), columns=("t0", "t1", "t2")))  # one column per step
    StreamSession(steps).push(pandas.DataFrame([[1.0, 2.0]], columns=["t1", "t2"]))


BAD = {
    "more rows": (REAL, 1, dict(x=np.zeros((2, 3, 2))), "x has 2 rows, but 1 is read here"),
    "fewer rows": (REAL, 2, dict(x=np.zeros((1, 3, 2))), "x has 1 row, but 2 are read"),
    "rows of rows": (REAL, 3, dict(x=np.zeros((3, 3, 2)), rows=[0, 1]), "x has 3 rows, but 2 are"),
    "channels": (REAL, 1, dict(x=np.zeros((1, 3, 3))), r"\(1, 3, 3\).*2 channels: push numbers \(rows, steps, 2\)"),
    "no channels": (REAL, 1, dict(x=np.zeros((1, 3))), r"\(1, 3\) of float64"),
    "text": (REAL, 1, dict(x="abc"), "the model reads real vectors of 2 channels"),
    "ragged": (REAL, 2, dict(x=[np.zeros((2, 2)), np.zeros((3, 2))]), "pad them to one length"),
    "nan": (REAL, 1, dict(x=[[[0, 1], [0, float("nan")]]]), "row 0, step 1, channel 1 is nan"),
    "too large": (REAL, 1, dict(x=[[[0, 1], [0, 1e300]]]), r"channel 1 is 1e\+300, beyond what 32 bits hold"),
    "lengths": (REAL, 1, dict(x=np.zeros((1, 3, 2)), lengths=[4]), "has 3 steps, so 0 .. 3, not 4"),
    "more lengths": (REAL, 1, dict(x=np.zeros((1, 3, 2)), lengths=[1, 1]), "lengths must be 1 whole number"),
    "far rows": (REAL, 2, dict(x=np.zeros((1, 3, 2)), rows=[2]), r"rows must lie in 0 \.\. 1"),
    "twice": (REAL, 2, dict(x=np.zeros((2, 3, 2)), rows=[1, 1]), "names a stream twice"),
    "flags": (REAL, 2, dict(x=np.zeros((1, 3, 2)), rows=[True]), "rows must be a list of whole numbers"),
    "numbers for text": (LETTERS, 1, dict(x=[[1, 2]]), "row 0, step 0 is 1, but the model reads characters"),
    "text and numbers": (WORDS, 1, dict(x=[["home", 1.5]]), "row 0, step 1 is 1.5"),
    "a fraction": (NUMBERS, 1, dict(x=[[0.5]]), "step 0 is 0.5, but the model reads whole numbers"),
    "words in a row": (WORDS, 1, dict(x=["home"]), r"row 0 is 'home'.*push \(rows, steps\)"),
    "no byte": (BYTES, 1, dict(x=[[256]]), "step 0 is 256"),
    "masked": (REAL, 1, dict(x=np.ma.masked_equal(np.ones((1, 3, 2)), 1)), "x is masked; say what"),
    "bfloat16": (REAL, 1, dict(x=torch.ones(1, 3, 2, dtype=torch.bfloat16)), "x: this tensor is no array"),
    "fractions": (NUMBERS, 1, dict(x=[np.array([0.5])]), "row 0, step 0 is 0.5"),
    "nothing": (BYTES, 1, dict(x=None), "x is a NoneType"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_what_does_not_fit_is_refused_and_nothing_is_read(what: str) -> None:
    preprocessing, rows, arguments, message = BAD[what]
    session = StreamSession(make(preprocessing), rows)
    with pytest.raises(InputError, match=message):
        session.push(**arguments)
    assert session.steps.tolist() == [0] * rows


@pytest.mark.parametrize("name", ["auto", "off"])
def test_many_streams_are_those_alone(name: str) -> None:
    """As many rows as the kernel takes, where there is one; torch's cell reads one."""
    for preprocessing in (REAL, NUMBERS):
        model, x = make(preprocessing), values(40, 9)
        if preprocessing is NUMBERS:
            x = np.random.default_rng(0).integers(0, 7, x.shape[:2])
        with using(name):
            found = StreamSession(model, 40).push(x, lengths=np.arange(40) % 10)
        one = StreamSession(model)
        for row in (1, 6, 39):
            one.reset()
            for step in range(row % 10):
                alone = one.push(x[row : row + 1, step : step + 1])
            np.testing.assert_allclose(alone, found[row : row + 1], atol=1e-5)


def test_streams_whose_state_has_overflowed_are_named() -> None:
    model = make(method="irnn")
    model.network.encoder.rnn.weight_hh_l0.data.fill_(10.0)
    session = StreamSession(model, 3)
    for ask in (lambda: session.push(values(2, 60), rows=[0, 2], lengths=[1, 60]), session.logits):
        with pytest.raises(Overflowed, match="stream 2: the state has grown beyond 32 bits"):
            ask()
    assert session.steps.tolist() == [1, 0, 60] and np.isfinite(session.probabilities([0, 1])).all()
    session.reset([2])
    assert np.isfinite(session.push(values(3, 1))).all()


@pytest.mark.parametrize("kernel", ["auto", "off"])
@pytest.mark.parametrize("method", RECURRENT)
def test_memory_does_not_grow_with_the_steps(method: str, kernel: str) -> None:
    """What lives behind a push is the same size, however many steps it had."""
    with using(kernel):
        session, kept = StreamSession(make(method=method), 2), []
        for lengths in ([3, 3], [3000, 3000], [3000, 2000]):
            session.push(values(2, max(lengths)), lengths=lengths)
            kept.append(sum(part.untyped_storage().nbytes() for part in (*session._state, session._outputs)))
    assert len(set(kept)) == 1
