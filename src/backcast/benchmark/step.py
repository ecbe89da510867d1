"""`backcast benchmark step`: seconds and memory of one training step, against the length of the rows."""

from __future__ import annotations

import argparse
from typing import Any

from backcast.benchmark.plan import Benchmark, Contender, Group, shape_of, single
from backcast.benchmark.table import Column, Record, megabytes, outcome, significant, spread, text
from backcast.benchmark.transformer_size import LAYERS, lstm_parameters, width_like
from backcast.errors import InputError, nearest

BASE = "nn.LSTM, full BPTT"
LSTM_BYTES, TRANSFORMER_BYTES = 22 * 4, 16 * LAYERS * 4
"""What a training step with the whole graph needs per step, row and unit of width: measured at small lengths."""

FED = {"decoder_input": "fed"}
SCHEDULED = {"decoder_input": "scheduled", "sampling_steps": 100_000}
SHORT = {"anchors": 20, "segment_length": 30}


def plan(arguments: argparse.Namespace) -> Benchmark:
    groups = [_group(length, arguments) for length in arguments.lengths]
    return Benchmark("step", "One training step: forward, backward, gradients to zero.", groups, COLUMNS)


def _group(length: int, arguments: argparse.Namespace) -> Group:
    shape = shape_of(arguments, length)
    key = {**shape, "truncation": arguments.truncation}
    found = chosen(_contenders(shape, arguments.truncation), arguments.only)
    return [single({"contender": contender.name, **key}, contender) for contender in found]


def _contenders(shape: dict[str, int], truncation: int) -> list[Contender]:
    cut = min(truncation, shape["length"])
    return [
        plain(BASE, shape, None),
        plain(f"{BASE}, process left alone", shape, None, prepared=False),
        method("full BPTT, recomputed", shape, {"method": "lstm", "truncation": None, "recompute": True}),
        method(f"lstm, truncated {truncation}", shape, {"method": "lstm", "truncation": cut}),
        plain(f"nn.LSTM, truncated {truncation}", shape, cut),
        method("r-lstm 20×30", shape, {"truncation": cut, **SHORT, **FED}),
        method(f"r-lstm 20×30, auxiliary truncation {truncation}", shape, {"truncation": cut, **SHORT, **FED, "aux_truncation": truncation}),
        method("r-lstm 20×30, scheduled sampling", shape, {"truncation": cut, **SHORT, **SCHEDULED}),
        method("p-lstm 20×30", shape, {"truncation": cut, **SHORT, "method": "p-lstm"}),
        method("r-lstm 20×30, bf16", shape, {"truncation": cut, **SHORT, **FED}, precision="bf16"),
        method("r-lstm 20×30, kernel off", shape, {"truncation": cut, **SHORT, **FED}, kernel="off"),
        _transformer(shape),
    ]  # fmt: skip


def plain(
    name: str, shape: dict[str, int], truncation: int | None, prepared: bool = True, precision: str = "fp32"
) -> Contender:
    """The fastest that one would write with torch alone; `prepared` as in `Contender`."""
    settings = {**shape, "truncation": truncation, "precision": precision}
    return Contender(name, "plain", settings, whole_graph(shape, truncation), prepared=prepared)


def method(
    name: str,
    shape: dict[str, int],
    config: dict[str, Any],
    kernel: str | None = None,
    precision: str = "fp32",
) -> Contender:
    """One of backcast's methods; `config` overrides the paper's settings."""
    settings = {**shape, "config": config, "precision": precision}
    everything = config.get("truncation", 0) is None and not config.get("recompute")
    return Contender(name, "method", settings, whole_graph(shape, None) if everything else 0.0, kernel)


def whole_graph(shape: dict[str, int], truncation: int | None) -> float:
    """Bytes of a training step through an LSTM with a graph of `truncation` steps (None: all)."""
    steps = shape["length"] if truncation is None else min(truncation, shape["length"])
    return float(LSTM_BYTES * shape["hidden"] * shape["batch"] * steps)


def _transformer(shape: dict[str, int]) -> Contender:
    width = width_like(lstm_parameters(shape["hidden"], shape["channels"]), shape["channels"])
    needs = float(TRANSFORMER_BYTES * width * shape["batch"] * shape["length"])
    return Contender("Transformer encoder", "transformer", {**shape, "width": width}, needs)


def chosen(contenders: list[Contender], only: list[str] | None) -> list[Contender]:
    """Those that --only names; x may stand for ×."""
    if not only:
        return contenders
    names = {_plainly(contender.name): contender for contender in contenders}
    for word in only:
        if _plainly(word) not in names:
            raise InputError(
                f"--only {word}: is not one of {'; '.join(each.name for each in contenders)}"
                f"{nearest(_plainly(word), names)}"
            )
    wanted = {_plainly(word) for word in only}
    return [contender for name, contender in names.items() if name in wanted]


def _plainly(name: str) -> str:
    return name.replace("×", "x").lower()


def ratio(base: str, same: tuple[str, ...]) -> Column:
    """Seconds divided by those of the contender `base` in the row that agrees in `same`."""

    def show(row: Record, rows: list[Record]) -> str:
        for other in rows:
            if other["contender"] == base and all(other[name] == row[name] for name in same):
                if "seconds" in other and "seconds" in row:
                    return significant(row["seconds"] / other["seconds"])
                break
        return "–"

    return Column("ratio", show)


COLUMNS = [
    text("T", "length"),
    text("contender", "contender"),
    outcome("s a step", "seconds"),
    spread("min–max", "seconds"),
    ratio(BASE, ("length", "batch", "hidden", "channels", "truncation")),
    megabytes("memory (MB)", "peak_bytes"),
    megabytes("kept for backward (MB)", "kept_bytes"),
]
