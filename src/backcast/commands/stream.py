"""`backcast stream`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import Any, cast

from backcast import process
from backcast.arguments import one_of, whole
from backcast.commands.terminal import prepare_process, say
from backcast.config import FIELDS
from backcast.errors import InputError
from backcast.output_files import require_place

CHUNK = 1 << 16


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="RUN", help="a run folder")
    parser.add_argument("--format", type=one_of("jsonl", "bytes", "text"), metavar="{jsonl,bytes,text}", default="jsonl", help='jsonl: one step per line: a number, a list, a word, or {"id": ..., "x": ...} for many streams, {"id": ..., "end": true} to end one; bytes, text: raw, for models that read bytes or characters (default: jsonl)')  # fmt: skip
    parser.add_argument("--every", type=whole(0), default=1, metavar="N", help="an answer after every N steps of a stream, and where it ends; 0: only there (default: 1)")  # fmt: skip
    parser.add_argument("--state", type=Path, metavar="FILE", help="continue the streams in FILE if it exists, and save them to it at the end (a second Ctrl-C leaves FILE as it was)")  # fmt: skip
    parser.add_argument("--device", default="cpu", help=FIELDS["device"].metadata["help"])


def run(arguments: argparse.Namespace) -> int:
    prepare_process(arguments)
    from backcast.locks import held_beside

    if sys.stdin is None:  # the shell's <&-
        raise InputError("standard input is closed, and steps come from there: backcast stream RUN < FILE")
    state: Path | None = arguments.state
    if state is None:
        return _run(arguments, None)
    require_place(state, f"--state {state}")
    with held_beside(state, f"--state {state}"):
        return _run(arguments, state)


def _run(arguments: argparse.Namespace, state: Path | None) -> int:
    from backcast.build import load_model
    from backcast.stream_lines import Streams

    known = state if state is not None and state.exists() else None
    model = load_model(arguments.source, arguments.device)
    streams = Streams(model, arguments.every, arguments.format, known, say)
    with _Interrupts() as interrupts:
        try:
            return _pump(streams, interrupts)
        except KeyboardInterrupt:  # in the middle of a piece: FILE stays as it was
            state = None
            raise
        finally:
            if state is not None and streams.whole:
                streams.save(state)


def _pump(streams: Any, interrupts: _Interrupts) -> int:
    stdin, chunk = cast(BufferedReader, sys.stdin.buffer), b"more"
    while chunk:
        try:
            chunk = interrupts.wait(lambda: stdin.read1(CHUNK))  # whatever has arrived, however little
        except KeyboardInterrupt:
            return 130
        lines, error = streams.feed(chunk, last=not chunk)
        if lines:
            sys.stdout.write("\n".join(lines) + "\n")
            sys.stdout.flush()
        if error is not None:
            raise error
        if interrupts.asked:
            return 130
    return 0


class _Interrupts:
    """Ctrl-C, SIGTERM, SIGHUP: at once while waiting for data, else after what is being read: nothing is half read.

    Only a second Ctrl-C is not waited for; a closing terminal sends SIGHUP twice.
    """

    def __init__(self) -> None:
        self.asked = self._waiting = False

    def __enter__(self) -> _Interrupts:
        self._before = {number: signal.signal(number, self._note) for number in process.ending_signals()}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def wait(self, read: Callable[[], bytes]) -> bytes:
        """What `read` gives. Raises KeyboardInterrupt."""
        self._waiting = True
        try:
            return read()
        finally:
            self._waiting = False

    def _note(self, number: int, frame: object) -> None:
        if self._waiting or (self.asked and number == signal.SIGINT):
            raise KeyboardInterrupt
        self.asked = True
