"""The figures, in the paper's forms. The paper's numbers have panels of their own, with open marks and dashed lines."""

from __future__ import annotations

import base64

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from backcast.paper.experiment import Experiment, of_paper
from backcast.paper.marks import (
    PAPER,
    bands,
    colour,
    draw_dots,
    draw_paper,
    draw_points,
    legend,
    mark,
    offset,
    ours_title,
    outcomes_of,
    say_nothing,
    two_panels,
    write_word,
)
from backcast.paper.outcomes import NOT_MEASURED, Outcome, Outcomes, mean_curve
from backcast.paper.published import LENGTHS
from backcast.paper.statistics import spread
from backcast.report.figures import svg

WIDTH = 7.2  # inches, of two panels


def experiment_figure(experiment: Experiment, found: Outcomes) -> str:
    """The experiment as an SVG, as data for an <img>."""
    rows, columns = len(experiment.rows), len(experiment.columns)
    draw, height = {
        "table": (_table, 1.1 + rows * (0.16 + 0.12 * columns)),
        "curves": (_curves, 3.5),
        "against length": (_against_length, 5.6),
        "against steps": (_against_steps, 3.5),
        "ablation": (_ablation, 1.0 + 0.4 * rows),
    }[experiment.form]
    return svg(lambda figure: draw(figure, experiment, found), height=height, width=WIDTH)


def file_content(image: str) -> bytes:
    """The bytes of an image that is given as data, to be written into a file."""
    return base64.b64decode(image.partition(",")[2])


def _table(figure: Figure, experiment: Experiment, found: Outcomes) -> None:
    """One band per row, in it one line per column: every seed a dot, their mean and its interval."""
    ours, paper = two_panels(figure, experiment, found)
    rows, columns = experiment.rows, experiment.columns
    for axes in filter(None, (ours, paper)):
        bands(axes, list(rows))
        axes.set_xlabel(f"test {experiment.quantity}, %")
    for (row, column), outcome in found.items():
        at = columns.index(column)
        y = rows.index(row) + offset(at, len(columns))
        draw_dots(ours, outcome.values, y, colour(at))
        if not outcome.values:
            write_word(ours, outcome, y, colour(at))
        if paper and outcome.published:
            paper.plot(outcome.published.value, y, "o", color=colour(at), **PAPER)
    low, high = ours.get_xlim()
    # Three seeds far apart have an interval beyond all accuracies.
    ours.set_xlim(max(low, -2), min(high, 102))
    say_nothing(ours, experiment, found, "x")
    legend(figure, columns, ["o"] * len(columns), line="")


def _ablation(figure: Figure, experiment: Experiment, found: Outcomes) -> None:
    """Bars of points lost, the seeds as dots, the mean's interval."""
    ours, paper = two_panels(figure, experiment, found)
    factors, (column,) = experiment.rows[1:], experiment.columns
    for axes in filter(None, (ours, paper)):
        bands(axes, [f"without {row}" for row in factors])
        axes.axvline(0, color="#333", lw=0.8)
        axes.set_xlabel("points of test accuracy lost")
    for y, row in enumerate(factors):
        outcome = found[row, column]
        lost = spread(outcome.losses)
        if lost:
            ours.barh(y, lost.mean, height=0.7, color=colour(0), alpha=0.35)
            draw_dots(ours, outcome.losses, y, colour(0))
        else:
            write_word(ours, outcome, y, colour(0))
        if paper and outcome.published:
            loss = outcome.published.value
            paper.barh(y, loss, height=0.7, color="none", edgecolor=colour(0), lw=1.0, ls="--")
    say_nothing(ours, experiment, found, "x")


def _curves(figure: Figure, experiment: Experiment, found: Outcomes) -> None:
    """Training and test accuracy: the mean over seeds in a band from lowest to highest; the paper's final values."""
    has_paper = any(outcome.published for outcome in found.values())
    panels = figure.subplots(1, 3 if has_paper else 2, width_ratios=[3, 3, 1.6] if has_paper else [1, 1])
    train, test = panels[:2]
    test.sharey(train)
    names = []
    for number, row in enumerate(experiment.rows):
        line = outcomes_of(experiment, found, row)
        measured = next((outcome for outcome in line if outcome.values), None)
        status = line[0].status if line and not measured else "finished"
        names.append(row if status in ("finished", NOT_MEASURED) else f"{row}: {status}")
        band = mean_curve(measured) if measured else []
        steps = [mean.step for _, mean, _ in band]
        for axes, name in ((train, "train_accuracy"), (test, "test_accuracy")):
            low, mean, high = ([100 * getattr(three[k], name) for three in band] for k in range(3))
            axes.plot(steps, mean, color=colour(number), lw=1.6, marker="." if len(steps) < 5 else None)
            axes.fill_between(steps, low, high, color=colour(number), alpha=0.18, lw=0)
        for at, one in enumerate(line if has_paper else ()):
            if one.published:
                x = at + 0.4 * offset(number, len(experiment.rows))
                panels[2].plot(x, one.published.value, "o", color=colour(number), **PAPER)
    train.set_ylabel("accuracy, %")
    for axes, kind in ((train, "training rows"), (test, "test rows")):
        axes.set(xlabel="training steps", title=f"{ours_title(experiment, found)}\n{kind}")
        axes.set_xlim(left=0)
        axes.locator_params(axis="x", nbins=5)
        say_nothing(axes, experiment, found, "x")
        say_nothing(axes, experiment, found, "y")
    if has_paper:
        panels[2].set_title("paper:\nat the end" + "\n(~, read off)" * experiment.read_off)
        panels[2].set_xticks(range(len(experiment.columns)), experiment.columns)
        panels[2].set_xlim(-0.4, len(experiment.columns) - 0.6)
    legend(figure, names, [""] * len(names))


def _against_length(figure: Figure, experiment: Experiment, found: Outcomes) -> None:
    """Accuracy above, seconds of a training step below, against the length; a cross where no run finished.

    Seconds are logarithmic, as one method takes many times as long as another, and without intervals, which reach below zero.
    """
    has_paper = any(outcome.published for outcome in found.values())
    (accuracy, *paper_accuracy), (seconds, *paper_seconds) = figure.subplots(
        2, 1 + has_paper, squeeze=False, sharex="col"
    )
    for axes in (seconds, *paper_seconds):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    for number, row in enumerate(experiment.rows):
        look = colour(number), mark(number)
        line = outcomes_of(experiment, found, row)
        placed = [(one.cell.x, one) for one in line if one.cell.x]
        apart = 1.02 ** (number - (len(experiment.rows) - 1) / 2)  # so that no interval hides another
        draw_points(accuracy, [(x * apart, one.values) for x, one in placed], *look)
        draw_points(seconds, [(x, one.seconds) for x, one in placed], *look, intervals=False)
        for x in [x for x, one in placed if one.failures and not one.values]:
            accuracy.annotate(
                "×", (x, 0), (0, 4 + 7 * number), xycoords=("data", "axes fraction"), textcoords="offset points",
                color=colour(number), ha="center", va="center",
            )  # fmt: skip
        there = [(LENGTHS[one.column], one) for one in line if one.column in LENGTHS]
        for axes in paper_accuracy:
            draw_paper(axes, [(x, one.published.value) for x, one in there if one.published], *look)
        for axes in paper_seconds:
            timed = [(x, one.published_seconds.value) for x, one in there if one.published_seconds]
            draw_paper(axes, timed, *look)
    accuracy.set(title=ours_title(experiment, found), ylabel=f"test {experiment.quantity}, %")
    seconds.set_ylabel("seconds of a training step")
    _length_axis(seconds, sorted({cell.x for cell in experiment.cells if cell.x}))
    for axes in paper_accuracy:
        axes.set_title("paper (~, read off)")
    for axes in paper_seconds:
        _length_axis(axes, list(LENGTHS.values()))
    for axes in (accuracy, *paper_accuracy):
        axes.set_ylim(bottom=0)
    for axes in (accuracy, seconds):
        say_nothing(axes, experiment, found, "y")
    marks = [mark(number) for number in range(len(experiment.rows))]
    legend(figure, experiment.rows, marks, note="×: no run finished, the table says why")


def _length_axis(axes: Axes, lengths: list[int]) -> None:
    """Logarithmic, one tick per length."""
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_xticks(lengths, [f"{length:,}" for length in lengths], rotation=60, fontsize=7.5)
    axes.set_xlim(0.88 * lengths[0], 1.13 * lengths[-1])
    axes.set_xlabel("length T of a row, steps")


def _against_steps(figure: Figure, experiment: Experiment, found: Outcomes) -> None:
    """Accuracy against the steps of supervised BPTT, evenly spaced; a row of one cell is a horizontal line."""
    ours, paper = two_panels(figure, experiment, found)
    lines = [outcomes_of(experiment, found, row) for row in experiment.rows]
    spanned = {one.column for line in lines if len(line) > 1 for one in line}
    columns = [column for column in experiment.columns if column in spanned]
    for number, line in enumerate(lines):
        if len(line) == 1:
            _level(ours, paper, line[0], colour(number))
            continue
        look = colour(number), mark(number)
        apart = 0.3 * offset(number, len(lines))  # so that no interval hides another
        places = [(columns.index(one.column), one) for one in line]
        draw_points(ours, [(x + apart, one.values) for x, one in places], *look)
        if paper:
            draw_paper(paper, [(x, one.published.value) for x, one in places if one.published], *look)
    steps = {cell.column: f"{cell.x:,}" for cell in experiment.cells if cell.x is not None}
    ours.set_xticks(range(len(columns)), [steps.get(column, column) for column in columns])
    ours.set_ylabel(f"test {experiment.quantity}, %")
    if paper:
        paper.set_xticks(range(len(columns)), [of_paper(column) for column in columns])
    for axes in filter(None, (ours, paper)):
        axes.set_xlim(-0.3, len(columns) - 0.7)
        axes.set_xlabel("steps of supervised BPTT (evenly spaced)")
    say_nothing(ours, experiment, found, "y")
    legend(figure, experiment.rows, [mark(at) if len(line) > 1 else "" for at, line in enumerate(lines)])


def _level(ours: Axes, paper: Axes | None, outcome: Outcome, colour: str) -> None:
    """A horizontal line, with its interval as a band."""
    level = outcome.spread
    if level:
        ours.axhline(level.mean, color=colour, lw=1.4)
        if level.low is not None and level.high is not None:
            ours.axhspan(level.low, level.high, color=colour, alpha=0.12, lw=0)
    if paper and outcome.published:
        paper.axhline(outcome.published.value, color=colour, ls="--", lw=1.0, alpha=0.75)
