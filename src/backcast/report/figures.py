"""The report's figures, as data for an <img>: lines as SVG, pictures as PNG. Each stands on a white card."""

from __future__ import annotations

import base64
import io
import textwrap
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from backcast.data.sequences import Picture
from backcast.legible import shortened, visible
from backcast.report.memory import EXPLAINED, MOST_ERROR
from backcast.report.reconstructions import Recall
from backcast.report.results import Group, Results, RunResult

# After Okabe and Ito.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5b4b8a", "#666666")
# In pixels of a line 2 wide: drawn, left out, and so on. Lines are told apart by dashes, too. Colours repeat after eight
# groups, dashes after seven: the two together do not before 56.
DASHES = ((), (9, 5), (2, 5), (9, 5, 2, 5), (18, 5), (9, 5, 2, 5, 2, 5), (18, 5, 2, 5))
LONGEST_CHANNEL = 18
WIDTH = 5.8  # inches: text of 9 points is then still legible on a phone
STYLE: dict[str, Any] = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10,
    "axes.titlelocation": "left", "svg.fonttype": "none", "svg.hashsalt": "backcast", "legend.frameon": False,
    "font.family": "sans-serif", "text.parse_math": False, "figure.facecolor": "white", "hatch.linewidth": 0.5,
}  # fmt: skip


class Look(NamedTuple):
    """How a group's lines are drawn; the colour is `#rrggbb`."""

    colour: str
    dashes: tuple[int, ...]

    @property
    def line(self) -> dict[str, Any]:
        """As matplotlib has it, which counts dashes in widths of the line."""
        return {
            "color": self.colour,
            "ls": (0, tuple(part / 2 for part in self.dashes)) if self.dashes else "-",
        }


HATCHED: dict[str, Any] = {"facecolor": "#f2f5fa", "edgecolor": "#c3cddd", "hatch": "////", "lw": 0}
"""How a patch looks where nothing is known."""


def memory_figure(results: Results) -> str:
    """The memory curves of all groups."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        draw_memory(axes, results)
        _legend(figure, axes)

    return svg(draw, height=3.4 + _legend_height(results.groups, 1))


def draw_memory(axes: Axes, results: Results) -> None:
    """Error of the linear readout against distance into the past, one line per group (its first seed)."""
    for look, group in with_looks(results.groups):
        curve = group.runs[0].memory
        label = f"{_wrapped(group.name)}: remembers {group.remembers}"
        axes.plot(curve.distances, np.minimum(curve.error, MOST_ERROR), **look.line, lw=1.8, label=label)
    if (known := results.of_class) is not None:
        label = f"the class alone: {known.remembers_steps}"
        axes.plot(known.distances, np.minimum(known.error, MOST_ERROR), color="#999", lw=1.2, label=label)
    axes.axhline(1 - EXPLAINED, color="#999", lw=0.8, ls=":")
    axes.text(
        0.005, 1.005 - EXPLAINED, "a quarter explained", color="#666", fontsize=7.5, va="bottom",
        transform=axes.get_yaxis_transform(),
    )  # fmt: skip
    axes.set(xlabel="steps into the past, from the end", ylabel="readout error (1: knows nothing)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(0, MOST_ERROR)
    axes.set_xlim(0, int(max(group.runs[0].memory.distances[-1] for group in results.groups)))


def curve_figure(results: Results, quantity: str, label: str) -> str | None:
    """One quantity over training steps, a look per group, a line per seed; None where no group measured it.

    A ring marks the epoch that a run kept, on the curve that chose it. Where all groups were pretrained, that is
    shaded up to the end of the shortest; a dotted line marks the end of each group's own.
    """
    have = [
        (look, group)
        for look, group in with_looks(results.groups)
        if any(quantity in entry for entry in group.runs[0].epochs)
    ]
    if not have:
        return None

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for look, group in have:
            for number, run in enumerate(group.runs):
                entries = [entry for entry in run.epochs if quantity in entry]
                factor = 100 if "accuracy" in quantity else 1
                axes.plot(
                    [entry["step"] for entry in entries], [factor * entry[quantity] for entry in entries],
                    **look.line, lw=1.5 if number == 0 else 0.8, alpha=1.0 if number == 0 else 0.6,
                    marker="." if len(entries) < 5 else None, label=None if number else _wrapped(group.name),
                )  # fmt: skip
                if (kept := run.kept_epoch) is not None and quantity == run.chosen_by:
                    axes.plot(kept["step"], factor * kept[quantity], "o", mfc="none", color=look.colour, ms=7)
        ends = [(look.colour, end) for look, group in have if (end := _pretraining_end(group))]
        shaded = len(ends) == len(have)  # else some group was already learning from labels there
        if shaded:
            axes.axvspan(0, min(end for _, end in ends), color="#eef1f6", lw=0, zorder=0)
            axes.text(
                0.008, 1.0, "pretraining", fontsize=7.5, color="#666", va="bottom", transform=axes.transAxes
            )
        for colour, end in ends:
            axes.axvline(end, color=colour, lw=0.7, ls=":")
        axes.set(xlabel="training steps", xlim=(0, None))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.ticklabel_format(axis="y", style="plain", useOffset=False)  # else a number stands on the title
        axes.set_title(label, pad=14 if shaded else 6)
        _legend(figure, axes)

    return svg(draw, height=2.6 + _legend_height([group for _, group in have], 2))


def _pretraining_end(group: Group) -> int:
    """The last training step of phase 1; 0 where there was none."""
    return max((e["step"] for e in group.runs[0].epochs if e["phase"] == "pretraining"), default=0)


def picture_figure(
    recalls: list[Recall], answers: list[NDArray[np.float64]], picture: Picture, run: RunResult
) -> str:
    """Rows that are pictures: the truth, and beside it the answer (A, T, C) from the state at each anchor."""
    order = np.array(run.model.preprocessing.permutation or range(picture.height * picture.width))
    low, high = (float(f([f(recall.truth) for recall in recalls])) for f in (np.min, np.max))

    def place(values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(T, C) in reading order to (height, width, C) in 0 .. 1, nan where nothing is known."""
        flat = np.full((len(order), values.shape[-1]), np.nan)
        flat[order] = (values - low) / ((high - low) or 1.0)
        return np.clip(flat, 0.0, 1.0).reshape(picture.height, picture.width, -1)

    asked = [number for number in range(len(answers[0])) if not np.isnan(answers[0][number]).all()]
    titles = ["truth", *(f"from step {recalls[0].anchors[number]}" for number in asked)]

    def draw(figure: Figure) -> None:
        grid = figure.subplots(len(recalls), len(titles), squeeze=False)
        for line, recall, answer in zip(grid, recalls, answers, strict=True):
            for axes, values in zip(line, [recall.truth, *answer[asked]], strict=True):
                _show(axes, place(values))
        for axes, text in zip(grid[0], titles, strict=True):
            axes.set_title(text, fontsize=8, loc="center")

    aspect = picture.height / picture.width
    side = 1.0 if aspect <= 1 else 0.8
    return _png(draw, side * len(titles), side * aspect * len(recalls) + 0.4)


def line_figure(recall: Recall, names: list[str]) -> str:
    """A row of real vectors: truth, reconstruction of the past and prediction, one column per anchor.

    names  of the first channels, which are drawn
    """
    channels = len(names)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(channels, len(recall.anchors), squeeze=False, sharex=True, sharey="row")
        for channel, line in enumerate(grid):
            truth = recall.truth[:, channel]
            for number, (axes, anchor) in enumerate(zip(line, recall.anchors, strict=True)):
                axes.plot(truth, color="#bbb", lw=1.2, label="truth")
                for values, colour, name in (
                    (recall.past, COLOURS[0], "reconstruction"),
                    (recall.future, COLOURS[1], "prediction"),
                ):
                    if values is not None:
                        axes.plot(values[number, :, channel], color=colour, lw=1.2, label=name)
                axes.axvline(anchor - 0.5, color="#333", lw=0.8)
                if channel == 0:
                    axes.set_title(f"from step {anchor}", fontsize=8, loc="center")
            margin = 0.25 * float(np.ptp(truth)) or 1.0
            line[0].set_ylim(truth.min() - margin, truth.max() + margin)
            line[0].set_ylabel(shortened(visible(names[channel]), LONGEST_CHANNEL))
        _legend(figure, grid[0][0])

    return svg(draw, height=1.0 + 1.2 * channels)


def accuracy_figure(results: Results) -> str | None:
    """The accuracies of all groups; None where nothing is classified."""
    scored = [group for group in results.groups if group.scores]
    if not scored:
        return None
    lines = max(_wrapped(group.name).count("\n") + 1 for group in scored)
    height = 0.7 + max(0.34, 0.16 * lines + 0.08) * len(scored)
    return svg(lambda figure: draw_accuracy(figure.subplots(), results), height)


def draw_accuracy(axes: Axes, results: Results) -> None:
    """One bar per group, every seed a dot, chance a dotted line."""
    scored = [(look.colour, g) for look, g in with_looks(results.groups) if g.scores]
    for place, (colour, group) in enumerate(scored):
        values = [100 * run.accuracy for run in group.runs if run.accuracy is not None]
        axes.barh(place, np.mean(values), color=colour, alpha=0.85, height=0.62)
        axes.plot(values, [place] * len(values), "o", color="#222", ms=3)
        axes.text(max(values) + 1.5, place, f"{np.mean(values):.1f}", va="center", fontsize=9)
    axes.axvline(100 / len(scored[0][1].runs[0].model.classes), color="#333", lw=0.9, ls=":", zorder=3)
    axes.set_yticks(range(len(scored)), [_wrapped(group.name) for _, group in scored])
    axes.set_ylim(len(scored) - 0.5, -0.5)
    axes.set_xlim(0, 112)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel(f"{results.split} accuracy, % (dotted: chance)")


def _show(axes: Axes, pixels: NDArray[np.float64]) -> None:
    """A picture; what is not known is hatched."""
    known = ~np.isnan(pixels).any(axis=-1, keepdims=True)
    filled = np.nan_to_num(pixels)
    colours = np.repeat(filled, 3, axis=-1) if filled.shape[-1] < 3 else filled[..., :3]
    height, width = pixels.shape[:2]
    corner = (-0.5, -0.5)
    axes.add_patch(Rectangle(corner, width, height, **HATCHED))
    axes.imshow(np.concatenate([colours[..., :3], known], axis=-1), interpolation="nearest", zorder=2)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color="#aaa", linewidth=0.6)


def _wrapped(name: str) -> str:
    shown = f" {name}" if name.startswith("_") else name  # matplotlib leaves names with _ out of legends
    return "\n".join(textwrap.wrap(visible(shown), 34, break_on_hyphens=False))


def _legend(figure: Figure, axes: Axes) -> None:
    """Under the axes, where it takes no width from them on a phone; nothing for a single line."""
    handles, labels = axes.get_legend_handles_labels()
    if len(handles) > 1 or ":" in "".join(labels):
        longest = max(len(line) for label in labels for line in label.split("\n"))
        columns = 3 if longest < 18 else 2 if longest < 36 else 1
        figure.legend(handles, labels, loc="outside lower left", fontsize=8, ncols=columns)


def _legend_height(groups: list[Group], columns: int) -> float:
    """Inches, roughly, so that a legend takes nothing from the axes."""
    return 0.17 * sum(_wrapped(group.name).count("\n") + 1 for group in groups) / columns


def with_looks(groups: list[Group]) -> list[tuple[Look, Group]]:
    """Each group with its look, which is the same in every figure and on the interactive page."""
    return [
        (Look(COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]), group)
        for number, group in enumerate(groups)
    ]


def svg(draw: Callable[[Figure], None], height: float, width: float = WIDTH) -> str:
    """An SVG as data; its resolution is that of pictures within it."""
    return _image(draw, width, height, "svg", "image/svg+xml", 300)


def _png(draw: Callable[[Figure], None], width: float, height: float) -> str:
    return _image(draw, width, height, "png", "image/png", 130)


def _image(
    draw: Callable[[Figure], None], width: float, height: float, format: str, kind: str, dpi: int
) -> str:
    with rc_context(STYLE), warnings.catch_warnings():  # type: ignore[arg-type]
        # Names may be of any script; in an SVG it is the reader's browser that has the letters.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        content = io.BytesIO()
        metadata = {"Date": None} if format == "svg" else None
        figure.savefig(content, format=format, dpi=dpi, metadata=metadata)
    return f"data:{kind};base64,{base64.b64encode(content.getvalue()).decode()}"
