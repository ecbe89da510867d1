"""The confusion matrix of a group: the true class down, the predicted one across."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from backcast.legible import shortened, visible
from backcast.report.figures import HATCHED, svg
from backcast.report.results import Group

MOST_COUNTED = 20  # classes whose counts are written into the cells
LONGEST_NAME = 18
SMALLEST_NAME = 3.7  # points; where that does not fit, only every nth class is named


def confusion_figure(group: Group) -> str | None:
    """The matrix, summed over the group's seeds; None where nothing is classified."""
    if group.confusion is None:
        return None
    confusion, classes = group.confusion, group.runs[0].model.classes
    names = [shortened(visible(str(name)), LONGEST_NAME) for name in classes]
    side = _side(len(names))
    size = min(8.0, 0.85 * 72 * side / len(names))
    beside = 0.6 * max(map(len, names)) * max(size, SMALLEST_NAME) / 72
    return svg(
        lambda figure: draw_confusion(figure.subplots(), confusion, names, 72 * side / len(names)),
        width=side + beside + 0.5,
        height=side + (0.2 if _lie_flat(names) else beside) + 0.45,
    )


def draw_confusion(axes: Axes, confusion: NDArray[np.int64], names: list[str], cell: float) -> None:
    """Shares of the true class as shade; counts where there is room. `cell` is a cell's side in points.

    The row of a class that none of the measured rows has is hatched: there is no share to show.
    """
    rows = confusion.sum(axis=1, keepdims=True)
    share = confusion / np.maximum(rows, 1)
    axes.imshow(
        np.ma.masked_where(np.broadcast_to(rows == 0, share.shape), share),
        cmap="Blues", vmin=0, vmax=1, interpolation="nearest",
    )  # fmt: skip
    for absent in np.flatnonzero(rows[:, 0] == 0):
        axes.add_patch(Rectangle((-0.5, absent - 0.5), len(names), 1, **HATCHED))
    size = min(8.0, 0.85 * cell)
    every = math.ceil(SMALLEST_NAME / size)
    style: dict[str, Any] = {"fontsize": max(size, SMALLEST_NAME)}
    places = range(0, len(names), every)
    axes.set_xticks(places, names[::every], rotation=0 if _lie_flat(names) else 90, **style)
    axes.set_yticks(places, names[::every], **style)
    axes.tick_params(length=2 if every == 1 else 0, pad=2)
    axes.set(xlabel="predicted class", ylabel="true class")
    for spine in axes.spines.values():
        spine.set(visible=True, color="#aaa", linewidth=0.6)
    if len(names) <= MOST_COUNTED:
        digits = len(str(confusion.max()))
        for (true, predicted), count in np.ndenumerate(confusion):
            axes.text(
                predicted, true, str(count), ha="center", va="center",
                fontsize=min(9.0, cell / (0.62 * digits)),
                color="white" if share[true, predicted] > 0.55 else "#1c2330" if count else "#9aa5b8",
            )  # fmt: skip


def _side(classes: int) -> float:
    """The matrix's side in inches: with names and page it must stay legible, at least on a wide screen."""
    if classes <= MOST_COUNTED:
        return min(max(0.36 * classes, 1.4), 5.2)
    return 5.4 if classes <= 40 else 7.4


def _lie_flat(names: list[str]) -> bool:
    """Is there room for the names of the columns side by side?"""
    return max(map(len, names)) <= 3 and len(names) <= MOST_COUNTED
