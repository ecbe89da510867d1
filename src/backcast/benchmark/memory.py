"""`backcast benchmark memory`: peak memory of one training step, against the length of the rows."""

from __future__ import annotations

import argparse
from typing import Any

from backcast.benchmark.plan import Benchmark, Group, shape_of, single
from backcast.benchmark.step import FED, SCHEDULED, SHORT, method
from backcast.benchmark.table import megabytes, outcome, text

LONG: dict[str, Any] = {"anchors": 1, "segment_length": 600, "decoder_truncation": 300}


def plan(arguments: argparse.Namespace) -> Benchmark:
    cut = arguments.truncation
    configs: dict[str, dict[str, Any]] = {
        "r-lstm 1×600": {"truncation": cut, **LONG, **SCHEDULED},
        "p-lstm 1×600": {"truncation": cut, **LONG, "method": "p-lstm"},
        "r-lstm 20×30": {"truncation": cut, **SHORT, **FED},
    }
    if arguments.full:
        configs["lstm, full BPTT"] = {"method": "lstm", "truncation": None}
        configs["lstm, full BPTT, recomputed"] = {"method": "lstm", "truncation": None, "recompute": True}
    groups: list[Group] = []
    for name, config in configs.items():
        for length in arguments.lengths:
            shape = shape_of(arguments, length)
            key = {"contender": name, **shape, "truncation": cut}
            groups.append([single(key, method(name, shape, config))])
    return Benchmark("memory", "Peak resident memory of one training step, less the input.", groups, COLUMNS)


COLUMNS = [
    text("method", "contender"),
    text("T", "length"),
    outcome("peak, less the input (MB)", "resident_bytes", 4, 1e-6),
    megabytes("of which the step (MB)", "peak_bytes"),
    megabytes("kept for backward (MB)", "kept_bytes"),
]
