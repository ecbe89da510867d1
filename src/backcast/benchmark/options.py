"""The options of `backcast benchmark`. Nothing heavy is imported here, so that `--help` answers at once."""

from __future__ import annotations

import argparse
from pathlib import Path

from backcast.arguments import above_zero, gigabytes, whole

BENCHMARKS = {
    "step": "one training step: seconds and memory against the length, methods beside plain torch",
    "recurrence": "only the recurrent layer: the kernel beside nn.LSTM and the machine's peak",
    "memory": "peak memory of a training step against the length",
    "stream": "reading as the data comes: time of a step, steps per second",
    "data": "preparing batches beside the training step that waits for them",
}
MEMORY_LENGTHS = [1_024, 16_384, 131_072, 1_048_576]


def add_options(parser: argparse.ArgumentParser) -> None:
    """A command of its own for each benchmark."""
    commands = parser.add_subparsers(dest="benchmark", required=True, metavar="BENCHMARK")
    for name, help in BENCHMARKS.items():
        one = commands.add_parser(name, help=help, description=help, allow_abbrev=False)
        _add_own(name, one)
        _add_common(one, rounds=name != "memory")


def _add_common(parser: argparse.ArgumentParser, rounds: bool) -> None:
    if rounds:
        parser.add_argument("--rounds", type=whole(1), default=5, metavar="N", help="timed rounds, behind one that is not; medians are shown (default: 5)")  # fmt: skip
    parser.add_argument("--threads", type=whole(1), metavar="N", help="of each contender (default: torch's own choice)")  # fmt: skip
    parser.add_argument("--memory-limit", type=gigabytes, metavar="GB", help="a contender that needs more is left out (default: 75 %% of what is free)")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all rows in FILE as JSON; rows that it holds already are not measured again")  # fmt: skip


def _add_own(name: str, parser: argparse.ArgumentParser) -> None:
    if name == "step":
        kind = parser.add_mutually_exclusive_group()
        kind.add_argument("--paper", action="store_true", help="the paper's settings on MNIST's shape, and the parts of a step")  # fmt: skip
        kind.add_argument("--segments", action="store_true", help="what n segments of l steps cost, at one length")  # fmt: skip
        parser.add_argument("--only", nargs="+", metavar="NAME", help="only these contenders, each as the table names it (x for ×)")  # fmt: skip
        _sizes(parser, "--lengths", None, "steps of a row (default: 1024 4096 16384; --paper: 784; --segments: 4096)")  # fmt: skip
        _size(parser, "--batch", None, "rows of a step (default: 32; --paper: 128)")
        _size(parser, "--channels", None, "numbers in an element (default: 3; --paper: 1)")
    elif name == "memory":
        parser.add_argument("--full", action="store_true", help="full BPTT, too, where it fits")
        _sizes(parser, "--lengths", MEMORY_LENGTHS, "steps of a row (default: 1024 16384 131072 1048576)")
        _size(parser, "--batch", 32, "rows of a step (default: 32)")
        _size(parser, "--channels", 1, "numbers in an element (default: 1)")
    elif name == "recurrence":
        _sizes(parser, "--inputs", None, "numbers that the layer reads per step")
        _sizes(parser, "--hidden", None, "cells")
        _sizes(parser, "--batch", None, "rows")
        _sizes(parser, "--lengths", None, "steps; with any of these four, all combinations (default: a list that docs/performance.md shows)")  # fmt: skip
    elif name == "stream":
        _size(parser, "--channels", 3, "numbers in an element (default: 3)")
        parser.add_argument("--seconds", type=_duration, default=0.5, metavar="S", help="how long to call in each round (default: 0.5)")  # fmt: skip
        parser.add_argument("--long", type=whole(1), metavar="N", help="instead: read N steps of one stream, and ten times as many of 1,024 together; does memory grow?")  # fmt: skip
    else:
        _size(parser, "--rows", 60_000, "rows of MNIST's shape (default: 60000)")
        _size(parser, "--length", 784, "their steps (default: 784)")
        _size(parser, "--batch", 128, "rows of a batch (default: 128)")
        _size(parser, "--ragged-rows", 512, "rows of the ragged set (default: 512)")
        _size(parser, "--ragged-length", 65_536, "steps of its longest rows, the shortest have a quarter (default: 65536)")  # fmt: skip
        _size(parser, "--long-length", 1_048_576, "steps of the one row of the long file (default: 1048576)")
        _size(parser, "--ragged-batch", 32, "rows of a batch there (default: 32)")
    if name in ("step", "memory"):
        _size(parser, "--truncation", 300, "steps with a gradient, where it is truncated (default: 300)")
    if name != "recurrence":
        _size(parser, "--hidden", 128, "cells (default: 128)")


def _size(parser: argparse.ArgumentParser, name: str, default: int | None, help: str) -> None:
    parser.add_argument(name, type=whole(1), default=default, metavar="N", help=help)


def _sizes(parser: argparse.ArgumentParser, name: str, default: list[int] | None, help: str) -> None:
    parser.add_argument(name, type=whole(1), nargs="+", default=default, metavar="N", help=help)


def _duration(text: str) -> float:
    return above_zero(text, "seconds")
