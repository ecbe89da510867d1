"""What the figures are drawn with: panels, marks, bands, legends."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from backcast.paper.captions import rows_read, unlike_the_papers
from backcast.paper.experiment import Experiment
from backcast.paper.outcomes import NOT_MEASURED, SMOKE, Outcome, Outcomes
from backcast.paper.statistics import spread
from backcast.report.figures import COLOURS

PAPER: dict[str, Any] = {"mfc": "white", "alpha": 0.75, "ls": "--", "lw": 1.0, "ms": 5}
"""How the paper's numbers look, besides their colour and mark."""
NAME_WIDTH = 22  # characters in a line of a row's name
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")


def colour(at: int) -> str:
    """The colour of the row or column with this number."""
    return COLOURS[at % len(COLOURS)]


def mark(at: int) -> str:
    return MARKS[at % len(MARKS)]


def draw_points(
    axes: Axes,
    points: Sequence[tuple[float, dict[int, float]]],
    colour: str,
    mark: str,
    intervals: bool = True,
) -> None:
    """Means joined by a line, their intervals, every seed a small dot."""
    measured = [(x, values, found) for x, values in points if (found := spread(values))]
    means = [found.mean for *_, found in measured]
    axes.plot([x for x, *_ in measured], means, color=colour, lw=1.5, marker=mark, ms=5)
    for x, values, found in measured:
        if len(values) > 1:
            axes.plot([x] * len(values), list(values.values()), ".", color=colour, ms=3, alpha=0.7)
        if intervals and found.low is not None and found.high is not None:
            axes.vlines(x, found.low, found.high, color=colour, lw=1.0)


def draw_paper(axes: Axes, points: list[tuple[int, float]], colour: str, mark: str) -> None:
    axes.plot([x for x, _ in points], [y for _, y in points], marker=mark, color=colour, **PAPER)


def draw_dots(axes: Axes, values: dict[int, float], y: float, colour: str) -> None:
    """A mean with its horizontal interval, and every seed a small dot."""
    found = spread(values)
    if found is None:
        return
    if found.low is not None and found.high is not None:
        axes.hlines(y, found.low, found.high, color=colour, lw=1.4)
    axes.plot(found.mean, y, "o", color=colour, ms=5)
    axes.plot(list(values.values()), [y] * len(values), ".", color="#222", ms=2.5, alpha=0.8)


def write_word(axes: Axes, outcome: Outcome, y: float, colour: str) -> None:
    """Why there is no number, at the left edge."""
    if outcome.status != NOT_MEASURED:
        text = outcome.status if not outcome.values else "no seed in common with the first row"
        axes.text(
            0.01, y, f"× {text}", color=colour, fontsize=7, va="center", transform=axes.get_yaxis_transform()
        )  # fmt: skip


def two_panels(figure: Figure, experiment: Experiment, found: Outcomes) -> tuple[Axes, Axes | None]:
    """Our panel and, where the paper has any of these numbers, the paper's: each with its own scale."""
    if any(outcome.published for outcome in found.values()):
        ours, paper = figure.subplots(1, 2)
        paper.set_title("paper" + " (some ~, read off)" * experiment.read_off)
    else:
        ours, paper = figure.subplots(), None
    ours.set_title(ours_title(experiment, found))
    return ours, paper


def ours_title(experiment: Experiment, found: Outcomes) -> str:
    """The title of our panels: it names the scale, so that no number of a small one appears without it."""
    if experiment.scale == SMOKE:
        return "ours, scale smoke"
    if experiment.scale != "paper":
        return f"ours, scale {experiment.scale}:\nnot the paper's setting"
    return "ours, scale paper" + ":\nnot the paper's data" * bool(unlike_the_papers(rows_read(found)))


def say_nothing(axes: Axes, experiment: Experiment, found: Outcomes, quantity: Literal["x", "y"]) -> None:
    """Where a panel of ours has no number at all: says so, and removes the numbers from the quantity's axis."""
    if any(outcome.values for outcome in found.values()):
        return
    text = NOT_MEASURED.replace(": ", ":\n") if experiment.scale == SMOKE else "no run has finished"
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
    axes.tick_params(axis=quantity, length=0, **{"labelbottom" if quantity == "x" else "labelleft": False})


def bands(axes: Axes, names: list[str]) -> None:
    """One band per row from the top, every other one shaded; names in the left panel only."""
    for at in range(0, len(names), 2):
        axes.axhspan(at - 0.5, at + 0.5, color="#f2f5fa", lw=0, zorder=0)
    first = axes.get_subplotspec().is_first_col()  # type: ignore[union-attr]
    wrapped = ["\n".join(textwrap.wrap(name, NAME_WIDTH, break_on_hyphens=False)) for name in names]
    axes.set_yticks(range(len(names)), wrapped if first else [""] * len(names))
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.5, -0.5)


def offset(at: int, count: int) -> float:
    """The offset of one of several lines within a band of height 1."""
    return 0.7 * ((at + 0.5) / count - 0.5)


def outcomes_of(experiment: Experiment, found: Outcomes, row: str) -> list[Outcome]:
    """A row's outcomes, in the order of the columns."""
    return [found[row, column] for column in experiment.columns if (row, column) in found]


def legend(
    figure: Figure, names: Sequence[str], marks: Sequence[str], line: str = "-", note: str | None = None
) -> None:
    """Below all panels: each name with its colour and mark, in order."""
    handles = [
        Line2D([], [], color=colour(at), ls=line, marker=one, ms=5, label=name)
        for at, (name, one) in enumerate(zip(names, marks, strict=True))
    ]
    if note:
        handles.append(Line2D([], [], color="none", label=note))
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = max(1, min(6, 110 // (longest + 8)))
    figure.legend(handles=handles, loc="outside lower left", fontsize=8, ncols=columns)
