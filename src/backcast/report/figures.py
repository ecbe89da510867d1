"""The report's figures, as data for an <img>: lines as SVG, pictures as PNG. Each stands on a white card."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from backcast.data.sequences import Picture
from backcast.report.reconstructions import Recall
from backcast.report.results import Group, Results, RunResult

COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#5b4b8a",
    "#666666",
)  # after Okabe and Ito
STYLE: dict[str, Any] = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10,
    "axes.titlelocation": "left", "svg.fonttype": "none", "svg.hashsalt": "backcast", "legend.frameon": False,
    "font.family": "sans-serif", "figure.facecolor": "white",
}  # fmt: skip


def memory_figure(results: Results) -> str:
    """The memory curves of all groups."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        draw_memory(axes, results)
        _legend(axes)

    return _svg(draw, height=3.4)


def draw_memory(axes: Axes, results: Results) -> None:
    """Error of the linear readout against distance into the past, a line a group (its first seed)."""
    for colour, group in _coloured(results.groups):
        curve = group.runs[0].memory
        label = f"{group.name}: remembers {group.remembers}"
        axes.plot(curve.distances, curve.error, color=colour, lw=1.8, label=label)
    axes.axhline(0.75, color="#999", lw=0.8, ls=":")
    axes.text(0, 0.755, "a quarter explained", color="#777", fontsize=7.5, va="bottom")
    axes.set(
        xlabel="steps into the past, from the end", ylabel="error of a linear readout (1: knows nothing)"
    )
    axes.set_ylim(0, 1.15)
    axes.set_xlim(0, int(max(group.runs[0].memory.distances[-1] for group in results.groups)))


def curve_figure(results: Results, quantity: str, label: str) -> str | None:
    """One quantity over training steps, a line a group (its first seed); None where nobody measured it."""
    have = [
        (colour, group)
        for colour, group in _coloured(results.groups)
        if any(quantity in e for e in group.runs[0].epochs)
    ]
    if not have:
        return None

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for colour, group in have:
            entries = [entry for entry in group.runs[0].epochs if quantity in entry]
            steps, values = [e["step"] for e in entries], [e[quantity] for e in entries]
            axes.plot(
                steps, values, color=colour, lw=1.5, label=group.name, marker="." if len(steps) < 5 else None
            )
            before = [entry["step"] for entry in group.runs[0].epochs if entry["phase"] == "pretraining"]
            if before:
                axes.axvline(before[-1], color=colour, lw=0.7, ls=":")
        axes.set(xlabel="training steps (dotted: pretraining ends)", ylabel=label)
        axes.set_xlim(left=0)
        _legend(axes)

    return _svg(draw, height=2.7)


def picture_figure(recalls: list[Recall], picture: Picture, run: RunResult) -> str:
    """Rows that are pictures: the truth, and what is reconstructed from the state at each anchor."""
    order = np.array(run.model.preprocessing.permutation or range(picture.height * picture.width))
    shape = (picture.height, picture.width)
    low, high = (float(f([f(recall.truth) for recall in recalls])) for f in (np.min, np.max))

    def place(values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(T, C) in reading order to (height, width, C) in 0 .. 1, nan where nothing is known."""
        flat = np.full((len(order), values.shape[-1]), np.nan)
        flat[order] = (values - low) / ((high - low) or 1.0)
        return np.clip(flat, 0.0, 1.0).reshape(*shape, -1)

    columns = 1 + len(recalls[0].anchors)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(len(recalls), columns, squeeze=False)
        for line, recall in zip(grid, recalls, strict=True):
            shown = recall.past if recall.past is not None else recall.future
            assert shown is not None
            for axes, values in zip(line, [recall.truth, *shown], strict=True):
                _show(axes, place(values))
        for axes, text in zip(
            grid[0], ["truth", *(f"from step {a}" for a in recalls[0].anchors)], strict=True
        ):
            axes.set_title(text, fontsize=8, loc="center")

    width = 1.1 * columns
    return _png(draw, width, 1.1 * picture.height / picture.width * len(recalls) + 0.4)


def line_figure(recall: Recall, most_channels: int = 3) -> str:
    """A row of real vectors: truth, reconstruction of the past and prediction, a column an anchor."""
    channels = min(recall.truth.shape[1], most_channels)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(channels, len(recall.anchors), squeeze=False, sharex=True, sharey="row")
        for channel, line in enumerate(grid):
            for number, (axes, anchor) in enumerate(zip(line, recall.anchors, strict=True)):
                axes.plot(recall.truth[:, channel], color="#bbb", lw=1.2, label="truth")
                for values, colour, name in (
                    (recall.past, COLOURS[0], "reconstruction"),
                    (recall.future, COLOURS[1], "prediction"),
                ):
                    if values is not None and not np.isnan(values[number]).all():
                        axes.plot(values[number, :, channel], color=colour, lw=1.2, label=name)
                axes.axvline(anchor - 0.5, color="#333", lw=0.8)
                if channel == 0:
                    axes.set_title(f"from step {anchor}", fontsize=8)
            line[0].set_ylabel(f"channel {channel}")
        grid[0][0].legend(fontsize=7)

    return _svg(draw, height=0.8 + 1.3 * channels)


def accuracy_figure(results: Results) -> str | None:
    """The accuracies of all groups; None where nothing is classified."""
    scored = [group for group in results.groups if group.runs[0].accuracy is not None]
    if not scored:
        return None
    return _svg(lambda figure: draw_accuracy(figure.subplots(), results), height=0.7 + 0.34 * len(scored))


def draw_accuracy(axes: Axes, results: Results) -> None:
    """A bar a group, every seed a dot, chance dotted."""
    scored = [(c, g) for c, g in _coloured(results.groups) if g.runs[0].accuracy is not None]
    for place, (colour, group) in enumerate(scored):
        values = [100 * run.accuracy for run in group.runs if run.accuracy is not None]
        axes.barh(place, np.mean(values), color=colour, alpha=0.85, height=0.62)
        axes.plot(values, [place] * len(values), "o", color="#222", ms=3)
        axes.text(max(values) + 1.5, place, f"{np.mean(values):.1f}", va="center", fontsize=9)
    axes.axvline(100 / len(scored[0][1].runs[0].model.classes), color="#333", lw=0.9, ls=":")
    axes.set_yticks(range(len(scored)), [group.name for _, group in scored])
    axes.invert_yaxis()
    axes.set_xlim(0, 108)
    axes.set_xlabel(f"{results.split} accuracy, % (dotted: chance)")


def _show(axes: Axes, pixels: NDArray[np.float64]) -> None:
    """A picture; what is not known is hatched."""
    unknown = np.isnan(pixels).any(axis=-1)
    filled = np.nan_to_num(pixels, nan=0.93)
    rgb = np.repeat(filled, 3, axis=-1) if filled.shape[-1] == 1 else filled[..., :3]
    rgb[unknown] = (0.82, 0.86, 0.92)
    axes.imshow(rgb, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color="#aaa", linewidth=0.6)


def _legend(axes: Axes) -> None:
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0)


def _coloured(groups: list[Group]) -> list[tuple[str, Group]]:
    return [(COLOURS[number % len(COLOURS)], group) for number, group in enumerate(groups)]


def _svg(draw: Callable[[Figure], None], height: float) -> str:
    return _image(draw, 7.6, height, "svg", "image/svg+xml", 72)


def _png(draw: Callable[[Figure], None], width: float, height: float) -> str:
    return _image(draw, width, height, "png", "image/png", 130)


def _image(
    draw: Callable[[Figure], None], width: float, height: float, format: str, kind: str, dpi: int
) -> str:
    with rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        content = io.BytesIO()
        metadata = {"Date": None} if format == "svg" else None
        figure.savefig(content, format=format, dpi=dpi, metadata=metadata)
    return f"data:{kind};base64,{base64.b64encode(content.getvalue()).decode()}"
