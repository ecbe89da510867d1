"""Many streams by their ids: lines or bytes in, lines of JSON out. What `backcast stream` does between its pipes.

Whatever has arrived is read together, all streams side by side, each cut where an answer is due. So no answer waits for
more data, and if much has arrived, the network reads long pieces of many rows.
"""

from __future__ import annotations

import codecs
import json
import reprlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from backcast.build import TrainedModel
from backcast.data.describe import read_as_unknown
from backcast.data.pushed import unknown_pushed
from backcast.data.sequences import describe_kind, some
from backcast.errors import InputError, nearest
from backcast.streaming import Overflowed, StreamSession, feature_names, read_state

LONGEST_LINE = 1 << 20
LARGEST = float(np.finfo(np.float32).max)  # number accepted: the network reads 32 bits
LONGEST_PIECE = 256
"""Steps of a stream in one call: rows are padded to the longest of them."""
FEWEST_ROWS = 64
"""Of a session that gives rows back once three quarters of them are free: twice as many as are open, or these."""
KEYS = ("id", "x", "end")
FORMATS = {"jsonl": None, "bytes": "bytes", "text": "characters"}
"""The kind of elements that a model must read; None: any."""

Id = str | int | None


@dataclass
class _Piece:
    """Steps of one stream that are read in one call, and whether an answer is due after them."""

    steps: list[Any] = field(default_factory=list)
    answer: int | None = None  # its place among the answers
    end: bool = False


class Streams:
    """Streams that begin with their first step and last until they end.

    model  as for `StreamSession`
    every  steps of a stream between answers; 0: only one, where it ends
    form   `jsonl`, `bytes` or `text`
    state  continue with what `save` wrote there
    say    told, once, of symbols that the model does not know

    Raises InputError where the model does not read what the form holds.
    """

    def __init__(
        self,
        model: TrainedModel,
        every: int = 1,
        form: str = "jsonl",
        state: Path | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        kind = model.preprocessing.kind
        raw = next((name for name, reads in FORMATS.items() if reads == kind), None)
        if FORMATS[form] not in (None, kind):
            raise InputError(
                f"--format {form}: this model reads {describe_kind(kind, model.preprocessing.channels)}; "
                f"say --format {raw or 'jsonl'}"
            )
        self._hint = f"; --format {raw} reads the input as it is" if raw else ""
        self.kind, self.channels, self.classes, self.every = (
            kind,
            model.preprocessing.channels,
            model.classes,
            every,
        )
        self._say: Callable[[str], None] | None = None if kind == "real" else say
        takes = {"jsonl": self._lines, "bytes": self._bytes, "text": self._text}
        self._take: Callable[[bytes, bool], None] = takes[form]
        self._rows: dict[Id, int] = {}
        self._steps: dict[Id, int] = {}
        if state is None:
            self._session = StreamSession(model)
        else:
            note, tensors = read_state(state)
            try:
                self._session = StreamSession(model, len(tensors["steps"]))
                self._session.load(state)
                self._rows = {id: row for id, row in json.loads(note["ids"])}
            except KeyError as error:
                raise InputError(
                    f"{state}: was not written by `backcast stream`: it has no {error}"
                ) from None
            self._steps = {id: int(self._session.steps[row]) for id, row in self._rows.items()}
        # Steps at the last answer. What a former process read, it has answered.
        self._answered = dict(self._steps)
        taken = set(self._rows.values())
        self._free = [row for row in reversed(range(self._session.batch_size)) if row not in taken]
        self._pieces: dict[Id, deque[_Piece]] = {}
        self._overflowed: InputError | None = None
        self._answers = self._line = 0
        self.whole = True  # nothing is half read; for ever false where `feed` has raised
        self._rest = b""
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()  # a byte-order mark is no character

    def feed(self, chunk: bytes, last: bool = False) -> tuple[list[str], InputError | None]:
        """Reads what has arrived; returns the lines to write, and what was wrong after them, if anything was.

        last  nothing more comes: a line without its newline counts, and streams that read on since their last answer get one
        """
        self.whole, error = False, None
        try:
            self._take(chunk, last)
        except InputError as found:
            error = found
        if last and error is None:
            for id, steps in self._steps.items():
                if steps != self._answered.get(id):
                    self._answer_due(id)
        answers = self._read()
        if max(FEWEST_ROWS, 4 * len(self._rows)) < self._session.batch_size:
            self._keep_open(max(FEWEST_ROWS, 2 * len(self._rows)))
        self.whole = True
        return answers, self._overflowed or error

    def save(self, path: Path) -> None:
        """Writes all open streams, to continue later. Raises OSError."""
        self._keep_open(max(1, len(self._rows)))
        self._session.save(path, {"ids": json.dumps(list(self._rows.items()))})

    def _keep_open(self, rows: int) -> None:
        """Moves the open streams to the first of `rows` rows: those that have ended need no memory."""
        self._session.keep(list(self._rows.values()) or [0])  # a row without a stream has read nothing
        self._session.resize(rows)
        self._rows = {id: row for row, id in enumerate(self._rows)}
        self._free = list(reversed(range(len(self._rows), rows)))

    def _lines(self, chunk: bytes, last: bool) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if last:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._line += 1
            if line.strip():
                self._one_line(line)
        if len(self._rest) > LONGEST_LINE:
            raise InputError(f"line {self._line + 1}: has more than {LONGEST_LINE} bytes; one step a line")

    def _one_line(self, line: bytes) -> None:
        place = f"line {self._line}"
        try:
            given = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{place}: is no JSON: {str(error)[:150]}{self._hint}") from None
        if not isinstance(given, dict):
            given = {"x": given}
        for name in given.keys() - set(KEYS):
            raise InputError(
                f"{place}: unknown key {name!r}; an object has id, x and end{nearest(name, KEYS)}"
            )
        id, end = given.get("id"), given.get("end", False)
        if isinstance(id, bool) or not isinstance(id, str | int | None):
            raise InputError(f"{place}: id is {reprlib.repr(id)}; it must be a text or a whole number")
        if not isinstance(end, bool):
            raise InputError(f"{place}: end is {reprlib.repr(end)}; it must be true or false")
        if "x" not in given and not end:
            raise InputError(f"{place}: has neither x (a step) nor end")
        steps = self._elements(given["x"], place) if "x" in given else []
        if end and not steps and id not in self._steps:
            raise InputError(f"{place}: there is no open stream {reprlib.repr(id)} that could end")
        self._plan(id, steps, end)

    def _elements(self, x: Any, place: str) -> list[Any]:
        """The steps in one `x`: one, or one per character or byte of a text. Raises InputError."""
        if self.kind == "real":
            found = x if isinstance(x, list) else [x]
            if len(found) == self.channels and all(map(_is_number, found)):
                self._require_32_bits(found, place)
                return [found]
            wanted = "a number" if self.channels == 1 else f"a list of {self.channels} numbers"
            if features := feature_names(self._session.model.preprocessing):
                wanted += f" ({some(features)})"
        elif self.kind == "characters":
            if isinstance(x, str):
                return list(x)
            wanted = "a text"
        elif self.kind == "bytes":
            if isinstance(x, str):
                return list(x.encode("utf-8", "surrogatepass"))
            if _is_whole(x) and 0 <= x < 256:
                return [x]
            wanted = "a text or a number, 0 .. 255"
        else:
            if isinstance(x, str) or _is_whole(x):
                return [x]
            wanted = "a word or a whole number"
        raise InputError(f"{place}: x is {reprlib.repr(x)}; a step of this model is {wanted}{self._hint}")

    def _require_32_bits(self, step: list[Any], place: str) -> None:
        """Raises InputError for a number that overflows once standardised: `push` would refuse all that is read with it."""
        reads = self._session.model.preprocessing
        for value, mean, std in zip(step, reads.mean, reads.std, strict=True):
            if abs((value - mean) / std) > LARGEST:
                raise InputError(
                    f"{place}: x is {reprlib.repr(value)}, beyond what 32 bits hold once it is standardised "
                    f"(mean {mean:.3g}, standard deviation {std:.3g} in training); leave the step out"
                )

    def _bytes(self, chunk: bytes, last: bool) -> None:
        self._plan(None, chunk)

    def _text(self, chunk: bytes, last: bool) -> None:
        try:
            self._plan(None, self._decoder.decode(chunk, last))
        except UnicodeDecodeError as error:
            self._plan(None, error.object[: error.start].decode())  # what came before the error counts
            step = self._steps.get(None, 0)
            raise InputError(f"behind character {step}: is no UTF-8 ({error.reason})") from None

    def _plan(self, id: Id, steps: Sequence[Any], end: bool = False) -> None:
        """Notes steps to be read, cut where an answer is due; `end`: the last answer is the one at the stream's end."""
        read = self._steps.get(id, 0)
        pieces = self._pieces.setdefault(id, deque([_Piece()]))
        for left, step in zip(range(len(steps), 0, -1), steps, strict=True):
            if len(pieces[-1].steps) == LONGEST_PIECE:
                pieces.append(_Piece())
            pieces[-1].steps.append(step)
            read += 1
            self._steps[id] = read
            if self.every and read % self.every == 0 and not (end and left == 1):
                self._answer_due(id)
        if end:
            self._answer_due(id, end)
            del self._steps[id], self._answered[id]

    def _answer_due(self, id: Id, end: bool = False) -> None:
        pieces = self._pieces.setdefault(id, deque([_Piece()]))
        pieces[-1].answer, pieces[-1].end = self._answers, end
        pieces.append(_Piece())
        self._answered[id] = self._steps[id]
        self._answers += 1

    def _read(self) -> list[str]:
        """Reads what was noted, a piece of every stream at a time; returns the answers in the order they came due."""
        answers: list[tuple[int, str]] = []
        while self._pieces:
            turn = {id: pieces.popleft() for id, pieces in self._pieces.items()}
            self._pieces = {id: pieces for id, pieces in self._pieces.items() if pieces}
            turn = {id: piece for id, piece in turn.items() if piece.steps or piece.answer is not None}
            if turn:
                answers += self._read_pieces(turn)
        return [line for _, line in sorted(answers)]

    def _read_pieces(self, turn: dict[Id, _Piece]) -> list[tuple[int, str]]:
        rows = [self._row(id) for id in turn]
        lengths = [len(piece.steps) for piece in turn.values()]
        x: Any = [piece.steps for piece in turn.values()]
        if self.kind == "real":
            x = np.zeros((len(turn), max(lengths), self.channels))
            for row, piece in zip(x, turn.values(), strict=True):
                row[: len(piece.steps)] = np.array(piece.steps).reshape(-1, self.channels)
        elif self._say is not None:
            new = unknown_pushed(self._session.model.preprocessing, set().union(*x))
            if new:
                self._say(read_as_unknown("the input holds", new))
                self._say = None
        broken: list[int] = []
        try:
            found = self._session.push(x, rows=rows, lengths=lengths)
        except Overflowed as error:  # all has been read
            broken = error.rows
        answers, steps = [], self._session.steps
        if broken:
            self._session.reset(broken)
            found = self._session.probabilities(rows)
        for (id, piece), row, probabilities in zip(turn.items(), rows, found, strict=True):
            if row in broken:
                self._drop(id, int(steps[row]))
                continue
            if piece.answer is not None:
                answers.append(
                    (piece.answer, self._answer(id, int(steps[row]), probabilities.tolist(), piece.end))
                )
            if piece.end:
                self._session.reset([row])
                self._free.append(self._rows.pop(id))
        return answers

    def _drop(self, id: Id, steps: int) -> None:
        self._overflowed = InputError(
            f"stream {reprlib.repr(id)}: its state has grown beyond 32 bits after {steps} steps, so there are no probabilities; "
            "it is no longer open and begins anew with its next step"
        )
        for kept in (self._pieces, self._steps, self._answered):
            kept.pop(id, None)
        self._free.append(self._rows.pop(id))

    def _answer(self, id: Id, steps: int, probabilities: list[float], end: bool) -> str:
        best = max(range(len(probabilities)), key=probabilities.__getitem__)
        answer = {
            "id": id,
            "steps": steps,
            "prediction": self.classes[best],
            "probabilities": {
                str(name): float(f"{p:.7g}") for name, p in zip(self.classes, probabilities, strict=True)
            },
        }
        return json.dumps(answer | ({"end": True} if end else {}))

    def _row(self, id: Id) -> int:
        """The session's row of a stream; a free one if the stream begins."""
        if id not in self._rows:
            if not self._free:
                count = self._session.batch_size
                self._session.resize(2 * count)
                self._free = list(reversed(range(count, 2 * count)))
            self._rows[id] = self._free.pop()
        return self._rows[id]


def _is_whole(x: Any) -> bool:
    return isinstance(x, int) and not isinstance(x, bool)


def _is_number(x: Any) -> bool:
    try:
        return isinstance(x, int | float) and not isinstance(x, bool) and abs(float(x)) <= LARGEST
    except OverflowError:  # a whole number beyond all floats
        return False
