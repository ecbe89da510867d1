"""`backcast benchmark data`: preparing batches beside the training step that waits for them."""

from __future__ import annotations

import argparse
from typing import Any

from backcast.benchmark.plan import Benchmark, Contender, Group, Outcomes, Record, Row
from backcast.benchmark.step import SCHEDULED, method
from backcast.benchmark.table import number, outcome, text


def plan(arguments: argparse.Namespace) -> Benchmark:
    groups: list[Group] = [
        [_row("MNIST's shape", arguments.rows, arguments.length, arguments.length, arguments.batch, arguments)],
        [_row("long and ragged", arguments.ragged_rows, arguments.ragged_length // 4 or 1, arguments.ragged_length, arguments.ragged_batch, arguments)],
        [_row("one long file", 1, arguments.long_length, arguments.long_length, 1, arguments)],
    ]  # fmt: skip
    title = "Preparing batches from bytes in a mapped file, beside r-LSTM's training step at the paper's settings."
    return Benchmark("data", title, groups, COLUMNS)


def _row(name: str, rows: int, shortest: int, length: int, batch: int, arguments: argparse.Namespace) -> Row:
    sizes: dict[str, Any] = {"rows": rows, "shortest": shortest, "length": length, "batch": min(batch, rows)}
    shape = {"length": length, "batch": sizes["batch"], "hidden": arguments.hidden, "channels": 1}
    prepare = Contender("batches", "batches", sizes)
    step = method("step", shape, {"truncation": min(300, length), "segment_length": 600, **SCHEDULED})

    def finish(outcomes: Outcomes) -> Record:
        prepared, stepped = outcomes["batches"].spread(), outcomes["step"].spread()
        a_batch = prepared["seconds"] * sizes["batch"] / rows
        return {
            **prepared,
            **{f"step_{label}": value for label, value in stepped.items()},
            "rows_a_second": rows / prepared["seconds"],
            "elements_a_second": outcomes["batches"].found[0]["elements"] / prepared["seconds"],
            "step_rows_a_second": sizes["batch"] / stepped["seconds"],
            "waiting": a_batch / (a_batch + stepped["seconds"]),
            "peak_bytes": outcomes["batches"].memory.get("peak_bytes"),
        }

    return Row({"contender": name, **sizes, "hidden": arguments.hidden}, (prepare, step), finish)


COLUMNS = [
    text("data", "contender"),
    text("rows", "rows"),
    text("T, at most", "length"),
    text("batch", "batch"),
    outcome("rows a second", "rows_a_second", 4),
    number("steps a second", "elements_a_second", 4),
    number("rows a second that training takes", "step_rows_a_second", 4),
    number("% of the time waiting for data", "waiting", factor=100),
]
