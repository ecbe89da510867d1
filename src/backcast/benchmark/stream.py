"""`backcast benchmark stream`: reading as the data comes, the state carried from call to call."""

from __future__ import annotations

import argparse

from backcast.benchmark.plan import Benchmark, Contender, Group, Outcomes, Row, single
from backcast.benchmark.table import Column, Record, megabytes, outcome, significant, text

CASES = ((1, 1), (1, 1000), (1024, 1))
"""(rows, steps of a call)"""

LONG_CASES = ((1, 1000, 1), (1024, 64, 10))
"""(rows, steps of a call, how many times --long)"""

CONTENDERS = {
    "StreamSession": ("session", None),
    "backcast": ("backcast", None),
    "backcast, kernel off": ("backcast", "off"),
    "nn.LSTM": ("torch", None),
}


def plan(arguments: argparse.Namespace) -> Benchmark:
    if arguments.long is not None:
        return _long(arguments)
    groups: list[Group] = [[_row(name, *case, arguments) for name in CONTENDERS] for case in CASES]
    title = (
        "Calls without a graph, the state carried from one to the next. StreamSession: from raw values to the probabilities "
        "of ten classes; the others: the layer alone."
    )
    return Benchmark("stream", title, groups, COLUMNS)


def _row(name: str, batch: int, steps: int, arguments: argparse.Namespace) -> Row:
    layer, kernel = CONTENDERS[name]
    shape = {"batch": batch, "steps": steps, "hidden": arguments.hidden, "channels": arguments.channels}
    settings = {**shape, "layer": layer, "duration": arguments.seconds}
    return single({"contender": name, **shape}, Contender(name, "stream", settings, kernel=kernel))


def _long(arguments: argparse.Namespace) -> Benchmark:
    groups: list[Group] = []
    for batch, steps, times in LONG_CASES:
        total = times * arguments.long
        shape = {"batch": batch, "steps": steps, "hidden": arguments.hidden, "channels": arguments.channels}
        settings = {**shape, "layer": "session", "duration": 0.0, "total": total}
        contender = Contender("StreamSession", "stream", settings)

        def finish(outcomes: Outcomes) -> Record:
            outcome = outcomes["StreamSession"]
            return {**outcome.spread(), **outcome.spread("grown_bytes"), **outcome.memory}

        groups.append([Row({"contender": "StreamSession", **shape, "total": total}, (contender,), finish)])
    title = "StreamSession read to the end: does memory grow with the steps?"
    return Benchmark("stream-long", title, groups, LONG_COLUMNS)


def _steps_a_second(row: Record, rows: list[Record]) -> str:
    return significant(row["batch"] / row["seconds"]) if "seconds" in row else "–"


COLUMNS = [
    text("contender", "contender"),
    text("rows", "batch"),
    text("steps a call", "steps"),
    outcome("µs a step", "seconds", factor=1e6),
    Column("steps a second, all rows", _steps_a_second),
]
LONG_COLUMNS = [
    text("rows", "batch"),
    text("steps a call", "steps"),
    text("steps of all rows", "total"),
    outcome("µs a step", "seconds", factor=1e6),
    Column("steps a second, all rows", _steps_a_second),
    megabytes("memory grown behind the first tenth (MB)", "grown_bytes"),
    megabytes("most memory in all (MB)", "resident_bytes"),
]
