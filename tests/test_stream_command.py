"""`backcast stream` as its user meets it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backcast.build import describe_model, load_model
from backcast.cli import main
from backcast.data.preprocessing import Preprocessing
from backcast.errors import InputError
from backcast.files import write_json
from backcast.stream_lines import Streams
from backcast.streaming import StreamSession, read_state
from test_streaming import BYTES, LETTERS, NUMBERS, REAL, WORDS, make, values


def save_model(folder: Path, *arguments: object) -> Path:
    """A model folder, as a run has it."""
    from safetensors.torch import save_file

    model = make(*arguments)  # type: ignore[arg-type]
    folder.mkdir(parents=True, exist_ok=True)
    description = describe_model(model.config, model.preprocessing, model.classes, None)
    write_json(folder / "config.json", description)
    save_file(model.network.state_dict(), folder / "model.safetensors")
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return save_model(tmp_path / "model")


class Stream:
    """Runs the command in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(
        self, run: Path, text: str | bytes, *options: str, status: int = 0
    ) -> tuple[list[dict], str]:
        content = text if isinstance(text, bytes) else text.encode()
        self.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        self.capsys.readouterr()
        assert main(["stream", str(run), *options]) == status
        found = self.capsys.readouterr()
        return [json.loads(line) for line in found.out.splitlines()], found.err


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Stream:
    return Stream(monkeypatch, capsys)


def lines(*objects: object) -> str:
    return "".join(json.dumps(one) + "\n" for one in objects)


def test_one_stream_as_often_as_asked(run: Path, stream: Stream) -> None:
    x = values(1, 7)[0].tolist()
    answers, _ = stream(run, lines(*x), "--every", "3")
    assert [answer["steps"] for answer in answers] == [3, 6, 7]
    model = load_model(run)
    for answer in answers:
        expected = StreamSession(model).push([x[: answer["steps"]]])[0]
        np.testing.assert_allclose(list(answer["probabilities"].values()), expected, atol=1e-5)
        assert answer["prediction"] == model.classes[expected.argmax()] and answer["id"] is None
        assert list(answer["probabilities"]) == ["no", "yes", "perhaps"]
    assert [answer["steps"] for answer in stream(run, lines(*x))[0]] == [1, 2, 3, 4, 5, 6, 7]
    assert [answer["steps"] for answer in stream(run, lines(*x).strip(), "--every", "0")[0]] == [7]
    assert stream(run, "\n") == ([], "")


def test_many_streams_with_their_own_lives(run: Path, stream: Stream) -> None:
    x = values(4, 30)
    events = [{"id": f"s{row}", "x": x[row, step].tolist()} for step in range(30) for row in range(3)]
    events += [{"id": "s1", "end": True}, {"id": 7, "x": x[3, 0].tolist(), "end": True}]
    events += [{"id": "s1", "x": x[3, 0].tolist()}]  # begins anew
    answers, _ = stream(run, lines(*events), "--every", "20")
    assert [(answer["id"], answer["steps"], answer.get("end", False)) for answer in answers] == [
        ("s0", 20, False), ("s1", 20, False), ("s2", 20, False), ("s1", 30, True), (7, 1, True),
        ("s0", 30, False), ("s2", 30, False), ("s1", 1, False),
    ]  # fmt: skip
    found = {(answer["id"], answer["steps"]): list(answer["probabilities"].values()) for answer in answers}
    whole = StreamSession(load_model(run), 4).push(x[:, :30], lengths=[30, 30, 30, 1])
    for row, name in enumerate([("s0", 30), ("s1", 30), ("s2", 30), ("s1", 1)]):
        np.testing.assert_allclose(found[name], whole[row], atol=1e-5)


def test_a_stream_goes_on_where_it_stopped(run: Path, stream: Stream, tmp_path: Path) -> None:
    x = values(2, 10)
    events = [{"id": row, "x": x[row, step].tolist()} for step in range(10) for row in range(2)]
    state = str(tmp_path / "state.safetensors")
    whole, _ = stream(run, lines(*events), "--every", "4")
    first, _ = stream(run, lines(*events[:11]), "--every", "4", "--state", state)
    second, _ = stream(run, lines(*events[11:]), "--every", "4", "--state", state)
    both = [answer for answer in first if answer["steps"] % 4 == 0] + second
    assert [(one["id"], one["steps"]) for one in both] == [(one["id"], one["steps"]) for one in whole]
    for one, other in zip(both, whole, strict=True):
        np.testing.assert_allclose(
            list(one["probabilities"].values()), list(other["probabilities"].values()), atol=1e-5
        )
    third, _ = stream(run, lines({"id": 1, "x": x[1, 0].tolist()}), "--every", "4", "--state", state)
    assert [(one["id"], one["steps"]) for one in third] == [(1, 11)]  # 0 read nothing since its last answer
    other = save_model(tmp_path / "other", REAL, "lstm", 5)
    assert "saved by another model" in stream(other, "", "--state", state, status=2)[1]
    assert "there is no folder" in stream(run, "", "--state", str(tmp_path / "no" / "state"), status=2)[1]
    (tmp_path / "bad").write_text("x")
    assert "cannot be read" in stream(run, "", "--state", str(tmp_path / "bad"), status=2)[1]


def test_streams_that_have_ended_take_no_memory(run: Path, stream: Stream, tmp_path: Path) -> None:
    x, state = values(3, 8), tmp_path / "state"
    model, streams = load_model(run), Streams(load_model(run), every=0)
    batches = []
    for step in range(8):
        steps = [{"id": row, "x": x[row, step].tolist()} for row in (0, 1, 2)]
        others = [{"id": f"short {step}, {other}", "x": [1, 2]} for other in range(300)]
        streams.feed(lines(*others, *steps).encode())
        batches.append(streams._session.batch_size)
        streams.feed(lines(*({"id": one["id"], "end": True} for one in others)).encode())
        batches.append(streams._session.batch_size)
    assert batches == [512, 64] * 8
    streams.save(state)
    assert len(read_state(state)[1]["steps"]) == 3
    ends = [{"id": row, "end": True} for row in range(3)]
    expected = StreamSession(model, 3).push(x)
    for going_on in (
        streams.feed(lines(*ends).encode())[0],
        stream(run, lines(*ends), "--state", str(state))[0],
    ):
        for answer, wanted in zip(going_on, expected, strict=True):
            answer = json.loads(answer) if isinstance(answer, str) else answer
            assert answer["steps"] == 8
            np.testing.assert_allclose(list(answer["probabilities"].values()), wanted, atol=1e-5)
    assert len(read_state(state)[1]["steps"]) == 1  # a session has at least one row


def test_a_state_with_the_rows_of_streams_that_have_ended_goes_on(
    run: Path, stream: Stream, tmp_path: Path
) -> None:
    x, state = values(200, 8), tmp_path / "state"
    old = StreamSession(load_model(run), 200)
    old.push(x[[7, 150], :5], rows=[7, 150])
    old.save(state, {"ids": json.dumps([["b", 150], ["a", 7]])})
    events = [
        {"id": id, "x": x[row, step].tolist()} for step in range(5, 8) for id, row in (("a", 7), ("b", 150))
    ]
    answers, _ = stream(run, lines(*events), "--every", "8", "--state", str(state))
    expected = StreamSession(load_model(run), 2).push(x[[7, 150]])
    for answer, wanted in zip(answers, expected, strict=True):
        np.testing.assert_allclose(list(answer["probabilities"].values()), wanted, atol=1e-5)
    assert len(read_state(state)[1]["steps"]) == 2


def test_a_state_that_cannot_be_written_is_named_before_the_work(
    run: Path, stream: Stream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    assert f"--state {tmp_path}: is a folder" in stream(run, "", "--state", str(tmp_path), status=2)[1]

    def full(*given: object) -> None:
        raise OSError(28, "No space left on device", str(given[0]))

    monkeypatch.setattr("os.replace", full)  # only at the end, where it could not be known
    answers, error = stream(run, "[1, 2]\n", "--state", str(state), status=1)
    assert len(answers) == 1 and error == f"backcast: {state}: No space left on device\n"
    assert {path.name for path in tmp_path.iterdir()} == {"model", ".state.lock"}

    def read_only(dir: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", read_only)
    answers, error = stream(run, "[1, 2]\n", "--state", str(state), status=2)
    assert not answers and f"--state {state}: {tmp_path} cannot be written: Permission denied" in error


def test_two_at_once_do_not_share_a_state(run: Path, stream: Stream, tmp_path: Path) -> None:
    state, link = tmp_path / "state", tmp_path / "link"
    link.symlink_to(state)
    with start(run, "--state", str(state)) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("[1, 2]\n")
        process.stdin.flush()
        process.stdout.readline()
        for name in (state, link):
            answers, error = stream(run, "[1, 2]\n", "--state", str(name), status=2)
            assert not answers and f"--state {name}: another process is at work in it" in error
        process.stdin.close()
        assert process.wait(60) == 0
    assert [one["steps"] for one in stream(run, "[1, 2]\n", "--state", str(link))[0]] == [2]


def test_raw_bytes_and_text(tmp_path: Path, stream: Stream) -> None:
    reads_bytes, reads_text = (save_model(tmp_path / kind.kind, kind) for kind in (BYTES, LETTERS))
    content = b"abcabz" * 200  # longer than a piece
    answers, _ = stream(reads_bytes, content, "--format", "bytes", "--every", "500")
    assert [answer["steps"] for answer in answers] == [500, 1000, 1200]
    for answer in answers:
        expected = StreamSession(load_model(reads_bytes)).push(content[: answer["steps"]])
        np.testing.assert_allclose(list(answer["probabilities"].values()), expected[0], atol=1e-5)
    answers, _ = stream(reads_text, "abä", "--format", "text", "--every", "0")
    assert [answer["steps"] for answer in answers] == [3]
    assert stream(reads_text, "\ufeffabä", "--format", "text", "--every", "0")[0] == answers
    answers, error = stream(reads_text, b"ab\xffab", "--format", "text", status=2)
    assert "behind character 2: is no UTF-8" in error and [one["steps"] for one in answers] == [1, 2]
    for run, wrong, right in ((reads_text, "bytes", "text"), (reads_bytes, "text", "bytes")):
        assert f"; say --format {right}\n" in stream(run, "", "--format", wrong, status=2)[1]
        for line in ("abc", "[1.5]"):
            assert f"; --format {right} reads the input as it is\n" in stream(run, line, status=2)[1]
    reads_words = save_model(tmp_path / "words", WORDS)
    assert (
        "words as symbols; say --format jsonl\n" in stream(reads_words, "", "--format", "text", status=2)[1]
    )
    assert "--format" not in stream(reads_words, "abc", status=2)[1]
    assert [one["steps"] for one in stream(reads_text, '"abc"\n"a"\n')[0]] == [1, 2, 3, 4]
    assert [one["steps"] for one in stream(reads_bytes, '98\n"ä"\n')[0]] == [1, 2, 3]


def test_unknown_symbols_are_named_once(tmp_path: Path, stream: Stream) -> None:
    had_not = (
        "backcast: the input holds symbols that the training rows had not ({}); they are read as unknown\n"
    )
    text = save_model(tmp_path / "text", LETTERS)
    assert stream(text, "abc", "--format", "text")[1] == ""
    assert stream(text, "aBA\nC" * 100, "--format", "text", "--every", "0")[1] == had_not.format(
        "'\\n', 'A', 'B', 'C'"
    )
    numbers = save_model(tmp_path / "numbers", NUMBERS)
    assert stream(numbers, '2\n"02"\n"5"\n')[1] == ""
    assert stream(numbers, "2\n3\n4\n", "--every", "0")[1] == had_not.format("3, 4")


NAMED = replace(REAL, columns=("celsius", "vib"))
FINE = Preprocessing("real", 1, (0.0,), (0.1,))
BAD = {
    "no json": (REAL, "[1, 2]\n{", "line 2: is no JSON"),
    "width": (REAL, "[1, 2]\n[1]", r"line 2: x is [1]; a step of this model is a list of 2 numbers"),
    "columns": (NAMED, "[1]", "x is [1]; a step of this model is a list of 2 numbers ('celsius', 'vib')"),
    "nan": (REAL, "[1, NaN]", "line 1: x is [1, nan]"),
    "float": (REAL, "[1, 2]\n[1, 1e300]", "line 2: x is [1, 1e+300]; a step of this model is"),
    "huge": (REAL, f"[1, 1{'0' * 400}]", "a step of this model is"),
    "overflow": (FINE, "1\n3e38", "line 2: x is 3e+38, beyond what 32 bits hold once it is standardised"),
    "word": (REAL, '["a", 1]', "line 1: x is ['a', 1]"),
    "key": (REAL, '{"id": 1, "xx": [1, 2]}', "unknown key 'xx'; an object has id, x and end; did you mean"),
    "id": (REAL, '{"id": [1], "x": [1, 2]}', "id is [1]; it must be a text or a whole number"),
    "nothing": (REAL, '{"id": 1}', "has neither x (a step) nor end"),
    "end": (REAL, '{"id": 1, "end": true}', "there is no open stream 1 that could end"),
    "end kind": (REAL, '{"id": 1, "end": 1}', "end is 1; it must be true or false"),
    "fraction": (NUMBERS, "2\n0.5", "line 2: x is 0.5; a step of this model is a word or a whole number"),
    "flag": (WORDS, "true", "line 1: x is True"),
    "byte": (BYTES, "256", "a step of this model is a text or a number, 0 .. 255"),
    "letter": (LETTERS, "1", "a step of this model is a text"),
    "long": (LETTERS, '"' + "a" * (2 << 20), "line 1: has more than"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_line_is_named_behind_the_answers_before_it(what: str, tmp_path: Path, stream: Stream) -> None:
    preprocessing, text, message = BAD[what]
    answers, error = stream(save_model(tmp_path / "model", preprocessing), text, status=2)
    assert message in error and error.count("\n") == 1
    assert len(answers) == (1 if "line 2" in message else 0)


def test_a_number_that_overflows_loses_nothing_of_what_came_before(tmp_path: Path, stream: Stream) -> None:
    run, state = save_model(tmp_path / "model", FINE), str(tmp_path / "state")
    answers, error = stream(run, "1\n2\n-3e38\n4\n", "--state", state, status=2)
    assert [one["steps"] for one in answers] == [1, 2] and "line 3: x is -3e+38" in error
    assert [one["steps"] for one in stream(run, "3e37\n", "--state", state)[0]] == [
        3
    ]  # the largest that fits


def test_an_error_in_the_reading_leaves_the_state_as_it_was(
    run: Path, tmp_path: Path, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    stream(run, "[1, 2]\n", "--state", str(state))
    before = state.read_bytes()

    def broken(*given: object, **named: object) -> None:
        raise InputError("what push refuses")

    monkeypatch.setattr(StreamSession, "push", broken)
    stream(run, '{"id": "new", "x": [3, 4]}\n', "--state", str(state), status=2)
    assert state.read_bytes() == before


def test_a_stream_whose_state_has_overflowed_is_named_and_dropped(tmp_path: Path, stream: Stream) -> None:
    from safetensors.torch import load_file, save_file

    run, state = save_model(tmp_path / "model", REAL, "irnn"), str(tmp_path / "state")
    weights = load_file(run / "model.safetensors")
    weights["encoder.rnn.weight_hh_l0"].fill_(10.0)
    save_file(weights, run / "model.safetensors")
    x = values(1, 60)[0].tolist()
    others = [{"id": "b", "x": x[0]}, {"id": "c", "x": x[0], "end": True}]
    events = lines(*others, *({"id": "a", "x": step} for step in x), {"id": "a", "end": True})
    answers, error = stream(run, events + "{", "--every", "50", "--state", state, status=2)
    assert [one["id"] for one in answers] == ["c"] and error.count("\n") == 1
    assert "stream 'a': its state has grown beyond 32 bits after 50 steps" in error
    events = lines({"id": "b", "x": x[0]}, {"id": "a", "x": x[0]})
    answers, _ = stream(run, events, "--every", "0", "--state", state)
    assert [(one["id"], one["steps"]) for one in answers] == [("b", 2), ("a", 1)]


def start(run: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "backcast", "stream", str(run), *options]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(command, text=True, **pipes)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_answers_come_at_once_and_signals_end_quietly(
    number: signal.Signals, run: Path, tmp_path: Path
) -> None:
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("these tests were started by nohup, as the command would be")
    state = tmp_path / "state"
    with start(run, "--state", str(state)) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdin.write("[1, 2]\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["steps"] == 1  # while its input is still open
        process.send_signal(number)
        assert process.wait(30) == 130 and process.stderr.read() == ""
    assert state.exists()


def test_ctrl_c_twice_in_the_middle_of_a_piece_leaves_the_state_as_it_was(
    run: Path, tmp_path: Path, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    stream(run, "[1, 2]\n", "--state", str(state))
    before = state.read_bytes()
    plain = Streams.feed

    def twice(self: Streams, chunk: bytes, last: bool = False) -> object:
        found = plain(self, chunk, last)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        return found

    monkeypatch.setattr(Streams, "feed", twice)
    stream(run, "[3, 4]\n", "--state", str(state), status=130)
    assert state.read_bytes() == before


def test_signals_wait_until_streams_are_read_and_saved(
    run: Path, tmp_path: Path, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, save, state = Streams.feed, Streams.save, tmp_path / "state"

    def hung_up(self: Streams, chunk: bytes, last: bool = False) -> object:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
        return feed(self, chunk, last)

    def interrupted(self: Streams, path: Path) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        save(self, path)

    monkeypatch.setattr(Streams, "save", interrupted)
    assert [one["steps"] for one in stream(run, "[1, 2]\n", "--state", str(state))[0]] == [1]
    monkeypatch.undo()
    monkeypatch.setattr(Streams, "feed", hung_up)
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert [one["steps"] for one in stream(run, "[1, 2]\n", "--state", str(state), status=130)[0]] == [2]
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
        assert [one["steps"] for one in stream(run, "[1, 2]\n", "--state", str(state))[0]] == [3]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_closed_input_is_named(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)  # as Python has it behind the shell's <&-
    assert main(["stream", str(run)]) == 2
    assert "standard input is closed" in capsys.readouterr().err


def test_a_broken_pipe_ends_quietly(run: Path) -> None:
    with start(run) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdout.close()
        process.stdin.write("[1, 2]\n" * 10)
        process.stdin.close()
        assert process.wait(60) == 0 and process.stderr.read() == ""
