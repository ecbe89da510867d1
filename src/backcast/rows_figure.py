"""A picture of a few rows as they were read: one of each class."""

from __future__ import annotations

import io
import textwrap
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context, style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from backcast.data.sequences import Picture, Sequences
from backcast.legible import shortened, visible
from backcast.output_files import write_or_refuse

SUFFIXES = (".png", ".pdf", ".svg")
MOST_ROWS, MOST_CHANNELS, MOST_POINTS, MOST_NAMES = 6, 8, 2000, 12
LONGEST_NAME = 20
COLUMNS, LINES = 126, 6  # of text in a panel
# Channels are drawn standardised if their joint range exceeds this many times the range of one.
FAR_APART = 10
STYLE: dict[str, Any] = {
    "font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 9,
    "axes.titlelocation": "left", "legend.frameon": False, "text.parse_math": False, "lines.linewidth": 1.0,
}  # fmt: skip


def write_figure(path: Path, rows: Sequences) -> None:
    """Draws one row of each class, 6 at most (without classes the first 6), in the format that the ending names.

    Raises InputError where it cannot be written.
    """
    which = examples(rows)
    with warnings.catch_warnings(), style.context("tableau-colorblind10"), rc_context(STYLE):  # type: ignore[arg-type]
        warnings.filterwarnings("ignore", "Glyph")  # a font may lack some characters of a text
        warnings.filterwarnings("ignore", category=RuntimeWarning)  # a channel may be missing throughout
        content = io.BytesIO()
        _figure(rows, which).savefig(content, format=path.suffix[1:].lower(), dpi=130)
    write_or_refuse(path, content.getvalue(), f"--out {path}")


def examples(rows: Sequences) -> list[int]:
    """The first row of each of the first classes; without any labels, the first rows."""
    firsts = [np.flatnonzero(rows.labels == number)[:1] for number in range(len(rows.classes))]
    found = [int(first[0]) for first in firsts if len(first)][:MOST_ROWS]
    return found or list(range(min(MOST_ROWS, len(rows))))


def _figure(rows: Sequences, which: list[int]) -> Figure:
    picture = rows.picture
    if picture is not None and all(rows.lengths[i] == picture.height * picture.width for i in which):
        return _pictures(rows, which, picture)
    if rows.kind == "real":
        return _lines(rows, which)
    if _are_texts(rows, which):
        return _texts(rows, which)
    return _symbols(rows, which)


def _pictures(rows: Sequences, which: list[int], picture: Picture) -> Figure:
    columns = min(3, len(which))
    lines = -(-len(which) // columns)
    height = min(2.6 * picture.height / picture.width, 4.0)
    figure = Figure(figsize=(2.6 * columns, (height + 0.35) * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    values = [rows.row(i).astype(np.float64) for i in which]
    low, high = min(map(np.nanmin, values)), max(map(np.nanmax, values))
    for axes in grid:
        axes.set_axis_off()
    for axes, i, row in zip(grid, which, values, strict=False):
        shown = ((row - low) / ((high - low) or 1.0)).reshape(picture.height, picture.width, -1)
        shown = shown[:, :, :3] if shown.shape[2] >= 3 else shown[:, :, 0]
        axes.imshow(shown, cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
        axes.set_title(_title(rows, i, short=True))
    return figure


def _lines(rows: Sequences, which: list[int]) -> Figure:
    channels = min(rows.channels, MOST_CHANNELS)
    values = [np.asarray(rows.row(i)[:, :channels], np.float64) for i in which]
    everything = np.concatenate(values)
    mean, std = np.nanmean(everything, axis=0), np.nanstd(everything, axis=0)
    reach = np.nanmax(everything) - np.nanmin(everything)
    ranges = np.nanmax(everything, axis=0) - np.nanmin(everything, axis=0)
    standardised = channels > 1 and bool((reach > FAR_APART * ranges[ranges > 0]).any())
    figure, panels = _panels(rows, which, 1.15)
    for axes, row in zip(panels, values, strict=True):
        if standardised:
            row = (row - mean) / np.where(std > 0, std, 1.0)
        for channel in range(channels):
            axes.plot(*_envelope(row[:, channel]), marker="." if len(row) < 3 else None)
    if standardised:
        figure.supylabel("standard deviations from the mean of these rows")
    if channels > 1:
        # The blank: matplotlib leaves names that begin with _ out of legends.
        labels = [f" {shortened(visible(name), LONGEST_NAME)}" for name in rows.channel_names[:channels]]
        labels[-1] += f" (of {rows.channels})" if channels < rows.channels else ""
        figure.legend(panels[0].lines, labels, loc="outside lower left", ncols=4)
    return figure


def _texts(rows: Sequences, which: list[int]) -> Figure:
    texts = [textwrap.wrap(_text(rows, i), COLUMNS, max_lines=LINES, placeholder=" …") for i in which]
    heights = [0.45 + 0.15 * len(lines) for lines in texts]
    figure = Figure(figsize=(8.0, sum(heights)), layout="constrained")
    panels = figure.subplots(len(which), 1, squeeze=False, height_ratios=heights).ravel()
    for axes, i, lines in zip(panels, which, texts, strict=True):
        axes.set_axis_off()
        axes.set_title(_title(rows, i))
        axes.text(0, 1, "\n".join(lines), family="monospace", va="top", transform=axes.transAxes)
    return figure


def _symbols(rows: Sequences, which: list[int]) -> Figure:
    figure, panels = _panels(rows, which, 1.3)
    for axes, i in zip(panels, which, strict=True):
        shown = rows.steps(i, 0, min(int(rows.lengths[i]), MOST_POINTS))
        axes.plot(shown, ".", ms=4 if len(shown) < 300 else 2)
        if len(rows.symbols) <= MOST_NAMES:
            axes.set_yticks(
                range(len(rows.symbols)),
                [shortened(visible(str(name)), LONGEST_NAME) for name in rows.symbols],
            )
        axes.margins(y=0.1)
    if len(rows.symbols) > MOST_NAMES:
        figure.supylabel("number of the symbol, in order")
    if max(rows.lengths[i] for i in which) > MOST_POINTS:
        panels[-1].set_xlabel(f"step (the first {MOST_POINTS:,} are shown)")
    return figure


def _panels(rows: Sequences, which: list[int], height: float) -> tuple[Figure, list[Axes]]:
    """One panel per row, stacked, with a common axis of steps unless the rows' lengths are far apart."""
    figure = Figure(figsize=(8.0, (height + 0.25) * len(which) + 0.4), layout="constrained")
    shared = int(rows.lengths[which].max()) <= 4 * int(rows.lengths[which].min())
    panels = list(figure.subplots(len(which), 1, squeeze=False, sharex=shared).ravel())
    for axes, i in zip(panels, which, strict=True):
        axes.set_title(_title(rows, i))
    panels[-1].set_xlabel("step")
    return figure, panels


def _title(rows: Sequences, i: int, short: bool = False) -> str:
    name = str(rows.classes[rows.labels[i]]) if rows.labels[i] >= 0 else "no label"
    name = shortened(visible(name), 30 if short else 60)
    id = shortened(visible(str(rows.ids[i])), LONGEST_NAME)
    return name if short else f"{name}    (row {id}, {rows.lengths[i]:,} steps)"


def _begin(rows: Sequences, i: int) -> list[Any]:
    """The first symbols of a row: those that fit into a panel of text, and one more."""
    codes = rows.steps(i, 0, min(int(rows.lengths[i]), COLUMNS * LINES + 1))
    return [rows.symbols[code] for code in codes]


def _are_texts(rows: Sequences, which: list[int]) -> bool:
    """Characters, or bytes that are ASCII text."""
    if rows.kind != "bytes":
        return rows.kind == "characters"
    return all(32 <= byte < 127 or byte in b"\t\n\r" for i in which for byte in _begin(rows, i))


def _text(rows: Sequences, i: int) -> str:
    """The beginning of a row of text; unprintable characters are written as Python escapes."""
    characters = [chr(one) if rows.kind == "bytes" else one for one in _begin(rows, i)]
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in characters)


def _envelope(values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Steps and values (T,) to draw; for a long row the least and largest values of each piece, alternating."""
    if len(values) <= MOST_POINTS:
        return np.arange(len(values)), values
    starts = np.linspace(0, len(values), MOST_POINTS // 2, endpoint=False).astype(np.int64)
    both = np.stack([np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)], axis=1)
    return np.repeat(starts, 2), both.ravel()
