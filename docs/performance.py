"""Draws docs/performance-*.png from what `backcast benchmark NAME --json docs/performance/NAME.json` measured.

    python docs/performance.py docs/performance docs

Each file in the folder is drawn according to its benchmark's name; what is missing is not drawn.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator

from backcast.report.figures import COLOURS, STYLE

TELLING = (
    "nn.LSTM, full BPTT", "nn.LSTM, full BPTT, process left alone", "full BPTT, recomputed", "nn.LSTM, truncated 300",
    "lstm, truncated 300", "r-lstm 20×30", "r-lstm 20×30, bf16", "Transformer encoder",
)  # fmt: skip
Rows = list[dict[str, Any]]
GRID: dict[str, Any] = {
    "axes.grid": True, "grid.color": "#e8e8e8", "axes.axisbelow": True,
    "text.parse_math": True,  # powers of ten along an axis; none of these names is a user's
}  # fmt: skip
GREY, MARKERS = "#b0b0b0", "osD^vPX<>*h"


def main(folder: Path, out: Path) -> None:
    for path in sorted(folder.glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        for benchmark, name, draw, size in DRAWINGS:
            if found.get("benchmark") == benchmark and found["rows"]:
                with rc_context({**STYLE, **GRID}):
                    figure = Figure(figsize=size, layout="constrained")
                    draw(figure, found["rows"])
                    figure.savefig(out / f"performance-{name}.png", dpi=110)


def draw_length(figure: Figure, rows: Rows) -> None:
    """Seconds and bytes per step against the length, a line per method; of many methods, the most telling."""
    left, right = figure.subplots(1, 2)
    some = [row for row in rows if row["contender"] in TELLING]
    rows = some if len({row["contender"] for row in rows}) > len(COLOURS) else rows
    _lines(left, rows, "seconds", 1.0, spread=True)
    _lines(right, rows, "peak_bytes", 1e-6)
    _logarithmic(left, "seconds of a training step")
    _logarithmic(right, "memory of a training step, MB")
    _shared_legend(figure, left)


def draw_memory(figure: Figure, rows: Rows) -> None:
    """Peak resident memory against the length."""
    axes = figure.subplots()
    _lines(axes, rows, "resident_bytes", 1e-6)
    _logarithmic(axes, "peak memory, less the input, MB")
    axes.set_yscale("linear")
    axes.yaxis.set_major_locator(AutoLocator())
    axes.set_ylim(0, 1.15e-6 * max(row.get("resident_bytes") or 0 for row in rows))
    axes.legend(fontsize=7.5)


def draw_segments(figure: Figure, rows: Rows) -> None:
    """Seconds and bytes for each way to cut n × l targets."""
    left, right = figure.subplots(1, 2)
    have = [row for row in rows if "seconds" in row]
    labels = [f"{row['anchors']}×{row['segment_length']}" for row in have]
    for axes, name, factor, title in (
        (left, "seconds", 1.0, "seconds of a training step"),
        (right, "peak_bytes", 1e-6, "memory of a training step, MB"),
    ):
        axes.bar(labels, [row[name] * factor for row in have], color=COLOURS[0], width=0.6)
        axes.set(xlabel="segments n × length l", title=title)
        axes.grid(axis="x", visible=False)


def draw_peak(figure: Figure, rows: Rows) -> None:
    """The share of the matrix product's peak that the recurrence reaches, the kernel beside nn.LSTM."""
    kinds = [kind for kind in _kinds(rows) if "bf16" not in kind]  # which has another peak
    for axes, kind in zip(figure.subplots(1, len(kinds), sharex=True, squeeze=False)[0], kinds, strict=True):
        own = [row for row in rows if row["what"] == kind and "seconds" in row]
        places = range(len(own))
        for offset, name, colour, label in (
            (-0.19, "peak_fraction", COLOURS[0], "backcast"),
            (0.19, "rival_peak_fraction", GREY, "nn.LSTM"),
        ):
            axes.barh([place + offset for place in places], [100 * row[name] for row in own], 0.36, color=colour, label=label)  # fmt: skip
        axes.set_yticks(list(places), [_shape(row) for row in own], fontsize=7.5)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set(title=kind, xlabel="% of the matrix product's peak")
    _shared_legend(figure, axes)


def draw_size(figure: Figure, rows: Rows) -> None:
    """Nanoseconds per step and row against cells and against rows."""
    usual = {"input": 3, "hidden": 128, "batch": 32, "length": 784}
    have = [row for row in rows if "seconds" in row and row["length"] == usual["length"]] or rows
    for axes, along in zip(figure.subplots(1, 2, sharey=True), ("hidden", "batch"), strict=True):
        other = "batch" if along == "hidden" else "hidden"
        wanted = {name: _nearest(have, name, usual[name]) for name in ("input", other)}
        own = [row for row in have if all(row[name] == value for name, value in wanted.items())]
        for number, kind in enumerate(_kinds(own)):
            some = sorted((row for row in own if row["what"] == kind), key=lambda row: row[along])
            for name, style, label in (("seconds", "-", "backcast"), ("rival_seconds", ":", "nn.LSTM")):
                cost = [1e9 * row[name] / (row["batch"] * row["length"]) for row in some if name in row]
                at = [row[along] for row in some if name in row]
                axes.plot(at, cost, style, color=COLOURS[number], marker="o", ms=4, label=f"{label}, {kind}")
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(sorted({row[along] for row in own}), sorted({row[along] for row in own}))
        axes.minorticks_off()
        shown = ", ".join(f"{name} {value}" for name, value in wanted.items())
        axes.set(xlabel="cells" if along == "hidden" else "rows", title=f"ns a step and row ({shown})")
    axes.legend(fontsize=7.5)


DRAWINGS: list[tuple[str, str, Callable[[Figure, Rows], None], tuple[float, float]]] = [
    ("step", "length", draw_length, (10, 4.6)),
    ("step --segments", "segments", draw_segments, (8, 3)),
    ("recurrence", "peak", draw_peak, (10, 4.2)),
    ("recurrence", "size", draw_size, (8, 3.4)),
    ("memory", "memory", draw_memory, (6, 3.6)),
]


def _lines(axes: Axes, rows: Rows, name: str, factor: float, spread: bool = False) -> None:
    for number, contender in enumerate(dict.fromkeys(row["contender"] for row in rows)):
        own = sorted(
            (row for row in rows if row["contender"] == contender and row.get(name) is not None),
            key=lambda row: row["length"],
        )
        lengths = [row["length"] for row in own]
        plain = contender.startswith(("nn.LSTM", "Transformer"))
        look: dict[str, Any] = {"color": COLOURS[number % len(COLOURS)], "lw": 1.5}
        axes.plot(
            lengths, [row[name] * factor for row in own], ":" if plain else "-", marker=MARKERS[number % len(MARKERS)],
            ms=4, label=contender, **look,
        )  # fmt: skip
        if spread:
            low, high = ([row[f"{name}_{end}"] * factor for row in own] for end in ("min", "max"))
            axes.vlines(lengths, low, high, **look)


def _logarithmic(axes: Axes, title: str) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    lengths = sorted({x for line in axes.lines for x in line.get_xdata()})
    axes.set_xticks(lengths, [f"{length:,.0f}" for length in lengths])
    axes.minorticks_off()
    axes.set(xlabel="steps of a row, T", title=title)


def _shared_legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=7.5)


def _kinds(rows: Rows) -> list[str]:
    return list(dict.fromkeys(row["what"] for row in rows))


def _nearest(rows: Rows, name: str, wanted: int) -> int:
    """The value of `name` among `rows` that is nearest to `wanted`."""
    return min((row[name] for row in rows), key=lambda value: abs(value - wanted))


def _shape(row: dict[str, Any]) -> str:
    return f"{row['input']} → {row['hidden']}, {row['batch']} rows, T {row['length']:,}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
