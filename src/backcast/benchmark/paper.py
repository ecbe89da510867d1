"""`backcast benchmark step --paper`: a step at the paper's settings on MNIST's shape, and its parts."""

from __future__ import annotations

import argparse
from typing import Any

from backcast.benchmark.plan import Benchmark, Contender, Group, Outcomes, Record, Row, shape_of, single
from backcast.benchmark.step import BASE, FED, SCHEDULED, chosen, method, plain, ratio
from backcast.benchmark.table import Column, megabytes, outcome, spread, text

PARTS = {
    "seconds": "the whole step: plan, sweep, classification, scheduled, backward",
    "plan": "integers: anchors, places, windows",
    "sweep": "all states at the windows' beginnings, no graph",
    "classification": "forward: the supervised window and its loss",
    "windows": "forward: the main LSTM up to the anchors",
    "decoder": "forward: the decoder, teacher forced (`forced` less `windows`)",
    "sampling": "the first pass of scheduled sampling (`scheduled` less `forced`)",
    "forced": "forward: windows and decoder, teacher forced",
    "scheduled": "forward: windows, sampling pass and decoder",
    "backward": "backward of both losses",
}


def plan(arguments: argparse.Namespace) -> Benchmark:
    groups: list[Group] = []
    for length in arguments.lengths:
        shape = shape_of(arguments, length)
        groups.append(_whole_steps(shape, arguments.truncation, arguments.only))
        if not arguments.only:
            groups.append(_parts(shape, arguments.truncation))
    return Benchmark("step --paper", "One training step at the paper's settings.", groups, COLUMNS)


def _methods(truncation: int) -> dict[str, dict[str, Any]]:
    common = {"truncation": truncation, "anchors": 1, "segment_length": 600, "decoder_truncation": 300}
    return {
        f"lstm, truncated {truncation}": {"method": "lstm", "truncation": truncation},
        "lstm, full BPTT": {"method": "lstm", "truncation": None},
        "r-lstm 1×600, teacher forced": {**common, **FED},
        "r-lstm 1×600, scheduled sampling": {**common, **SCHEDULED},
        "r-lstm 1×600, teacher forced, decoder not cut": {**common, **FED, "decoder_truncation": None},
        "p-lstm 1×600": {**common, "method": "p-lstm"},
    }


def _whole_steps(shape: dict[str, int], truncation: int, only: list[str] | None) -> Group:
    contenders = [plain(BASE, shape, None), plain(f"{BASE}, bf16", shape, None, precision="bf16")]
    for name, config in _methods(truncation).items():
        contenders += [
            method(name, shape, config),
            method(f"{name}, kernel off", shape, config, kernel="off"),
            method(f"{name}, bf16", shape, config, precision="bf16"),
        ]
    key = {**shape, "truncation": truncation}
    return [single({"contender": each.name, **key}, each) for each in chosen(contenders, only)]


def _parts(shape: dict[str, int], truncation: int) -> Group:
    config = _methods(truncation)["r-lstm 1×600, scheduled sampling"]
    contender = Contender("parts of r-lstm 1×600, scheduled sampling", "parts", {**shape, "config": config})
    key = {**shape, "truncation": truncation}
    return [_part(name, key, contender) for name in PARTS]


def _part(name: str, key: Record, contender: Contender) -> Row:
    def finish(outcomes: Outcomes) -> Record:
        found = outcomes[contender.name].spread(name)
        return {label.replace(name, "seconds"): value for label, value in found.items()}

    label = f"part {name}" if name != "seconds" else "parts together"
    return Row({"contender": label, "what": PARTS[name], **key}, (contender,), finish)


COLUMNS = [
    text("contender", "contender"),
    outcome("s a step", "seconds"),
    spread("min–max", "seconds"),
    ratio(BASE, ("length", "batch", "hidden", "channels")),
    megabytes("memory (MB)", "peak_bytes"),
    megabytes("kept for backward (MB)", "kept_bytes"),
    Column("what it is", lambda row, _: row.get("what", "")),
]
