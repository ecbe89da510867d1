"""Claims in one picture: our differences with their intervals, the paper's beside them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from backcast.paper.experiment import Experiment
from backcast.paper.figures import WIDTH
from backcast.paper.verdicts import Answer, Verdict
from backcast.report.figures import svg

LINE = 0.17  # inches
NAME_WIDTH = 62  # characters in a line of a claim
LINEAR = 5  # points from zero within which the axis is linear; it is logarithmic beyond, for 1 and 85 in one picture
MOST = 110  # no difference exceeds 100 points; the intervals of two seeds may
TICKS = (-50, -20, -10, -5, -2, 0, 2, 5, 10, 20, 50)
LOOKS: dict[Answer, dict[str, Any]] = {
    "agrees": {"color": "#1f7a4d", "marker": "o"},
    "disagrees": {"color": "#c0392b", "marker": "s"},
    "not decided at this scale": {"color": "#7a8496", "marker": "o", "mfc": "white"},
}
PAPER: dict[str, Any] = {"color": "#222", "marker": "D", "mfc": "none", "ls": "", "ms": 4, "alpha": 0.8}

Line = tuple[str, Verdict | None]  # an experiment's title has no verdict


def claims_figure(groups: Sequence[tuple[Experiment, Sequence[Verdict]]], warning: str) -> str | None:
    """The verdicts below their experiment, as an SVG, as data for an <img>; None where nothing was compared.

    Claims without a single pair of runs are left out. `warning` stands above: what the scale is worth.
    """
    lines: list[Line] = []
    for experiment, verdicts in groups:
        compared = [(_wrapped(one.claim.text), one) for one in verdicts if one.difference]
        if compared:
            lines += [(_wrapped(experiment.title), None), *compared]
    if not lines:
        return None
    height = sum(_height(text) for text, _ in lines)
    title = "\n".join(textwrap.wrap(warning, 2 * NAME_WIDTH))
    return svg(lambda figure: _draw(figure, lines, height, title), height=1.5 + LINE * height, width=WIDTH)


def _wrapped(text: str) -> str:
    whole = text.replace(" = ", "\u00a0=\u00a0")
    return "\n".join(textwrap.wrap(whole, NAME_WIDTH, break_on_hyphens=False))


def _height(text: str) -> float:
    return 1 + 0.7 * text.count("\n")


def _draw(figure: Figure, lines: Sequence[Line], height: float, title: str) -> None:
    figure.suptitle(title, fontsize=9)
    axes = figure.subplots()
    axes.axvline(0, color="#333", lw=0.8)
    middles, top = [], 0.0
    for text, verdict in lines:
        middles.append(top + _height(text) / 2)
        if verdict is None:
            axes.axhspan(top, top + _height(text), color="#f2f5fa", lw=0, zorder=0)
        else:
            _draw_verdict(axes, verdict, middles[-1])
        top += _height(text)
    axes.set_ylim(height, 0)
    axes.set_yticks(middles, [text for text, _ in lines], fontsize=7)
    for label, (_, verdict) in zip(axes.get_yticklabels(), lines, strict=True):
        label.set_fontweight("bold" if verdict is None else "normal")
    axes.tick_params(axis="y", length=0)
    _points_axis(axes)
    said = {verdict.answer: verdict.said for _, verdict in lines if verdict}
    handles = [
        Line2D([], [], ms=5, label=said[answer], **look) for answer, look in LOOKS.items() if answer in said
    ]
    handles.append(Line2D([], [], label="the paper", **PAPER))
    figure.legend(handles=handles, loc="outside lower left", fontsize=8, ncols=4)


def _points_axis(axes: Axes) -> None:
    axes.set_xscale("symlog", linthresh=LINEAR, linscale=0.7)
    low, high = axes.get_xlim()
    low, high = max(min(1.2 * low, -LINEAR), -MOST), min(max(1.2 * high, LINEAR), MOST)
    axes.set_xlim(low, high)
    axes.xaxis.set_minor_locator(NullLocator())
    ticks = [tick for tick in TICKS if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:+}".replace("-", "−") if tick else "0" for tick in ticks])
    axes.tick_params(axis="x", labelsize=8, top=True, labeltop=True)
    axes.grid(axis="x", color="#e6e9ef", lw=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel(f"points in favour of the claim (logarithmic beyond ±{LINEAR})")


def _draw_verdict(axes: Axes, verdict: Verdict, y: float) -> None:
    if verdict.published:
        axes.plot(verdict.published.value, y, **PAPER)
    found, look = verdict.difference, LOOKS[verdict.answer]
    assert found is not None
    if found.low is not None and found.high is not None:
        axes.hlines(y, found.low, found.high, color=look["color"], lw=1.4)
    axes.plot(found.mean, y, ms=5, **look)
