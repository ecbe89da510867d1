"""`backcast benchmark step --segments`: what n segments of l steps cost."""

from __future__ import annotations

import argparse

from backcast.benchmark.plan import Benchmark, Group, shape_of, single
from backcast.benchmark.step import FED, method
from backcast.benchmark.table import megabytes, outcome, spread, text

SEGMENTS = ((1, 600), (5, 120), (10, 60), (20, 30), (60, 10))


def plan(arguments: argparse.Namespace) -> Benchmark:
    groups: list[Group] = []
    for length in arguments.lengths:
        shape = shape_of(arguments, length)
        group: Group = []
        for count, steps in SEGMENTS:
            config = {
                "truncation": min(arguments.truncation, length), "anchors": count, "segment_length": steps,
                "aux_truncation": max(1, steps // 2), "decoder_truncation": None, **FED,
            }  # fmt: skip
            name = f"r-lstm {count}×{steps}"
            key = {
                "contender": name, "anchors": count, "segment_length": steps, **shape, "truncation": arguments.truncation
            }  # fmt: skip
            group.append(single(key, method(name, shape, config)))
        groups.append(group)
    return Benchmark(
        "step --segments", "One training step of r-LSTM, teacher forced; auxiliary truncation l / 2.", groups, COLUMNS
    )  # fmt: skip


COLUMNS = [
    text("T", "length"),
    text("n", "anchors"),
    text("l", "segment_length"),
    outcome("s a step", "seconds"),
    spread("min–max", "seconds"),
    megabytes("memory (MB)", "peak_bytes"),
    megabytes("kept for backward (MB)", "kept_bytes"),
]
