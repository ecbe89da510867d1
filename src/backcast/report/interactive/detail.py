"""How much of each row the page holds, to stay below `MOST_BYTES` and be made in minutes, whatever the runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backcast.errors import InputError
from backcast.report.interactive.chosen import Shown
from backcast.report.reconstructions import evenly

MOST_BYTES = 5_000_000
FOR_NUMBERS = 4_400_000  # of these, in base64; the rest are names, settings, the page itself
PLACES = 200
CHANNELS = 3  # that are drawn; errors are over all
LIKELIEST = 3  # classes that are named at a place
BINS = 48  # of distance
GROUP_BYTES = 2_500  # its names, settings and memory curve
WINDOW, AHEAD = 240, 60  # symbols that are shown before and after an anchor
GLIMPSE = np.arange(-40, 10)  # and, fewer, around every place
NEAR = 21  # places of a line close to an anchor: in long rows all others are far apart
MOST_DECODED = 60_000  # elements per row and method: seconds on one core
MOST_LOGITS = 20_000_000  # of all segments together, at one step
LADDER = (  # from rich to poor: rows, anchors, places of a line
    (12, 128, 1_000), (12, 64, 1_000), (10, 48, 1_000), (8, 32, 800), (6, 24, 600),
    (4, 16, 500), (3, 12, 400), (2, 8, 300), (1, 8, 300), (1, 4, 200),
)  # fmt: skip
FEWEST_ANCHORS = 8
# Of all anchors together; with fewer anchors than the above where rows are very long.
MOST_NUMBERS = 20_000_000


@dataclass(frozen=True)
class Detail:
    """rows: at most; anchors: at most, per row; drawn: places of a line, evenly spaced, to which those around the
    anchors are added."""

    rows: int
    anchors: int
    drawn: int


@dataclass(frozen=True)
class Steps:
    """The steps of one row that the page knows; all but `drawn` count the steps read so far.

    places    (P,) 1 .. T: where there are probabilities, and where the reader's cursor can be
    anchors   (A,) some of the places, the first and the last among them: where there are reconstructions
    drawn     (D,) 0 .. T-1: elements that are kept
    decoded   roughly the most elements of an anchor's past that are reconstructed
    """

    places: NDArray[np.int64]
    anchors: NDArray[np.int64]
    drawn: NDArray[np.int64]
    decoded: int


def details_that_fit(shown: list[Shown], rows: list[list[int]]) -> list[Detail]:
    """From rich to poor. Raises InputError where there is none."""
    fitting = [
        detail
        for detail in (Detail(*rung) for rung in LADDER)
        if sum(row_bytes(shown, row, detail) for row in rows[: detail.rows]) + GROUP_BYTES * len(shown)
        <= FOR_NUMBERS
    ]
    if not fitting:
        raise too_much(shown)
    return fitting


def too_much(shown: list[Shown]) -> InputError:
    """The error for when not even the least detail fits."""
    return InputError(
        f"{len(shown)} groups of runs with these rows do not fit on one page of {MOST_BYTES // 10**6} MB; name fewer runs"
    )


def row_bytes(shown: list[Shown], row: list[int], detail: Detail) -> int:
    """What a row takes at most, as base64 and JSON."""
    first = shown[0].run
    total = int(first.measured.lengths[row[0]])
    steps = choose_steps(shown, total, detail)
    symbols = bool(first.model.preprocessing.symbols)
    element = 2 if symbols else min(first.model.preprocessing.channels, CHANNELS)
    places, anchors, drawn = len(steps.places), len(steps.anchors), len(steps.drawn)
    before = np.searchsorted(steps.drawn, steps.anchors)
    past = int((np.minimum(before, WINDOW) if symbols else before).sum())
    found = drawn * (element + 4) + 4 * (places + anchors)
    for each in shown:
        network, length = each.run.model.network, each.run.config.segment_length
        if classes := len(each.run.model.classes):
            found += places * (3 * min(LIKELIEST, classes) + 1)
        if network.decoder is not None:
            found += past * element + anchors * (BINS + 12)
        if network.predictor is not None:
            ahead = np.searchsorted(steps.drawn, steps.anchors + length, side="right") - before
            most = np.minimum(ahead, AHEAD) if symbols else ahead
            found += int(most.sum()) * element + anchors * (BINS + 12)
    return found * 4 // 3 + 500 + 900 * len(shown)


def choose_steps(shown: list[Shown], total: int, detail: Detail) -> Steps:
    """The steps of a row of length `total`: the same for all runs, as those that reconstruct or predict need them."""
    first = shown[0].run
    runs = [each.run for each in shown if each.answers] or [first]
    length = min(run.config.segment_length for run in runs)
    symbols = max(run.model.preprocessing.symbols for run in runs)
    # Half of a row lies before an anchor.
    decoded = 2 * min(MOST_DECODED, length * MOST_LOGITS // max(symbols, 1))
    affordable = max(FEWEST_ANCHORS, decoded // total)
    affordable = min(affordable, max(2, MOST_NUMBERS // (total * first.measured.channels)))
    places = evenly(total, PLACES)
    count = min(detail.anchors, affordable, len(places))
    anchors = places[np.unique(np.linspace(0, len(places) - 1, count).round().astype(np.int64))]
    if symbols:
        before, around = anchors[:, None] + np.arange(-WINDOW, AHEAD + 1), places[:, None] + GLIMPSE
        near = np.concatenate([before.ravel(), around.ravel()])
    elif first.model.picture is not None:
        near = np.arange(total)
    else:
        around = anchors[:, None] + np.linspace(-length, length, NEAR).round().astype(np.int64)
        near = np.concatenate([evenly(total, detail.drawn) - 1, around.ravel()])
    drawn = np.unique(near[(near >= 0) & (near < total)])
    return Steps(places, anchors, drawn, decoded // count)
