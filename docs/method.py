"""Draws docs/method-*.svg, the pictures of method.md:  python docs/method.py docs

Anchors, windows and segments are those of `backcast.windows`, for chosen or drawn numbers. All have a white background.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from backcast import windows
from backcast.report.figures import COLOURS, STYLE

BLUE, ORANGE, GREEN = COLOURS[0], COLOURS[1], COLOURS[2]
GREY, INK = "#9aa3ad", "#333333"
STEPS, TRUNCATION, LENGTH = 120, 24, 16
AUXILIARY = LENGTH // 2
ROW = np.array([STEPS])


def main(out: Path) -> None:
    for name, draw, size in (
        ("windows", draw_windows, (7.2, 4.6)),
        ("places", draw_places, (7.2, 4.4)),
        ("decoder", draw_decoder, (7.2, 2.5)),
    ):
        with rc_context({**STYLE, "svg.fonttype": "path"}):
            figure = Figure(figsize=size, layout="constrained")
            draw(figure)
            figure.savefig(out / f"method-{name}.svg", metadata={"Date": None})


def draw_windows(figure: Figure) -> None:
    """One row of 120 steps: what carries a gradient, by four methods."""
    panels = figure.subplots(4, 1, sharex=True, height_ratios=(0.5, 0.5, 1.1, 1.1))
    supervised = int(windows.window_starts(ROW, TRUNCATION)[0])
    reconstruction = windows.draw_reconstruction(
        ROW, LENGTH, np.array([[0.34, 0.68]]), np.array([[0.2, 0.93]])
    )
    prediction = windows.draw_prediction(ROW, LENGTH, np.array([[0.16, 0.55]]))

    _begin(panels[0], "full BPTT: one window over the whole row; memory grows with it", 0.4)
    _window(panels[0], 0, STEPS, BLUE, "supervised gradient")
    _label(panels[0])

    _begin(panels[1], "truncated BPTT: nothing teaches the network to keep what came before the window", 0.4)
    _sweep(panels[1], supervised)
    _window(panels[1], supervised, STEPS, BLUE, f"{TRUNCATION} steps")
    _label(panels[1])

    _begin(
        panels[2],
        f"r-LSTM: from the state at an anchor a decoder reconstructs {LENGTH} steps of some other place",
    )
    _sweep(panels[2], supervised)
    for anchor, place, length in zip(*(part[0] for part in reconstruction), strict=True):
        start = int(windows.window_starts(np.array([anchor]), AUXILIARY)[0])
        _window(panels[2], start, anchor, ORANGE, "")
        _mark(panels[2], anchor, "left" if place + length < anchor else "right")
        _segment(panels[2], place, place + length + 1, "segment")
        _arrow(panels[2], anchor, place + (length + 1) / 2)
    _window(panels[2], supervised, STEPS, BLUE, "supervised")
    _label(panels[2])

    _begin(
        panels[3], f"p-LSTM: from an anchor on the network reads {LENGTH} steps and predicts each next one"
    )
    _sweep(panels[3], supervised)
    for anchor, _, length in zip(*(part[0] for part in prediction), strict=True):
        _window(panels[3], anchor, anchor + length, ORANGE, "")
        _mark(panels[3], anchor, "right")
        _segment(panels[3], anchor + 1, anchor + length + 1, "predicted")
    _window(panels[3], supervised, STEPS, BLUE, "supervised")
    _label(panels[3])
    panels[3].set_xlabel(
        "step of the row (grey: read without a graph, only the state is carried; orange: auxiliary gradient)"
    )


def draw_places(figure: Figure) -> None:
    """Many drawn segments and their anchors, with and without the two limits of the paper's ablation."""
    generator = np.random.default_rng(0)
    count = 60
    for axes, (title, future, past) in zip(
        figure.subplots(2, 2, sharex=True, sharey=True).ravel(),
        (
            ("as in the paper", True, True),
            ("--no-predict-future: never past the anchor", False, True),
            ("--no-distant-past: only the immediate past", True, False),
            ("both off: the last steps before the anchor", False, False),
        ),
        strict=True,
    ):
        anchors, places, lengths = windows.draw_reconstruction(
            np.full(count, STEPS), LENGTH, generator.random((count, 1)), generator.random((count, 1)), future, past
        )  # fmt: skip
        order = np.argsort(anchors[:, 0])
        level = np.arange(count)
        axes.hlines(level, places[order, 0], (places + lengths + 1)[order, 0], color=GREEN, lw=1.6)
        axes.scatter(anchors[order, 0], level, s=7, color=ORANGE, zorder=3)
        axes.set_title(title, fontsize=9)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlim(0, STEPS)
    figure.supxlabel(
        "step of the row; a line a draw: segment (green) and its anchor (orange dot), by anchor", fontsize=9
    )


def draw_decoder(figure: Figure) -> None:
    """What the decoder is fed at each of its steps, and what it should give, for each of three diets."""
    axes = figure.subplots()
    length = 6
    order = windows.segment_positions(np.array([[40]]), np.array([[length]]), backwards=True)[0, 0]
    rows = (
        ("fed", "the truth", lambda step: "truth"),
        ("scheduled", "the truth, ever more rarely", lambda step: "truth" if step in (1, 2, 4) else "own"),
        ("unfed", "nothing", lambda step: "none"),
    )
    for number, (name, about, diet) in enumerate(rows):
        y = -1.25 * number
        axes.text(-2.9, y, f"--decoder-input {name}", va="center", fontsize=8.5, color=INK)
        axes.text(-2.9, y - 0.36, about, va="center", fontsize=7.5, color="#777777")
        for step in range(length):
            what = "truth" if step == 0 else diet(step)
            colour, text = {
                "truth": (GREEN, f"x[{order[step]}]"), "own": (ORANGE, "its own"), "none": ("#eeeeee", "–"),
            }[what]  # fmt: skip
            axes.text(
                step, y, text, ha="center", va="center", fontsize=8, color=INK if what == "none" else "white",
                bbox={"boxstyle": "round,pad=0.35", "facecolor": colour, "edgecolor": "none"},
            )  # fmt: skip
    for step in range(length):
        axes.text(step, 1.05, f"gives x[{order[step + 1]}]", ha="center", fontsize=8, color=BLUE)
    axes.text(-2.9, 1.05, "segment 40 .. 46, from its end", fontsize=8.5, color=BLUE)
    axes.set_xlim(-3, length - 0.4)
    axes.set_ylim(-3.1, 1.5)
    axes.axis("off")


def _begin(axes: Axes, title: str, top: float = 1.0) -> None:
    axes.set_title(title, fontsize=9)
    axes.set_xlim(0, STEPS)
    axes.set_ylim(-0.12, top)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.tick_params(labelbottom=True, labelsize=7.5)


def _label(axes: Axes) -> None:
    """The label of the row is learned at its end."""
    axes.annotate("label", (STEPS, 0.14), xytext=(6, 0), textcoords="offset points", fontsize=8, va="center", color=BLUE, annotation_clip=False)  # fmt: skip


def _sweep(axes: Axes, end: int) -> None:
    axes.barh(0, end, 0.16, color="#e3e7ec", align="edge")


def _window(axes: Axes, start: int, end: int, colour: str, text: str) -> None:
    axes.barh(0, end - start, 0.3, left=start, color=colour, align="edge")
    axes.text((start + end) / 2, 0.14, text, ha="center", va="center", fontsize=7.5, color="white")


def _mark(axes: Axes, anchor: int, side: str) -> None:
    axes.plot([anchor, anchor], [0, 0.48], color=INK, lw=1.2)
    axes.text(anchor + (0.8 if side == "left" else -0.8), 0.38, "anchor", ha=side, fontsize=7.5, color=INK)


def _segment(axes: Axes, start: float, end: float, text: str) -> None:
    axes.barh(0.72, end - start, 0.24, left=start, color=GREEN, align="edge")
    axes.text((start + end) / 2, 0.83, text, ha="center", va="center", fontsize=7.5, color="white")


def _arrow(axes: Axes, anchor: int, place: float) -> None:
    bend = 0.3 if place > anchor else -0.2
    look = {"arrowstyle": "-|>", "mutation_scale": 9, "color": GREY}
    path = f"arc3,rad={bend}"
    axes.add_patch(FancyArrowPatch((anchor, 0.48), (place, 0.71), connectionstyle=path, **look))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
