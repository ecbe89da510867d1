"""`backcast benchmark stream`: reading as the data comes, the state carried from call to call."""

from __future__ import annotations

import argparse

from backcast.benchmark.plan import Benchmark, Contender, Group, Row, single
from backcast.benchmark.table import Column, Record, outcome, significant, text

CASES = ((1, 1), (1, 1000), (1024, 1))
"""(rows, steps of a call)"""

CONTENDERS = {
    "backcast": ("backcast", None),
    "backcast, kernel off": ("backcast", "off"),
    "nn.LSTM": ("torch", None),
}


def plan(arguments: argparse.Namespace) -> Benchmark:
    groups: list[Group] = [[_row(name, *case, arguments) for name in CONTENDERS] for case in CASES]
    title = "Calls without a graph, the state carried from one to the next."
    return Benchmark("stream", title, groups, COLUMNS)


def _row(name: str, batch: int, steps: int, arguments: argparse.Namespace) -> Row:
    layer, kernel = CONTENDERS[name]
    shape = {"batch": batch, "steps": steps, "hidden": arguments.hidden, "channels": arguments.channels}
    settings = {**shape, "layer": layer, "duration": arguments.seconds}
    return single({"contender": name, **shape}, Contender(name, "stream", settings, kernel=kernel))


def _steps_a_second(row: Record, rows: list[Record]) -> str:
    return significant(row["batch"] / row["seconds"]) if "seconds" in row else "–"


COLUMNS = [
    text("contender", "contender"),
    text("rows", "batch"),
    text("steps a call", "steps"),
    outcome("µs a step", "seconds", factor=1e6),
    Column("steps a second, all rows", _steps_a_second),
]
