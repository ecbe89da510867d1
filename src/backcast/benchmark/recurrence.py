"""`backcast benchmark recurrence`: one recurrent layer alone, with the kernel, beside nn.LSTM.

The floating-point operations are those of the matrix products: 2 · 4H · (H + I) per step and row forward, as many
backward for the weights, and 2 · 4H · H for the states; the input needs no gradient. The peak is that of a matrix
product in float32, measured in turn with the rest.
"""

from __future__ import annotations

import argparse
from itertools import product
from typing import Any, NamedTuple

from backcast.benchmark.plan import Benchmark, Contender, Group, Outcomes, Record, Row
from backcast.benchmark.step import whole_graph
from backcast.benchmark.table import number, outcome, spread, text


class Shape(NamedTuple):
    input: int
    hidden: int
    batch: int
    length: int


PIECE = 64
WHAT = {"sweep": "sweep", "bf16": "sweep in bf16", "train": "forward + backward"}
USUAL = Shape(3, 128, 32, 784)
SHAPES = [
    *(Shape(inputs, 128, batch, 784) for inputs, batch in product((1, 3, 128), (16, 32, 128))),
    *(Shape(3, hidden, 32, 784) for hidden in (32, 64, 256, 512)),
]
LONG_SWEEPS = [Shape(3, 128, batch, 16_384) for batch in (16, 32)]


def plan(arguments: argparse.Namespace) -> Benchmark:
    given = (arguments.inputs, arguments.hidden, arguments.batch, arguments.lengths)
    if any(given):
        shapes = [
            Shape(*sizes)
            for sizes in product(*(each or [usual] for each, usual in zip(given, USUAL, strict=True)))
        ]
        groups = [_group(shape, what) for shape in shapes for what in WHAT]
    else:
        groups = [_group(shape, what) for shape in SHAPES for what in ("sweep", "train")]
        groups += [_group(shape, what) for shape in LONG_SWEEPS for what in ("sweep", "bf16")]
    return Benchmark(
        "recurrence", "One recurrent layer, float32 where nothing else is said.", groups, COLUMNS
    )


def _group(shape: Shape, what: str) -> Group:
    """One row: the kernel, its rivals and the machine's peak take turns."""
    sizes: dict[str, Any] = {**shape._asdict(), "what": what}
    needs = whole_graph(shape._asdict(), None) if what == "train" else 0.0
    rivals = [Contender("nn.LSTM", "layer", {**sizes, "layer": "torch", "pieces": None}, needs)]
    if what != "train":
        pieces = {**sizes, "layer": "torch", "pieces": PIECE}
        rivals.append(Contender(f"nn.LSTM in calls of {PIECE}", "layer", pieces))
    own = Contender("backcast", "layer", {**sizes, "layer": "backcast"}, needs)
    peak = Contender("peak", "matmul", {})

    def finish(outcomes: Outcomes) -> Record:
        found = outcomes["backcast"].spread()
        rival = min(
            (outcomes[each.name].spread() for each in rivals), key=lambda each: float(each["seconds"])
        )
        name = next(each.name for each in rivals if outcomes[each.name].spread() == rival)
        operations = _operations(shape, what)
        gflops = operations / found["seconds"] / 1e9
        best = max(each["gflops"] for each in outcomes["peak"].found)
        return {
            **found,
            "rival": name,
            **{f"rival_{label}": value for label, value in rival.items()},
            "times_as_fast": rival["seconds"] / found["seconds"],
            "gflops": gflops,
            "rival_gflops": operations / rival["seconds"] / 1e9,
            "peak_gflops": best,
            "peak_fraction": gflops / best,
            "rival_peak_fraction": operations / rival["seconds"] / 1e9 / best,
        }

    return [Row({"what": WHAT[what], **shape._asdict()}, (own, *rivals, peak), finish)]


def _operations(shape: Shape, what: str) -> int:
    """Of all steps and rows, in floating point."""
    read = shape.hidden + shape.input
    columns = read + (read + shape.hidden if what == "train" else 0)
    return 2 * 4 * shape.hidden * columns * shape.batch * shape.length


COLUMNS = [
    text("", "what"),
    text("input", "input"),
    text("hidden", "hidden"),
    text("batch", "batch"),
    text("T", "length"),
    outcome("s", "seconds"),
    spread("min–max", "seconds"),
    number("nn.LSTM (s)", "rival_seconds"),
    spread("min–max", "rival_seconds"),
    number("times as fast", "times_as_fast"),
    number("GFLOP/s", "gflops"),
    number("nn.LSTM GFLOP/s", "rival_gflops"),
    number("% of peak", "peak_fraction", factor=100),
    number("nn.LSTM % of peak", "rival_peak_fraction", factor=100),
]
